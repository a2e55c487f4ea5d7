"""What runs the measurements: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import tinycast
from tinycast.errors import ToolMissingError, UsageError

PROCESSES = "processes"
_DASK = re.compile(r"dask://(?P<address>[^/\s]+:\d+)")
_CONNECT_SECONDS = 10
INSTALL_DASK = "pip install 'tinycast[dask]'"


@contextmanager
def open_executor(name: str, jobs: int | None = None) -> Iterator[Executor]:
    """The executor called `name`: "processes" (`jobs` of them; a core each by default), or "dask://HOST:PORT".

    Left by an exception it drops what has not begun. Raises UsageError for an unknown name or a cluster that cannot be
    used, ToolMissingError without Dask.
    """
    if name == PROCESSES:
        executor: Executor = ProcessPoolExecutor(
            jobs or os.cpu_count() or 1,
            # Forked processes would share TVM's threads.
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_follow_parent,
        )
        with _dropping(executor):
            yield executor
        return
    match = _DASK.fullmatch(name)
    if match is None:
        raise UsageError(
            f"unknown executor {name!r}", where="--executor", fix=f"use {PROCESSES} or dask://HOST:PORT (a scheduler)"
        )
    if jobs is not None:
        raise UsageError("a Dask cluster has its own number of workers", where="--jobs", fix="leave --jobs out")
    with _dask_client(name, match["address"]) as client, _dropping(client.get_executor(pure=False)) as executor:
        yield executor


@contextmanager
def _dropping(executor: Executor) -> Iterator[Executor]:
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()


def _follow_parent() -> None:
    """Leave interrupts to the parent, and end when it ends, however that is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _dask_client(name: str, address: str) -> Iterator[Any]:
    """A client of the cluster, whose workers are known to have this version."""
    try:
        import distributed
    except ImportError as error:
        raise ToolMissingError("Dask is not installed", where=f"--executor {name}", fix=INSTALL_DASK) from error
    connect: Any = distributed.Client
    try:
        client = connect(f"tcp://{address}", timeout=_CONNECT_SECONDS, set_as_default=False)
    except OSError as error:
        raise UsageError(
            f"no Dask scheduler answers in {_CONNECT_SECONDS} s",
            where=f"--executor {name}",
            fix="start one with `dask scheduler` and workers with `dask worker HOST:PORT`",
        ) from error
    try:
        _check_workers(client, name)
        yield client
    finally:
        client.close()


def _check_workers(client: Any, name: str) -> None:
    try:
        versions: dict[str, str] = client.run(_version)
    except Exception as error:
        raise UsageError(
            f"a worker of the cluster cannot import tinycast: {error}",
            where=f"--executor {name}",
            fix="install the same version of tinycast, with its compilers and emulators, on all workers",
        ) from error
    if not versions:
        raise UsageError("the Dask cluster has no workers", where=f"--executor {name}", fix="start `dask worker`")
    others = {worker: version for worker, version in versions.items() if version != tinycast.__version__}
    if others:
        worker, version = min(others.items())
        raise UsageError(
            f"worker {worker} has tinycast {version}, here it is {tinycast.__version__}",
            where=f"--executor {name}",
            fix="install the same version everywhere",
        )


def _version() -> str:
    return tinycast.__version__
