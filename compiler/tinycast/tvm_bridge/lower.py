"""A scheduled function to its lowered loops: TVM's own passes, less those for GPUs and the packed API."""

from __future__ import annotations

from functools import cache
from typing import Any

import tvm
from tvm import s_tir, tirx
from tvm.target import Target

from tinycast.tvm_bridge.copies import Copies, use_memory_functions
from tinycast.tvm_bridge.lane_stores import pair_stores
from tinycast.tvm_bridge.lanes import use_lanes
from tinycast.tvm_bridge.plane_kernels import use_planes
from tinycast.tvm_bridge.rolling import parallel_again
from tinycast.tvm_bridge.start_values import start_from_addends
from tinycast.tvm_bridge.unswitch import unswitch

PrimFunc = Any  # tvm.tirx.PrimFunc


@cache
def _pipeline() -> Any:
    c_target = Target("c")
    return tvm.ir.transform.Sequential(
        [
            tirx.transform.BindTarget(c_target.with_host(c_target)),
            s_tir.transform.CanonicalizeLoop(),
            s_tir.transform.LowerInitBlock(),
            s_tir.transform.PlanAndUpdateBufferAllocationLocation(),
            s_tir.transform.ConvertBlocksToOpaque(),
            s_tir.transform.CompactBufferAllocation(),
            s_tir.transform.LowerMatchBuffer(),
            s_tir.transform.StmtSimplify(),
            s_tir.transform.LowerOpaqueBlock(),
            tirx.transform.FlattenBuffer(),
            tirx.transform.NarrowDataType(32),
        ]
    )


@cache
def _place_temporaries() -> Any:
    return tvm.ir.transform.Sequential(
        [
            s_tir.transform.LoopPartition(),
            tirx.transform.StorageRewrite(),
            s_tir.transform.HoistIfThenElse(),
            tirx.transform.UnrollLoop(),
            s_tir.transform.RenormalizeSplitPattern(),
            tirx.transform.StmtSimplify(),
            tirx.transform.RemoveNoOp(),
            s_tir.transform.RewriteUnsafeSelect(),
        ]
    )


@cache
def _clean_up() -> Any:
    return tvm.ir.transform.Sequential(
        [
            tirx.transform.ConvertSSA(),  # loops that were split share their variable
            tirx.transform.StmtSimplify(),
            tirx.transform.CommonSubexprElim(),
            tirx.transform.LowerIntrin(),
        ]
    )


def lower(module: Any, copies: Copies, *, pairs_lanes: bool = False) -> PrimFunc:
    """The lowered body of the module's only function: flat buffers, plain loops, and calls that copy.

    `pairs_lanes`: the core narrows two vectors of int32 to bytes at once.
    """
    (function,) = module.functions.values()
    flat = _run(_pipeline(), _module(function.with_body(parallel_again(function.body))))
    placed = _run(_place_temporaries(), _module(flat.with_body(use_lanes(use_planes(flat.body)))))
    moved = start_from_addends(use_memory_functions(unswitch(placed.body), copies))
    if pairs_lanes:
        moved = pair_stores(moved)
    return _run(_clean_up(), _module(placed.with_body(moved)))


def _module(function: PrimFunc) -> Any:
    return tvm.IRModule({"kernel": function})


def _run(passes: Any, module: Any) -> PrimFunc:
    (function,) = passes(module).functions.values()
    return function
