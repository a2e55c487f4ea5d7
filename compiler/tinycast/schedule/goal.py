"""What a user wants the compiler to save."""

from __future__ import annotations

from enum import Enum


class Optimize(Enum):
    """What a user wants."""

    TIME = "time"  # layers as a whole, unless the RAM given is too little for that
    SIZE = "size"  # less code: smaller tiles
    RAM = "ram"  # the least RAM that takes no more than a tenth more time
