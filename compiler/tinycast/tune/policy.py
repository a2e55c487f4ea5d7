"""What a schedule may cost besides the time that it saves."""

from __future__ import annotations

from enum import Enum

from tinycast.tune.measure import Measured, NetworkFigures


class Policy(Enum):
    """Which choices may be taken, and which networks."""

    ALLOW_RAM = "allow ram"  # all that save time
    KEEP_RAM = "keep ram"  # those that need no more RAM
    KEEP_ALL = "keep all"  # those that need no more of anything: for schedules that nobody asked for

    def accepts(self, choice: Measured, usual: Measured) -> bool:
        """Whether a choice may take the place of the usual one."""
        if self is Policy.ALLOW_RAM:
            return True
        keeps_ram = (
            choice.scratch_bytes <= usual.scratch_bytes
            and set(usual.in_place) <= set(choice.in_place)
            and _reaches_as_far(choice, usual)
        )
        if self is Policy.KEEP_RAM:
            return keeps_ram
        return (
            keeps_ram
            and choice.instructions <= usual.instructions
            and (choice.cycles or 0) <= (usual.cycles or 0)
            and choice.text_bytes <= usual.text_bytes
            and choice.stack_bytes <= usual.stack_bytes
        )

    def keeps(self, after: NetworkFigures, before: NetworkFigures) -> bool:
        """Whether a network may become what it is `after`."""
        if after.instructions > before.instructions:
            return False
        if self is Policy.ALLOW_RAM:
            return True
        if self is Policy.KEEP_RAM:
            return after.arena_bytes <= before.arena_bytes
        return (
            (after.cycles_estimate or 0) <= (before.cycles_estimate or 0)
            and after.arena_bytes <= before.arena_bytes
            and after.flash_bytes <= before.flash_bytes
            and (after.stack_bytes or 0) <= (before.stack_bytes or 0)
        )


def _reaches_as_far(choice: Measured, usual: Measured) -> bool:
    """Whether the output may grow as far into each input."""
    distances = {(output, of): distance for output, of, distance in choice.overlap}
    return all(distances.get((o, i), d + 1) <= d for o, i, d in usual.overlap)
