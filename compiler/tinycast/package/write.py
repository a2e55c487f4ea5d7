"""Artifacts on disk. `write_artifact` is the only function of tinycast that writes a user's folder."""

from __future__ import annotations

import json
import secrets
import shutil
from pathlib import Path

from tinycast.artifact import Artifact
from tinycast.errors import UsageError

_SHOWN_FILES = 3


def write_artifact(artifact: Artifact, directory: Path, *, force: bool = False) -> None:
    """Write all files of `artifact` to `directory`, whole or not at all.

    The files are written to a hidden folder beside `directory`, which is then renamed; whatever stops that, Ctrl-C
    included, leaves nothing new behind. Raises UsageError if `directory` exists (with `force`: if it holds anything
    but an artifact that tinycast wrote), or cannot be written.
    """
    directory = directory.resolve()
    check_output_folder(directory, force=force)
    try:
        made = _make_parents(directory.parent)
        try:
            _write_and_rename(artifact, directory)
        except BaseException:
            for folder in made:
                folder.rmdir()
            raise
    except OSError as error:
        raise UsageError(
            f"the output cannot be written: {error.strerror}", where=str(directory), fix="choose another folder"
        ) from error


def read_artifact(directory: Path) -> Artifact:
    """Return the artifact in `directory`; UsageError if there is none, or if files of it are missing."""
    report = _find_report(directory)
    if report is None:
        raise UsageError("this is not a folder written by tinycast", where=str(directory), fix="compile a model first")
    manifest, paths = report
    try:
        files = {path: (directory / path).read_bytes() for path in paths}
    except OSError as error:
        raise UsageError(
            f"a file of the compiled model cannot be read: {error.strerror}",
            where=str(error.filename),
            fix="compile the model again",
        ) from error
    return Artifact(files, manifest)


def _find_report(directory: Path) -> tuple[dict[str, object], list[str]] | None:
    """The manifest in `directory` and the paths of the artifact's files; None if it holds no artifact."""
    for path in sorted(directory.glob("*_report.json")):
        try:
            manifest = json.loads(path.read_bytes())
            paths = manifest.pop("files")
            if manifest["manifest_version"] == 1 and path.name in paths:
                return manifest, [p for p in paths if not Path(p).is_absolute() and ".." not in Path(p).parts]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def check_output_folder(directory: Path, *, force: bool = False) -> None:
    """Raise UsageError if `directory` exists (with `force`: if it holds anything but an artifact of tinycast)."""
    if not directory.exists():
        return
    if not force:
        raise UsageError("the output folder exists", where=str(directory), fix="choose another folder, or use --force")
    if not directory.is_dir():
        raise UsageError("the output is a file", where=str(directory), fix="choose another folder")
    entries = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_symlink() or not p.is_dir()}
    report = _find_report(directory)
    foreign = sorted(entries - set(report[1] if report else ()))
    if foreign:
        shown = ", ".join(foreign[:_SHOWN_FILES]) + (" …" if len(foreign) > _SHOWN_FILES else "")
        raise UsageError(
            f"the output folder holds files that tinycast did not write: {shown}",
            where=str(directory),
            fix="choose another folder, or remove these files yourself",
        )


def _make_parents(folder: Path) -> list[Path]:
    """Make `folder`; return the folders that were missing, the innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _write_and_rename(artifact: Artifact, directory: Path) -> None:
    token = secrets.token_hex(4)
    partial = directory.with_name(f".{directory.name}.{token}.partial")
    old = directory.with_name(f".{directory.name}.{token}.old")
    try:
        partial.mkdir()
        for name, content in artifact.files.items():
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if directory.exists():
            directory.rename(old)
        partial.rename(directory)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        if old.exists() and not directory.exists():
            old.rename(directory)
        raise
    shutil.rmtree(old, ignore_errors=True)
