"""The choices of a kernel's schedule, the keys of kernels, and the search among choices."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from tinycast.ir.graph import Tile
from tinycast.schedule.choice import Choice, choices_of
from tinycast.schedule.tuning import Database, Tuning, core_key
from tinycast.target.load import all_targets, load_target
from tinycast.tune.measure import KernelTask, Measure, Measured, measure_choice
from tinycast.tune.policy import Policy
from tinycast.tune.search import Found, search
from tune_models import CORE, image_net, product_net, tasks_of

ALL_CORES = ("cortex-m0plus", "cortex-m4", "cortex-m55", "rv32imc", "wasm32")


def choices(task: KernelTask) -> list[Choice]:
    return choices_of(task.calls, None if task.anchor is None else task.calls[task.anchor], task.target)


@pytest.mark.parametrize("core", ALL_CORES)
def test_every_choice_has_a_description_of_its_own(core: str) -> None:
    for task in tasks_of(image_net(), core):
        described = [json.dumps(choice.described(), sort_keys=True) for choice in choices(task)]
        assert len(set(described)) == len(described), task.title


def test_the_choice_of_a_database_is_found_again() -> None:
    task = tasks_of(image_net())[0]
    anchor = task.calls[task.anchor or 0]
    usual, *others = choices(task)
    unchanged = {"choice": usual.described()}
    core, asked = core_key(task.target), (task.calls, anchor, task.target)
    assert Tuning([Database("none")]).find(*asked) is None
    for choice in (others[0], others[-1]):
        first = Database("mine").with_entry(core, task.key, json.loads(json.dumps({"choice": choice.described()})))
        second = Database("other").with_entry(core, task.key, {"choice": others[1].described()})
        tuned = Tuning([first, second]).find(*asked)
        assert tuned is not None
        assert (tuned.choice, tuned.origin) == (choice, "mine")
        assert Tuning([first]).find(task.calls, anchor, load_target("cortex-m4")) is None
        assert Tuning([Database("mine").with_entry(core, task.key, unchanged), first]).find(*asked) is None


def test_keys_of_kernels_say_shapes_but_no_numbers() -> None:
    first, second = (tasks_of(product_net(outputs))[0].key for outputs in (6, 7))
    assert "int8[6,8]" in first
    assert first != second
    again = product_net(6)
    assert tasks_of(again)[0].key == first
    assert not any(task.key.count("net") or "w0" in task.key for task in tasks_of(image_net()))


def test_cores_of_equal_features_share_their_entries() -> None:
    keys = {target.name: core_key(target) for target in all_targets()}
    assert all(name not in key.split() for name, key in keys.items())
    core = load_target("cortex-m4")
    assert core_key(replace(core, name="another", ram_bytes=1)) == keys["cortex-m4"]
    assert core_key(replace(core, accumulators=2)) != keys["cortex-m4"]


def cost(choice: Choice) -> int:
    """Least for four positions, eight terms and kept rows."""
    return 100 + 5 * abs(choice.tile.positions - 4) + abs(choice.terms - 8) + 3 * (not choice.keep_rows)


def run_search(known: list[Choice]) -> Found:
    steps = search(known, Measure.INSTRUCTIONS, Policy.KEEP_RAM)
    wanted = next(steps)
    while True:
        try:
            # Rows cannot be kept with one position: a choice that cannot be used is never the best.
            wanted = steps.send(
                [
                    Measured(c, cost(c), scratch_bytes=c.tile.channels, failure="" if c.tile.positions > 1 else "no")
                    for c in wanted
                ]
            )
        except StopIteration as done:
            found: Found = done.value
            return found


def test_search_changes_one_field_after_the_other() -> None:
    known = [
        Choice(Tile(positions, channels), terms, keep_rows=keep)
        for positions in (2, 1, 4, 8)
        for channels in (1, 2)
        for terms in (4, 1, 2, 8)
        for keep in (False, True)
    ]
    found = run_search(known)
    assert found.usual.choice == known[0]
    assert found.best.choice == Choice(Tile(4, 1), 8, keep_rows=True)  # two channels take more memory
    assert found.measured < len(known)
    assert all(failed.choice.tile.positions == 1 for failed in found.failures)


def test_search_keeps_the_usual_where_little_is_gained() -> None:
    usual = Choice(Tile(4), 8, keep_rows=True)
    found = run_search([usual, *(replace(usual, terms=terms) for terms in (4, 16))])
    assert found.best is found.usual


def check_choice(task: KernelTask, choice: Choice) -> None:
    measured = measure_choice(task, choice)
    assert not measured.failure, f"{task.title} {choice.described()}: {measured.failure}"
    assert measured.instructions > 0


def test_some_choices_give_the_references_bytes() -> None:
    for task in tasks_of(image_net()):
        for choice in choices(task)[-1:]:
            check_choice(task, choice)


@pytest.mark.slow
@pytest.mark.parametrize("core", ALL_CORES)
def test_all_choices_give_the_references_bytes(core: str) -> None:
    count = 0
    for task in tasks_of(image_net(), core):
        for choice in choices(task):
            check_choice(task, choice)
            count += 1
    assert count > 50


def test_every_field_of_a_choice_is_searched() -> None:
    assert {item.name for item in fields(Choice)} == {
        "tile",
        "terms",
        "whole_window",
        "keep_rows",
        "channels_outside",
    }
    varied = {
        item.name
        for task in tasks_of(image_net(), CORE)
        for item in fields(Choice)
        if len({getattr(choice, item.name) for choice in choices(task)}) > 1
    }
    assert varied == {item.name for item in fields(Choice)}
