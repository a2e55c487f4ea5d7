"""Fetch the packages of published_models.toml and list the ONNX models in them.

usage: fetch_models.py [--folder FOLDER] [--all]

With --all every .onnx file of each package is listed, not only those of the list.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".cache" / "models"
_LIST = Path(__file__).with_name("published_models.toml")


class FetchError(Exception):
    """A package is not to be had: no network, or no such version."""


@dataclass(frozen=True)
class PublishedModel:
    """A model in a package: `file` is the end of its path there. See published_models.toml for the rest."""

    package: str
    version: str
    file: str
    domain: str
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    text: tuple[str, ...] = ()
    quick: bool = False

    @property
    def title(self) -> str:
        return f"{self.package}/{self.file}"


def published_models() -> list[PublishedModel]:
    """The models of the list, in its order."""
    found = []
    for package in tomllib.loads(_LIST.read_text(encoding="utf-8"))["package"]:
        for entry in package["models"]:
            entry["shapes"] = {name: tuple(shape) for name, shape in entry.get("shapes", {}).items()}
            entry["text"] = tuple(entry.get("text", ()))
            found.append(PublishedModel(package["name"], package["version"], **entry))
    return found


def fetch_package(package: str, version: str, folder: Path) -> Path:
    """The downloaded wheel or source archive; from the folder if it is there already."""
    place = folder / f"{package}-{version}"
    archives = sorted(place.glob("*")) if place.is_dir() else []
    if not archives:
        place.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "-d",
            str(place),
            f"{package}=={version}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        archives = sorted(place.glob("*"))
        if done.returncode != 0 or not archives:
            place.rmdir()
            lines = done.stderr.strip().splitlines() or ["no file"]
            raise FetchError(f"{package} {version} cannot be downloaded: {lines[-1]}")
    return archives[0]


def models_in(archive: Path) -> list[str]:
    """The paths of all ONNX models in a package."""
    return [name for name in _names(archive) if name.endswith(".onnx")]


def model_bytes(archive: Path, file: str) -> bytes:
    """The model whose path ends so. Raises FetchError where there is none, or several."""
    found = [name for name in models_in(archive) if f"/{name}".endswith(f"/{file}")]
    if len(found) != 1:
        raise FetchError(f"{archive.name} has {len(found)} files {file}")
    return _read(archive, found[0])


def licence(archive: Path) -> str:
    """What the package's metadata says of its licence."""
    (place, *_) = [n for n in _names(archive) if n.endswith((".dist-info/METADATA", "/PKG-INFO"))]
    metadata: Any = HeaderParser().parsestr(_read(archive, place).decode("utf-8", "replace"))
    classified = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier", []) if c.startswith("License")]
    stated = metadata["License-Expression"] or metadata["License"] or ""
    first = stated.strip().splitlines()[0].strip() if stated.strip() else ""
    return first.replace("UNKNOWN", "") or (classified[0] if classified else "not stated")


def _names(archive: Path) -> list[str]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.namelist()
    with tarfile.open(archive) as source:
        return source.getnames()


def _read(archive: Path, name: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name)
    with tarfile.open(archive) as source:
        member = source.extractfile(name)
        assert member is not None
        return member.read()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--all", action="store_true")
    arguments = parser.parse_args()
    listed = published_models()
    missing = 0
    for package, version in dict.fromkeys((m.package, m.version) for m in listed):
        try:
            archive = fetch_package(package, version, arguments.folder)
        except FetchError as error:
            print(error, file=sys.stderr)
            missing += 1
            continue
        files = models_in(archive) if arguments.all else [m.file for m in listed if m.package == package]
        for file in files:
            print(f"{package} {version} ({licence(archive)}): {file}, {len(model_bytes(archive, file))} bytes")
    return 4 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
