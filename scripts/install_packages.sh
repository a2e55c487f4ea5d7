#!/bin/sh
# Install the Debian packages that the tests use, if any is missing. Without root or apt: say which, and go on, since
# tests whose tool is absent are skipped with its name.
set -eu

packages="gcc g++ cmake binutils clang-19 lld-19
gcc-arm-none-eabi libnewlib-arm-none-eabi gcc-riscv64-unknown-elf
qemu-system-arm qemu-system-misc"

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "No apt here. Tests need the equivalents of these Debian packages:" $packages nodejs >&2
    exit 0
fi

missing=""
for package in $packages; do
    case "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" in
        installed) ;;
        *) missing="$missing $package" ;;
    esac
done
command -v node >/dev/null || missing="$missing nodejs"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "Tests need packages that are not installed. Run: sudo apt-get install$missing" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086
apt-get install -q -y --no-install-recommends $missing
