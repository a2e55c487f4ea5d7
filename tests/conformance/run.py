"""Runs ONNX's own test cases through the compiler and writes docs/operators.md and docs/operators.json.

    python tests/conformance/run.py [--jobs N] [--target TARGET] [--failed] [--stride N] [PATTERN ...]

Results are kept under .cache/conformance by the content of the compiler and of the case, so that an interrupted run
goes on where it stopped. Without --target each case runs in C on the host and in WASM under wasmtime. With patterns
(parts of names), --failed, --stride or --target only those cases run, and no file is written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection, wait
from pathlib import Path

from cases import Case, Class, all_cases
from check import Outcome, check
from operator_table import RECORDS, write_tables

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "conformance"
TARGETS = tuple(RECORDS)
_SOURCES = ("compiler/tinycast", "runtime_c", "templates", "targets", "tests/conformance")
_LIMIT_SECONDS = 90


def main() -> int:
    """Run what is asked for; 0 unless a case that the tables call passing fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", help="only cases with one of these in their name")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--target", choices=TARGETS, help="only there")
    parser.add_argument(
        "--failed", action="store_true", help="only cases that docs/operators.json does not call passing"
    )
    parser.add_argument("--stride", type=int, default=1, help="only every Nth case")
    parser.add_argument("--exact", action="store_true", help="patterns are whole operator names")
    arguments = parser.parse_args()
    cases = [c for c in all_cases() if c.kind is not Class.OTHER]
    targets = (arguments.target,) if arguments.target else TARGETS
    chosen = [c for c in cases if _is_chosen(c, arguments.patterns, arguments.exact)][:: arguments.stride]
    start = time.monotonic()
    outcomes: dict[str, dict[str, Outcome]] = {}
    lost = 0
    for target in targets:
        recorded = recorded_as_passing(target)
        asked = [c for c in chosen if not (arguments.failed and c.name in recorded)]
        outcomes[target] = found = run_all(asked, arguments.jobs, target)
        if len(asked) < len(cases):
            for name, outcome in sorted(found.items()):
                if not outcome.passed:
                    print(f"{target}: {name}: {outcome.reason}")
        _summarize(asked, found, target)
        for name in sorted(n for n, o in found.items() if n in recorded and not o.passed):
            print(f"passed before: {target}: {name}: {found[name].reason}")
            lost += 1
    print(f"{time.monotonic() - start:.0f} s")
    if targets == TARGETS and all(len(found) == len(cases) for found in outcomes.values()):
        write_tables(cases, outcomes, ROOT / "docs")
    return 1 if lost else 0


def recorded_as_passing(target: str) -> set[str]:
    """The names of the cases that docs/operators.json says pass."""
    record = ROOT / "docs" / "operators.json"
    return set(json.loads(record.read_text(encoding="utf-8")).get(RECORDS[target], ())) if record.exists() else set()


def _is_chosen(case: Case, patterns: Sequence[str], exact: bool) -> bool:
    if exact:
        return case.operator in patterns
    return not patterns or any(p in case.name for p in patterns)


def _summarize(cases: Iterable[Case], outcomes: dict[str, Outcome], target: str) -> None:
    total = Counter(c.kind for c in cases)
    passed = Counter(c.kind for c in cases if outcomes[c.name].passed)
    for kind in total:
        print(f"{target}: {kind.value}: {passed[kind]} of {total[kind]} pass")


def sources_digest() -> str:
    """A hash of everything that decides what a case's result is, besides the case."""
    content = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                content.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return content.hexdigest()


def run_all(cases: Sequence[Case], jobs: int, target: str) -> dict[str, Outcome]:
    """The outcome of every case on a target, from the cache where the compiler has not changed since."""
    folder = CACHE / sources_digest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    outcomes: dict[str, Outcome] = {}
    pending: list[Case] = []
    for case in cases:
        path = _stored(folder, case, target)
        if path.exists():
            stored = json.loads(path.read_text())
            outcomes[case.name] = Outcome(stored["passed"], stored["reason"], tuple(stored["bound"]))
        else:
            pending.append(case)
    workers = [_Worker(cases, target) for _ in range(min(jobs, len(pending)))]
    try:
        for case, outcome in _work_off(pending, workers):
            outcomes[case.name] = outcome
            _stored(folder, case, target).write_text(json.dumps(asdict(outcome)))
    finally:
        for worker in workers:
            worker.stop()
    return outcomes


def _stored(folder: Path, case: Case, target: str) -> Path:
    return folder / f"{target}-{case.digest[:24]}.json"


def _work_off(pending: list[Case], workers: list[_Worker]) -> Iterator[tuple[Case, Outcome]]:
    done = 0
    while pending or any(w.case is not None for w in workers):
        for worker in workers:
            if worker.case is None and pending:
                worker.give(pending.pop(0))
        wait([w.pipe for w in workers if w.case is not None], timeout=1)
        for worker in workers:
            finished = worker.take()
            if finished is None:
                continue
            yield finished
            done += 1
            if sys.stderr.isatty() or done % 100 == 0:
                print(f"{done} done, {len(pending)} to go", file=sys.stderr)


class _Worker:
    """A process that checks cases, one at a time; a new one takes its place where one dies or hangs."""

    def __init__(self, cases: Sequence[Case], target: str) -> None:
        self._by_name = {c.name: c for c in cases}
        self._target = target
        self.case: Case | None = None
        self._begin()

    def _begin(self) -> None:
        # A fork has the cases already; collecting them takes seconds.
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._by_name, self._target), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, case: Case) -> None:
        self.case, self._since = case, time.monotonic()
        self.pipe.send(case.name)

    def take(self) -> tuple[Case, Outcome] | None:
        """The case and its outcome, if it is done."""
        case = self.case
        if case is None:
            return None
        outcome: Outcome | None = None
        try:
            if self.pipe.poll():
                outcome = self.pipe.recv()
        except EOFError:
            outcome = Outcome(False, "bug: the compiler crashed")
        if outcome is None and time.monotonic() - self._since > _LIMIT_SECONDS:
            outcome = Outcome(False, f"time-out: not done after {_LIMIT_SECONDS} s")
        if outcome is None:
            return None
        if outcome.reason.startswith(("bug: the compiler crashed", "time-out")):
            self.stop()
            self._begin()
        self.case = None
        return case, outcome

    def stop(self) -> None:
        """End the process and what it started: a C compiler, the compiled model."""
        assert self._process.pid is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _serve(pipe: Connection, cases: dict[str, Case], target: str) -> None:
    os.setpgid(0, 0)
    while True:
        pipe.send(check(cases[pipe.recv()], target))


if __name__ == "__main__":
    raise SystemExit(main())
