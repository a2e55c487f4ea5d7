"""`tinycast tune` on small models, as a user calls it: on an emulated core, in processes and on a Dask cluster."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tinycast.cli.main import run
from tinycast.errors import UsageError
from tinycast.execute.select import driver_for
from tinycast.schedule.tuning import read_database
from tinycast.target.load import load_target
from tinycast.tune.executor import open_executor
from tune_models import CORE, image_net, product_net, saved

START = [sys.executable, "-c", "from tinycast.cli.main import main; main()"]


def command(*arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command line."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = run([str(argument) for argument in arguments])
    return code, stdout.getvalue(), stderr.getvalue()


def succeed(*arguments: object) -> dict[str, Any]:
    code, stdout, stderr = command(*arguments, "--json")
    assert code == 0, stderr
    data: dict[str, Any] = json.loads(stdout)
    return data


@pytest.fixture(scope="module", autouse=True)
def _core() -> None:
    if not driver_for(load_target(CORE)).available():
        pytest.skip(f"needs an emulator of {CORE}")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(product_net(), tmp_path_factory.mktemp("image"), "image")


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(product_net(), tmp_path_factory.mktemp("product"), "product")


@pytest.fixture(scope="module")
def tuned(model: Path) -> dict[str, Any]:
    """What tuning says; the database is beside the model."""
    return succeed("tune", model, "--target", CORE, "--tuning", model.parent / "tuning.json", "--jobs", 2)


def test_tuning_takes_fewer_instructions_and_no_more_ram(tuned: dict[str, Any]) -> None:
    assert tuned["after"]["instructions"] < tuned["before"]["instructions"]
    assert tuned["after"]["arena_bytes"] <= tuned["before"]["arena_bytes"]
    assert any(entry["tuned"] < entry["usual"] for entry in tuned["kernels"])
    assert all(entry["measured"] > 1 and not entry["failures"] for entry in tuned["kernels"])


def test_compile_and_bench_use_the_database(model: Path, tuned: dict[str, Any], tmp_path: Path) -> None:
    """And say which layers do; the numbers are those that tuning told; the same database gives the same files."""
    database = model.parent / "tuning.json"
    measured = succeed("bench", model, "--target", CORE, "--tuning", database)
    assert measured["instructions"] == tuned["after"]["instructions"]
    contents = []
    for folder in ("one", "two"):
        succeed("compile", model, "--target", CORE, "-o", tmp_path / folder, "--tuning", database)
        paths = sorted(path for path in (tmp_path / folder).rglob("*") if path.is_file())
        contents.append({path.relative_to(tmp_path / folder): path.read_bytes() for path in paths})
    assert contents[0] == contents[1]
    report = json.loads((tmp_path / "one" / "image_report.json").read_bytes())
    assert any(layer["tuned"] == ["tuning.json"] for layer in report["layers"])
    assert not [note for note in report["notes"] if "tuning" in note]


def test_what_is_in_the_database_is_not_measured_again(model: Path, tuned: dict[str, Any]) -> None:
    database = model.parent / "tuning.json"
    before = database.read_bytes()
    again = succeed("tune", model, "--target", CORE, "--tuning", database, "--jobs", 1)
    assert again["kernels"] == []
    assert again["kept"] == len(tuned["kernels"])
    assert again["after"] == tuned["after"]
    assert database.read_bytes() == before


def test_dask_cluster_finds_the_same(product: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'tinycast[dask]'")
    files = [tmp_path / name for name in ("processes.json", "dask.json")]
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        address = cluster.scheduler_address.removeprefix("tcp://")
        done = succeed("tune", product, "--target", CORE, "--tuning", files[1], "--executor", f"dask://{address}")
    assert done["kernels"][0]["measured"] > 1
    succeed("tune", product, "--target", CORE, "--tuning", files[0], "--jobs", 1)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_interrupted_tuning_keeps_what_it_found(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    model = saved(image_net(), tmp_path_factory.mktemp("several"), "several")
    database = tmp_path / "tuning.json"
    given = ["tune", str(model), "--target", CORE, "--tuning", str(database), "--jobs", "1"]
    process = subprocess.Popen(
        [*START, *given], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    try:
        while time.monotonic() < deadline and process.poll() is None:
            if database.exists() and read_database(database).entries:
                break
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the measuring processes too
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGINT
    assert stderr.splitlines()[-1:] == ["interrupted"]
    assert "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == [database]
    (kernels,) = read_database(database).entries.values()
    assert 1 <= len(kernels) < 4


def is_running(process: int) -> bool:
    """Whether there is such a process that is no zombie."""
    try:
        return (
            Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rsplit(")")[-1].split()[0]
            != "Z"
        )
    except OSError:
        return False


def test_measuring_processes_end_with_a_killed_parent() -> None:
    with open_executor("processes", 1) as executor:
        worker = executor.submit(os.getpid).result(timeout=60)
        assert worker != os.getpid()
    script = (
        "import os\n"
        "from tinycast.tune.executor import open_executor\n"
        "if __name__ == '__main__':\n"
        "    with open_executor('processes', 1) as executor:\n"
        "        print(executor.submit(os.getpid).result(), flush=True)\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and is_running(int(done.stdout)):
        time.sleep(0.05)
    assert not is_running(int(done.stdout))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"format": "tinycast-tuning", "ver', "damaged"),
        ("[]", "no tuning database"),
        ('{"format": "tinycast-tuning", "version": 99, "cores": {}}', "version 99"),
        ('{"format": "tinycast-tuning", "version": 1, "cores": {"a": {"b": 1}}}', "damaged"),
    ],
)
def test_damaged_database_is_an_error(model: Path, tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "tuning.json"
    file.write_text(text, encoding="utf-8")
    for name in ("tune", "bench"):
        code, _, stderr = command(name, model, "--target", CORE, "--tuning", file)
        assert code == 2
        assert what in stderr
        assert str(file) in stderr
        assert "fix:" in stderr
    assert file.read_text(encoding="utf-8") == text


def test_stale_entries_are_left_out_with_a_note(model: Path, tuned: dict[str, Any], tmp_path: Path) -> None:
    """Entries that are no choices (any more): the same files as without them, but for the note."""
    data = json.loads((model.parent / "tuning.json").read_bytes())
    for kernels in data["cores"].values():
        for entry in kernels.values():
            entry["choice"] = {"positions": 77, "lanes": "many"}
    stale = tmp_path / "stale.json"
    stale.write_text(json.dumps(data), encoding="utf-8")
    told = succeed("compile", model, "--target", CORE, "-o", tmp_path / "stale", "--tuning", stale)
    succeed("compile", model, "--target", CORE, "-o", tmp_path / "usual")
    (note,) = (note for note in told["notes"] if "tuning" in note)
    assert note.startswith(f"{len(tuned['kernels'])} entries of the tuning database stale.json are not known")
    for path in (tmp_path / "usual" / "src").iterdir():
        assert (tmp_path / "stale" / "src" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("options", "what", "code"),
    [
        (("--target", CORE, "--executor", "threads"), "unknown executor 'threads'", 2),
        (("--target", CORE, "--executor", "dask://nowhere"), "unknown executor", 2),
        (("--target", CORE, "--executor", "dask://127.0.0.1:9", "--jobs", "2"), "its own number of workers", 2),
        (("--target", CORE, "--measure", "cycles"), "no cycle rules", 2),
        (("--target", "host"), "counts no instructions", 2),
        (("--target", CORE, "--tuning", "no/such/folder/tuning.json"), "cannot be written", 2),
    ],
)
def test_errors_say_what_and_what_to_do(
    product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], what: str, code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    done, _, stderr = command("tune", product, *options)
    assert done == code
    assert what in stderr
    assert "fix:" in stderr
    assert not list(tmp_path.iterdir())


def test_no_scheduler_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs Dask: pip install 'tinycast[dask]'")
    monkeypatch.setattr("tinycast.tune.executor._CONNECT_SECONDS", 1)
    with pytest.raises(UsageError, match="no Dask scheduler answers"), open_executor("dask://127.0.0.1:9"):
        pass
