"""Tuning a model: its kernels are searched at the same time, and what is found is checked in the whole network."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinycast.errors import InternalError, UsageError, VerificationError
from tinycast.execute.inputs import random_inputs
from tinycast.ir.kernel import Compiled
from tinycast.model.files import write_whole
from tinycast.pipeline import build
from tinycast.schedule.choice import Choice, choices_of
from tinycast.schedule.tuning import Asked, Database, Tuning, core_key, shipped
from tinycast.target.types import Target
from tinycast.tune.measure import KernelTask, Measure, Measured, NetworkFigures, agree, counting_driver, measure_choice
from tinycast.tune.policy import Policy
from tinycast.tune.search import Found, search

_FLOAT_TOLERANCE = 1e-4  # of the largest output: layers add up
Make = Callable[[Tuning], Compiled]  # compiles the model
Save = Callable[[Database], None]
Tell = Callable[[str, int, int], None]  # what is being done, steps done, steps in all


@dataclass(frozen=True)
class TuneReport:
    """What tuning a model found. `kept`: kernels that the database had already; `dropped`: found, but not used."""

    database: Database
    found: Mapping[str, Found]  # by kernel
    titles: Mapping[str, str]
    kept: int
    dropped: tuple[str, ...]
    before: NetworkFigures
    after: NetworkFigures


@dataclass
class _Job:
    """The search of one kernel."""

    task: KernelTask
    steps: Generator[list[Choice], list[Measured], Found]
    results: list[Measured | None] = field(default_factory=list)


def tune(
    make: Make,
    target: Target,
    database: Database,
    executor: Executor,
    *,
    measure: Measure,
    policy: Policy,
    save: Save,
    tell: Tell,
    base: Sequence[Database] | None = None,
) -> TuneReport:
    """Search all kernels of the model that `make` compiles; `save` is called with the database after each of them.

    Entries that the database has are not searched again, if they were chosen by the same measure. Where the network
    becomes what `policy` does not allow, entries are dropped, those first that save least. `base`: the databases that
    come after this one, by default the shipped one.
    """
    base = [shipped()] if base is None else base
    if measure is Measure.CYCLES and not target.cycle_rules:
        raise UsageError(f"there are no cycle rules for {target.name}", where="--measure", fix="use instructions")
    tell(f"compiling for {target.name} and running as it is", 0, 1)
    tuning = Tuning(base)
    usual = make(tuning)
    outputs, before = _run(usual)
    tasks = list(_tasks(tuning.asked, target))
    core = core_key(target)
    known = database.entries.get(core, {})
    open_tasks = [task for task in tasks if known.get(task.key, {}).get("measure") != measure.value]
    found: dict[str, Found] = {}
    tell(f"measuring {len(open_tasks)} kernels", 0, len(open_tasks))
    for task, result in _search_all(open_tasks, executor, measure, policy):
        if result.usual.failure:
            # Kernels of streamed rows may read past what the reference sees: they stay as they are.
            tell(f"left {task.title} as it is: {result.usual.failure}", len(found), len(open_tasks))
            continue
        found[task.key] = result
        database = database.with_entry(core, task.key, _entry(result, measure))
        save(database)
        tell(f"measured {task.title}: {_gain(result, measure)}", len(found), len(open_tasks))
    tell("checking the whole network", len(found), len(open_tasks))
    dropped: list[str] = []
    while True:
        tuned_outputs, after = _run(make(Tuning([database, *base])))
        _compare(outputs, tuned_outputs)
        used = [task.key for task in tasks if _is_changed(database, core, task) and task.key not in dropped]
        if not used or policy.keeps(after, before):
            break
        least = min(used, key=lambda key: _saved(database.entries[core][key]))
        dropped.append(least)
        task = next(task for task in tasks if task.key == least)
        entry = {**database.entries[core][least], "choice": _choices(task)[0].described(), "dropped": True}
        database = database.with_entry(core, least, entry)
        save(database)
    titles = {task.key: task.title for task in tasks}
    return TuneReport(database, found, titles, len(tasks) - len(open_tasks), tuple(dropped), before, after)


def write_database(database: Database, file: Path) -> None:
    """Write the file as a whole or not at all. Raises UsageError where it cannot be written."""
    write_whole(file, database.text().encode(), "the tuning database")


def check_writable(file: Path) -> None:
    """Raise UsageError where the file could not be written."""
    if not os.access(file.parent, os.W_OK) or file.is_dir():
        raise UsageError(
            "the tuning database cannot be written: no folder that can be written to",
            where=str(file),
            fix="name another file",
        )


def _tasks(asked: Mapping[str, Asked], target: Target) -> Iterator[KernelTask]:
    """The kernels that there is a choice for."""
    for key, kernel in asked.items():
        anchor = None if kernel.anchor is None else kernel.calls.index(kernel.anchor)
        task = KernelTask(key, kernel.calls, anchor, target)
        if len(_choices(task)) > 1:
            yield task


def _choices(task: KernelTask) -> list[Choice]:
    return choices_of(task.calls, None if task.anchor is None else task.calls[task.anchor], task.target)


def _search_all(
    tasks: Sequence[KernelTask], executor: Executor, measure: Measure, policy: Policy
) -> Iterator[tuple[KernelTask, Found]]:
    """Search all kernels at once; yields each when it is done."""
    running: dict[Future[Measured], tuple[_Job, int]] = {}

    def submit(job: _Job, wanted: Sequence[Choice]) -> None:
        job.results = [None] * len(wanted)
        for index, choice in enumerate(wanted):
            running[executor.submit(measure_choice, job.task, choice)] = (job, index)

    for task in tasks:
        job = _Job(task, search(_choices(task), measure, policy))
        submit(job, next(job.steps))
    while running:
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            job, index = running.pop(future)
            try:
                job.results[index] = future.result()
            except BrokenProcessPool as error:
                raise InternalError(
                    "a measuring process ended by itself", where=job.task.title, fix="use --jobs 1; memory may be short"
                ) from error
            results = [result for result in job.results if result is not None]
            if len(results) == len(job.results):
                try:
                    submit(job, job.steps.send(results))
                except StopIteration as finished:
                    yield job.task, finished.value


def _entry(found: Found, measure: Measure) -> dict[str, Any]:
    return {
        "choice": found.best.choice.described(),
        "measure": measure.value,
        "usual": found.usual.cost(measure),
        "tuned": found.best.cost(measure),
    }


def _gain(found: Found, measure: Measure) -> str:
    before, after = found.usual.cost(measure), found.best.cost(measure)
    return (
        f"{before:,} -> {after:,} {measure.value}" if after < before else f"{before:,} {measure.value}, no better one"
    )


def _is_changed(database: Database, core: str, task: KernelTask) -> bool:
    entry = database.entries.get(core, {}).get(task.key)
    return entry is not None and entry.get("choice") != _choices(task)[0].described()


def _saved(entry: Mapping[str, Any]) -> int:
    return int(entry.get("usual", 0)) - int(entry.get("tuned", 0))


def _run(compiled: Compiled) -> tuple[Mapping[str, Any], NetworkFigures]:
    """One inference on the emulated core."""
    artifact = build(compiled)
    driver = counting_driver(compiled.target)
    manifest = artifact.manifest
    measured = driver.run(artifact.files, manifest, random_inputs(manifest, 1))
    if measured.instructions is None:
        raise UsageError(
            f"{driver.name} counts no instructions of {compiled.target.name}",
            where="--target",
            fix="tune for a core that is emulated: see `tinycast targets`",
        )
    sizes = measured.sizes
    return measured.outputs, NetworkFigures(
        measured.instructions,
        measured.cycles_estimate,
        manifest["arena_bytes"],
        sizes.flash_bytes if sizes else _module_bytes(artifact.files),
        measured.stack_bytes,
    )


def _module_bytes(files: Mapping[str, bytes]) -> int:
    return sum(len(content) for path, content in files.items() if path.endswith(".wasm"))


def _compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    for name, expected in before.items():
        actual = after[name]
        if not agree(actual, expected, _FLOAT_TOLERANCE):
            raise VerificationError(
                f"the tuned network gives other values of {name}",
                where="tune",
                fix="report this as a bug of tinycast, with the model and the database",
            )
