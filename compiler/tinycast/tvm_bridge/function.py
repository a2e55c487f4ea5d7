"""A group of operators as one TVM function ready to be scheduled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import te, tirx
from tvm.s_tir import Schedule

__all__ = ["Schedule", "scalar", "schedule_of"]


def scalar(name: str) -> Any:
    """A parameter passed by value (int32)."""
    return tirx.Var(name, "int32")


def schedule_of(parameters: Sequence[Any]) -> Schedule:
    """The schedule of the function that computes the last of `parameters` from the others."""
    function = te.create_prim_func(list(parameters)).with_attr("global_symbol", "kernel")
    schedule = Schedule(tvm.IRModule({"kernel": function}))
    schedule.work_on("kernel")
    return schedule
