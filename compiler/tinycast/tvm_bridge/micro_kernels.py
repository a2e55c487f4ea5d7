"""Micro-kernels: what each computes, as TVM matches it, and the call of runtime_c that takes its place."""

from __future__ import annotations

from functools import cache
from typing import Any

from tvm.s_tir import TensorIntrin
from tvm.script import tirx as T  # noqa: N812 - the name that TVM reads

# mypy: disable-error-code="untyped-decorator,no-untyped-def,valid-type,no-untyped-call,attr-defined,misc"


@cache
def widen(groups: int) -> str:
    """tc_widen: `groups` groups of four int8 to int16 in the order 0, 2, 1, 3. Returns the intrinsic's name."""
    if groups == 1:
        return _widen_one()
    length = groups * 4

    @T.prim_func(s_tir=True)
    def meaning(
        narrow: T.Buffer((length,), "int8", offset_factor=1), wide: T.Buffer((groups, 1, 4), "int16", offset_factor=1)
    ) -> None:
        with T.sblock("root"):
            T.reads(narrow[0:length])
            T.writes(wide[0:groups, 0, 0:4])
            for r, k in T.grid(groups, 4):
                with T.sblock("copy"):
                    vr, vk = T.axis.remap("SS", [r, k])
                    wide[vr, 0, vk] = T.Cast("int16", narrow[vr * 4 + vk % 2 * 2 + vk // 2])

    @T.prim_func(s_tir=True)
    def call(
        narrow: T.Buffer((length,), "int8", offset_factor=1),
        wide: T.Buffer((groups, 1, 4), "int16", offset_factor=1, strides=[T.int32(), T.int32(), 1]),
    ) -> None:
        with T.sblock("root"):
            T.reads(narrow[0:length])
            T.writes(wide[0:groups, 0, 0:4])
            T.evaluate(
                T.call_extern(
                    "int32", "tc_widen", wide.access_ptr("w"), narrow.access_ptr("r"), groups, wide.strides[0]
                )
            )

    return register(f"tinycast.widen_{groups}", meaning, call)


@cache
def _widen_one() -> str:
    @T.prim_func(s_tir=True)
    def meaning(
        narrow: T.Buffer((4,), "int8", offset_factor=1), wide: T.Buffer((4,), "int16", offset_factor=1)
    ) -> None:
        with T.sblock("root"):
            T.reads(narrow[0:4])
            T.writes(wide[0:4])
            for k in T.serial(4):
                with T.sblock("copy"):
                    vk = T.axis.remap("S", [k])
                    wide[vk] = T.Cast("int16", narrow[vk % 2 * 2 + vk // 2])

    @T.prim_func(s_tir=True)
    def call(narrow: T.Buffer((4,), "int8", offset_factor=1), wide: T.Buffer((4,), "int16", offset_factor=1)) -> None:
        with T.sblock("root"):
            T.reads(narrow[0:4])
            T.writes(wide[0:4])
            T.evaluate(T.call_extern("int32", "tc_widen", wide.access_ptr("w"), narrow.access_ptr("r"), 1, 4))

    return register("tinycast.widen_1", meaning, call)


@cache
def dot_2x2(groups: int) -> str:
    """tc_dot_2x2: two widened positions times two channels, four int32 sums."""

    @T.prim_func(s_tir=True)
    def meaning(
        wide: T.Buffer((groups, 2, 4), "int16", offset_factor=1),
        weight: T.Buffer((groups, 2, 4), "int8", offset_factor=1),
        sums: T.Buffer((2, 2), "int32", offset_factor=1, scope="local"),
    ) -> None:
        with T.sblock("root"):
            T.reads(sums[0:2, 0:2], wide[0:groups, 0:2, 0:4], weight[0:groups, 0:2, 0:4])
            T.writes(sums[0:2, 0:2])
            for i, j, q, k in T.grid(2, 2, groups, 4):
                with T.sblock("sum"):
                    vi, vj, vq, vk = T.axis.remap("SSRR", [i, j, q, k])
                    sums[vi, vj] = sums[vi, vj] + T.Cast("int32", wide[vq, vi, vk]) * T.Cast(
                        "int32", weight[vq, vj, vk % 2 * 2 + vk // 2]
                    )

    @T.prim_func(s_tir=True)
    def call(
        wide: T.Buffer((groups, 2, 4), "int16", offset_factor=1),
        weight: T.Buffer((groups, 2, 4), "int8", offset_factor=1),
        sums: T.Buffer((2, 2), "int32", offset_factor=1, scope="local"),
    ) -> None:
        with T.sblock("root"):
            T.reads(sums[0:2, 0:2], wide[0:groups, 0:2, 0:4], weight[0:groups, 0:2, 0:4])
            T.writes(sums[0:2, 0:2])
            T.evaluate(
                T.call_extern(
                    "int32", "tc_dot_2x2", sums.access_ptr("rw"), wide.access_ptr("r"), weight.access_ptr("r"), groups
                )
            )

    return register(f"tinycast.dot_2x2_{groups}", meaning, call)


@cache
def dot_1x4(groups: int) -> str:
    """tc_dot_1x4: one position times four channels, four int32 sums."""
    length = groups * 4

    @T.prim_func(s_tir=True)
    def meaning(
        x: T.Buffer((length,), "int8", offset_factor=1),
        weight: T.Buffer((groups, 4, 4), "int8", offset_factor=1),
        sums: T.Buffer((4,), "int32", offset_factor=1, scope="local"),
    ) -> None:
        with T.sblock("root"):
            T.reads(sums[0:4], x[0:length], weight[0:groups, 0:4, 0:4])
            T.writes(sums[0:4])
            for j, q, k in T.grid(4, groups, 4):
                with T.sblock("sum"):
                    vj, vq, vk = T.axis.remap("SRR", [j, q, k])
                    sums[vj] = sums[vj] + T.Cast("int32", x[vq * 4 + vk]) * T.Cast("int32", weight[vq, vj, vk])

    @T.prim_func(s_tir=True)
    def call(
        x: T.Buffer((length,), "int8", offset_factor=1),
        weight: T.Buffer((groups, 4, 4), "int8", offset_factor=1),
        sums: T.Buffer((4,), "int32", offset_factor=1, scope="local"),
    ) -> None:
        with T.sblock("root"):
            T.reads(sums[0:4], x[0:length], weight[0:groups, 0:4, 0:4])
            T.writes(sums[0:4])
            T.evaluate(
                T.call_extern(
                    "int32", "tc_dot_1x4", sums.access_ptr("rw"), x.access_ptr("r"), weight.access_ptr("r"), groups
                )
            )

    return register(f"tinycast.dot_1x4_{groups}", meaning, call)


@cache
def dot_4x1(length: int) -> str:
    """tc_dot_4x1: four woven positions times one channel, four int32 sums."""

    @T.prim_func(s_tir=True)
    def meaning(
        wide: T.Buffer((length, 4), "int32", offset_factor=1),
        weight: T.Buffer((length,), "int8", offset_factor=1),
        sums: T.Buffer((4,), "int32", offset_factor=1, scope="local"),
    ) -> None:
        with T.sblock("root"):
            T.reads(sums[0:4], wide[0:length, 0:4], weight[0:length])
            T.writes(sums[0:4])
            for i, q in T.grid(4, length):
                with T.sblock("sum"):
                    vi, vq = T.axis.remap("SR", [i, q])
                    sums[vi] = sums[vi] + wide[vq, vi] * T.Cast("int32", weight[vq])

    @T.prim_func(s_tir=True)
    def call(
        wide: T.Buffer((length, 4), "int32", offset_factor=1),
        weight: T.Buffer((length,), "int8", offset_factor=1),
        sums: T.Buffer((4,), "int32", offset_factor=1, scope="local"),
    ) -> None:
        with T.sblock("root"):
            T.reads(sums[0:4], wide[0:length, 0:4], weight[0:length])
            T.writes(sums[0:4])
            T.evaluate(
                T.call_extern(
                    "int32", "tc_dot_4x1", sums.access_ptr("rw"), wide.access_ptr("r"), weight.access_ptr("r"), length
                )
            )

    return register(f"tinycast.dot_4x1_{length}", meaning, call)


@cache
def dot_4x4(length: int) -> str:
    """tc_dot_4x4: four woven positions times four woven channels, sixteen int32 sums."""

    @T.prim_func(s_tir=True)
    def meaning(
        wide: T.Buffer((length, 4), "int8", offset_factor=1),
        weight: T.Buffer((length, 4), "int8", offset_factor=1),
        sums: T.Buffer((4, 4), "int32", offset_factor=1, scope="local"),
    ) -> None:
        with T.sblock("root"):
            T.reads(sums[0:4, 0:4], wide[0:length, 0:4], weight[0:length, 0:4])
            T.writes(sums[0:4, 0:4])
            for i, j, q in T.grid(4, 4, length):
                with T.sblock("sum"):
                    vi, vj, vq = T.axis.remap("SSR", [i, j, q])
                    sums[vi, vj] = sums[vi, vj] + T.Cast("int32", wide[vq, vi]) * T.Cast("int32", weight[vq, vj])

    @T.prim_func(s_tir=True)
    def call(
        wide: T.Buffer((length, 4), "int8", offset_factor=1),
        weight: T.Buffer((length, 4), "int8", offset_factor=1),
        sums: T.Buffer((4, 4), "int32", offset_factor=1, scope="local"),
    ) -> None:
        with T.sblock("root"):
            T.reads(sums[0:4, 0:4], wide[0:length, 0:4], weight[0:length, 0:4])
            T.writes(sums[0:4, 0:4])
            T.evaluate(
                T.call_extern(
                    "int32", "tc_dot_4x4", sums.access_ptr("rw"), wide.access_ptr("r"), weight.access_ptr("r"), length
                )
            )

    return register(f"tinycast.dot_4x4_{length}", meaning, call)


def register(name: str, meaning: Any, call: Any) -> str:
    TensorIntrin.register(name, meaning, call, override=True)
    return name
