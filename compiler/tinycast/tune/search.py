"""The search for a kernel's schedule: from the cost model's choice on, one field after the other."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, fields

from tinycast.schedule.choice import Choice
from tinycast.tune.measure import Measure, Measured
from tinycast.tune.policy import Policy

_MOST_PASSES = 2
_LEAST_GAIN = 0.002  # of what a choice costs: less is not worth another schedule


@dataclass(frozen=True)
class Found:
    """The best choice for a kernel, and the cost model's own. `failures`: choices that cannot be used, and why."""

    best: Measured
    usual: Measured
    failures: tuple[Measured, ...]
    measured: int  # choices


def search(
    choices: Sequence[Choice], measure: Measure, policy: Policy
) -> Generator[list[Choice], list[Measured], Found]:
    """Yields choices to measure, takes what they cost, and returns what was found. The first choice is the usual one.

    From the best choice so far the others that differ in one field only are measured, field by field, until a pass
    over all fields finds nothing better. Choices of another tile keep of the other fields what they can.
    """
    known: dict[Choice, Measured] = {}
    (usual,) = yield [choices[0]]
    known[choices[0]] = best = usual
    names = [item.name for item in fields(Choice)]
    for _ in range(_MOST_PASSES if not usual.failure else 0):
        before = best
        for name in names:
            wanted = [c for c in _variations(choices, best.choice, name) if c not in known]
            if wanted:
                known.update(zip(wanted, (yield wanted), strict=True))
            usable = [m for m in known.values() if not m.failure and policy.accepts(m, usual)]
            best = min([usual, *usable], key=lambda m: (m.cost(measure), m.text_bytes, choices.index(m.choice)))
        if best is before:
            break
    if best.cost(measure) > usual.cost(measure) * (1 - _LEAST_GAIN):
        best = usual
    return Found(best, usual, tuple(m for m in known.values() if m.failure), len(known))


def _variations(choices: Sequence[Choice], choice: Choice, name: str) -> list[Choice]:
    """Of each other value that the field has, the choice that is most like `choice`."""
    closest: dict[object, Choice] = {}
    for other in choices:
        value = getattr(other, name)
        if value == getattr(choice, name):
            continue
        if name != "tile" and _differences(other, choice) > 1:
            continue
        if value not in closest or _differences(other, choice) < _differences(closest[value], choice):
            closest[value] = other
    return list(closest.values())


def _differences(one: Choice, other: Choice) -> int:
    return sum(getattr(one, item.name) != getattr(other, item.name) for item in fields(Choice))
