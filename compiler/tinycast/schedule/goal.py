"""What a user wants the compiler to save."""

from __future__ import annotations

from enum import Enum


class Optimize(Enum):
    """What a user wants."""

    TIME = "time"  # rows instead of whole layers only where that is as fast, or the RAM given too little
    SIZE = "size"  # less code: smaller tiles
    RAM = "ram"  # the least RAM that takes no more than a tenth more time
