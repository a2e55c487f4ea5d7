"""Packages on disk: whole or not at all, and nothing of the user's lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from emit.small_model import small_model
from tinycast.artifact import Artifact
from tinycast.emit import emit_c, seal
from tinycast.errors import UsageError
from tinycast.package import read_artifact, write_artifact


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return emit_c(small_model())


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every path below `folder` with its content."""
    paths = sorted(folder.rglob("*"))
    return {p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() else None for p in paths}


def test_what_is_written_is_read_back(artifact: Artifact, tmp_path: Path) -> None:
    write_artifact(artifact, tmp_path / "deep" / "out")
    assert read_artifact(tmp_path / "deep" / "out") == artifact
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]
    files = {path for path, content in tree(tmp_path / "deep" / "out").items() if content is not None}
    assert files == set(artifact.files)


def test_an_existing_folder_is_left_alone(artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="exists") as caught:
        write_artifact(artifact, tmp_path / "out")
    assert caught.value.exit_code == 2
    assert "--force" in caught.value.fix
    assert tree(tmp_path) == before


def test_force_replaces_what_tinycast_wrote(artifact: Artifact, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_artifact(seal(artifact.manifest, {**artifact.files, "src/tc_stale.h": b"old"}), out)
    write_artifact(artifact, out, force=True)
    assert not (out / "src" / "tc_stale.h").exists()
    assert read_artifact(out) == artifact
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_force_fills_an_empty_folder(artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_artifact(artifact, tmp_path / "out", force=True)
    assert read_artifact(tmp_path / "out") == artifact


@pytest.mark.parametrize("was_compiled", [True, False])
def test_force_refuses_to_remove_files_of_the_user(artifact: Artifact, tmp_path: Path, was_compiled: bool) -> None:
    out = tmp_path / "out"
    if was_compiled:
        write_artifact(artifact, out)
    else:
        out.mkdir()
    (out / "main.c").write_text("int main(void) { return 0; }\n")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match=r"did not write: main\.c"):
        write_artifact(artifact, out, force=True)
    assert tree(tmp_path) == before


def test_force_refuses_a_file_or_someone_elses_report(artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        write_artifact(artifact, tmp_path / "file", force=True)
    (tmp_path / "out").mkdir()
    for content in ("{}", "[1]", "not json", '{"files": 3, "manifest_version": 1}'):
        (tmp_path / "out" / "sales_report.json").write_text(content)
        before = tree(tmp_path)
        with pytest.raises(UsageError, match=r"sales_report\.json"):
            write_artifact(artifact, tmp_path / "out", force=True)
        assert tree(tmp_path) == before


@pytest.mark.parametrize("parent", ["file", "/proc/tinycast"])
def test_an_unwritable_parent_is_a_usage_error(artifact: Artifact, tmp_path: Path, parent: str) -> None:
    (tmp_path / "file").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="cannot be written") as caught:
        write_artifact(artifact, tmp_path / parent / "out")
    assert caught.value.exit_code == 2
    assert tree(tmp_path) == before


def test_a_failed_write_leaves_nothing_and_keeps_the_old(artifact: Artifact, tmp_path: Path) -> None:
    broken = Artifact({**artifact.files, "src": b"a file where a folder must be"}, artifact.manifest)
    with pytest.raises(UsageError, match="cannot be written"):
        write_artifact(broken, tmp_path / "a" / "b" / "out")
    assert tree(tmp_path) == {}
    write_artifact(artifact, tmp_path / "out")
    before = tree(tmp_path)
    with pytest.raises(UsageError, match="cannot be written"):
        write_artifact(broken, tmp_path / "out", force=True)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("force", [False, True])
def test_ctrl_c_leaves_nothing_behind(artifact: Artifact, tmp_path: Path, force: bool) -> None:
    script = textwrap.dedent(
        """
        import os, signal, sys
        from collections.abc import Mapping
        from pathlib import Path
        from tinycast.artifact import Artifact
        from tinycast.package import write_artifact

        class Files(Mapping):
            \"\"\"Presses Ctrl-C while the third file is asked for.\"\"\"
            names = [f"src/{i}.c" for i in range(5)]
            def __len__(self): return len(self.names)
            def __iter__(self): return iter(self.names)
            def __getitem__(self, name):
                if name == "src/2.c":
                    print(sorted(p.name for p in Path("deep").rglob("*.c")), flush=True)
                    os.kill(os.getpid(), signal.SIGINT)
                return b"int x;"

        write_artifact(Artifact(Files(), {}), Path("deep/out"), force=sys.argv[1] == "True")
        """
    )
    if force:
        write_artifact(artifact, tmp_path / "deep" / "out")
    before = tree(tmp_path)
    done = subprocess.run([sys.executable, "-c", script, str(force)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == -signal.SIGINT, done.stderr
    assert "'0.c', '1.c'" in done.stdout
    assert tree(tmp_path) == before


def test_what_is_no_package_is_refused(artifact: Artifact, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder written by tinycast"):
        read_artifact(tmp_path)
    with pytest.raises(UsageError, match="not a folder written by tinycast"):
        read_artifact(tmp_path / "missing")
    write_artifact(artifact, tmp_path / "out")
    (tmp_path / "out" / "src" / "tiny.c").unlink()
    with pytest.raises(UsageError, match="cannot be read") as caught:
        read_artifact(tmp_path / "out")
    assert caught.value.where.endswith("tiny.c")


def test_a_report_cannot_name_files_outside_of_its_folder(artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    write_artifact(artifact, tmp_path / "out")
    evil = seal(artifact.manifest, {**artifact.files, "../secret": b"x", str(tmp_path / "secret"): b"x"})
    (tmp_path / "out" / "tiny_report.json").write_bytes(evil.files["tiny_report.json"])
    assert set(read_artifact(tmp_path / "out").files) == set(artifact.files)
