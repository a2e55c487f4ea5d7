"""A model put together by hand: every kind of argument, sharing, in-place, scratch, constants and both number types."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tinycast.ir.kernel import Compiled, Golden, Kernel, MemoryPlan, Parameter, Placement, Port, Role, Step
from tinycast.ir.types import DType, Quant, Value
from tinycast.target.load import load_target
from tinycast.target.types import Target

HOST = load_target("host")

ELEMENTS = 24
RNG = np.random.default_rng(1)
BIAS = RNG.integers(-100, 100, ELEMENTS).astype(np.int8)
OFFSETS = np.array([np.iinfo(np.int32).min, -1, 0, np.iinfo(np.int32).max], dtype=np.int32)
FACTORS = np.array([0.1, -np.inf, 3.4028235e38, 1e-45], dtype=np.float32)

ADD = Kernel(
    symbol="add_clamped",
    parameters=(
        Parameter("a", DType.INT8, Role.INPUT, ELEMENTS),
        Parameter("b", DType.INT8, Role.INPUT, ELEMENTS),
        Parameter("y", DType.INT8, Role.OUTPUT, ELEMENTS),
        Parameter("wide", DType.INT16, Role.SCRATCH, 2 * ELEMENTS),
        Parameter("low", DType.INT32, Role.SCALAR),
    ),
    body="""
int i;
for (i = 0; i < 24; ++i) {
    wide[i] = (int16_t)(a[i] + b[i]);
}
for (i = 0; i < 24; ++i) {
    y[i] = (int8_t)tc_clamp(wide[i], low, 127);
}
""",
    runtime=frozenset({"tc_requantize.h"}),
)
RELU = Kernel(
    symbol="relu",
    parameters=(
        Parameter("x", DType.INT8, Role.INPUT, ELEMENTS),
        Parameter("y", DType.INT8, Role.OUTPUT, ELEMENTS),
    ),
    body="""
int i;
for (i = 0; i < 24; ++i) {
    y[i] = (int8_t)(x[i] < 0 ? 0 : x[i]);
}
""",
    in_place=((1, 0),),
)
SCALE = Kernel(
    symbol="scale",
    parameters=(
        Parameter("x", DType.INT8, Role.INPUT, ELEMENTS),
        Parameter("factors", DType.FLOAT32, Role.INPUT, 16),
        Parameter("offsets", DType.INT32, Role.INPUT, 16),
        Parameter("y", DType.FLOAT32, Role.OUTPUT, 4 * ELEMENTS),
    ),
    body="""
    int i;
    memset(y, 0, 96);
    for (i = 0; i < 24; ++i) {
        /* The extreme constants are read, and change nothing. */
        y[i] = (float)x[i] * factors[0] + (factors[1] > 0.0f ? 1.0f : 0.0f) + (offsets[0] > 0 ? 1.0f : 0.0f);
    }
""",
)


def compute(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the model means: two clamped additions, a relu, and a float copy of its result."""
    first = np.clip(image.reshape(-1).astype(int) + BIAS, -128, 127)
    second = np.clip(first + BIAS, -50, 127)
    relu = np.maximum(second, 0).astype(np.int8)
    return relu, (relu.astype(np.float32) * FACTORS[0]).astype(np.float32)


def small_model(target: Target = HOST, name: str = "tiny") -> Compiled:
    """add(image, bias) -> add(…, same bias again) -> relu in place -> scale to float; outputs: relu's and scale's."""
    image = Value("image", (1, 2, 3, 4), DType.INT8)
    bias = Value("bias", (ELEMENTS,), DType.INT8, data=BIAS)
    same_bias = Value("bias_again", (ELEMENTS,), DType.INT8, data=BIAS.copy())
    factors = Value("factors", (4,), DType.FLOAT32, data=FACTORS)
    offsets = Value("offsets", (4,), DType.INT32, data=OFFSETS)
    first = Value("first", (1, 2, 3, 4), DType.INT8)
    second = Value("second", (1, 2, 3, 4), DType.INT8)
    relu = Value("relu", (1, 2, 3, 4), DType.INT8)
    scaled = Value("scaled", (24,), DType.FLOAT32)
    scratch = [Value(f"scratch_{i}", (ELEMENTS,), DType.INT16) for i in range(2)]
    add_again = replace(ADD, symbol="another_name_for_the_same")
    steps = (
        Step("add/1 */ evil\n\\", "Add", ADD, (image, bias, first, scratch[0], -128), ("add/1", "q_1"), macs=24),
        Step("add/2", "Add", add_again, (first, same_bias, second, scratch[1], -50), ("add/2",), macs=24),
        Step("relu", "Relu", RELU, (second, relu), ("relu",)),
        Step("scale", "DequantizeLinear", SCALE, (relu, factors, offsets, scaled), ("dq",), notes=("runs in float",)),
    )
    places = [
        Placement("image", 0, 24, 0, 0),
        Placement("first", 32, 24, 0, 1),
        Placement("second", 0, 24, 1, 2),
        Placement("relu", 0, 24, 2, 3),
        Placement("scaled", 32, 96, 3, 3),
        Placement("scratch_0", 64, 48, 0, 0),
        Placement("scratch_1", 64, 48, 1, 1),
    ]
    plan = MemoryPlan(
        order=(0, 1, 2, 3),
        placements={p.name: p for p in places},
        arena_bytes=128,
        lower_bound_bytes=120,
        peak_step=3,
        shared=(("relu", "second"),),
    )
    golden_image = np.random.default_rng(2).integers(-128, 128, (1, 2, 3, 4)).astype(np.int8)
    return Compiled(
        name=name,
        target=target,
        inputs=(Port(image, "serving_default:image", DType.INT8, (1, 2, 3, 4), Quant((0.5,), (-3,))),),
        outputs=(
            Port(relu, "0", DType.INT8, (1, 2, 3, 4), Quant((0.25,), (0,))),
            Port(scaled, "Résult:0", DType.FLOAT32, (24,), None),
        ),
        steps=steps,
        plan=plan,
        model_sha256="ab" * 32,
        golden=Golden((golden_image,), compute(golden_image), exact=False),
        notes=("DequantizeLinear runs in float",),
    )
