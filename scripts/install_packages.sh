#!/bin/sh
# Install what the tests use and pip does not bring, if any of it is missing: Debian packages, and from npm what
# scripts/npm lists. Without root or apt: say which, and go on, since tests whose tool is absent are skipped with its
# name.
set -eu

packages="gcc g++ cmake binutils clang-19 lld-19 chromium firefox-esr
gcc-arm-none-eabi libnewlib-arm-none-eabi gcc-riscv64-unknown-elf
qemu-system-arm qemu-system-misc
gcc-avr avr-libc libsimavr-dev libelf-dev"

install_debian_packages() {
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "No apt here. Tests need the equivalents of these Debian packages:" $packages nodejs npm >&2
        return
    fi
    missing=""
    for package in $packages; do
        case "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" in
            installed) ;;
            *) missing="$missing $package" ;;
        esac
    done
    command -v node >/dev/null || missing="$missing nodejs"
    command -v npm >/dev/null || missing="$missing npm"
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "Tests need packages that are not installed. Run: sudo apt-get install$missing" >&2
        return
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    # shellcheck disable=SC2086
    apt-get install -q -y --no-install-recommends $missing
}

# Not `npm ci`: it wants packages for other platforms in the lock, which not every registry has.
install_npm_packages() {
    cd "$(dirname "$0")/npm"
    installed=node_modules/.package-lock.json
    if [ ! -e $installed ] || [ package-lock.json -nt $installed ]; then
        npm install --no-save --silent --no-audit --no-fund || echo "npm cannot install what tests/web uses." >&2
    fi
}

install_debian_packages
if command -v npm >/dev/null; then
    install_npm_packages
else
    echo "Tests need npm." >&2
fi
