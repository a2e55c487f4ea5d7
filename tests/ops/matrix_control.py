# ruff: noqa: E501 - a table: one row a line
"""Rows of the test matrix: control flow."""

from __future__ import annotations

import numpy as np
from host_batch import Row, floats, ints

SCAN_RNN = """
y, z = Scan<num_scan_inputs=1, body=g (float[1,4] h, float[1,3] x) => (float[1,4] n, float[1,4] o) {
    a = MatMul(x, w)
    b = MatMul(h, r)
    c = Add(a, b)
    n = Tanh(c)
    o = Identity(n)
}>(i, s)
"""
# The two states change places: what is carried is copied, or read in time.
SCAN_FIBONACCI = """
y, z, o = Scan<num_scan_inputs=1, body=g (float[3] a, float[3] b, float[3] x) => (float[3] c, float[3] d, float[3] e) {
    c = Identity(b)
    t = Add(a, b)
    d = Mul(t, x)
    e = Sub(b, a)
}>(i, j, s)
"""
SCAN_AXES = """
y, z = Scan<num_scan_inputs=2, scan_input_axes=[1, -1], scan_input_directions=[1, 0], scan_output_axes=[2],
    scan_output_directions=[1], body=g (float[2,3] h, float[2,3] a, float[3] b) => (float[2,3] n, float[2,3] o) {
    m = Mul(h, b)
    n = Add(m, a)
    o = Relu(n)
}>(i, s, t)
"""
SCAN_NO_STATE = """
y, z = Scan<num_scan_inputs=1, body=g (float[2,3] a) => (float[2] o, bool[2,3] p) {
    o = ReduceSum<keepdims=0>(a, last)
    p = Greater(a, k)
}>(s)
"""
SCAN_OF_SCANS = """
y, z = Scan<num_scan_inputs=1, body=outer (float[3] h, float[4,3] a) => (float[3] n, float[4,3] o) {
    n, o = Scan<num_scan_inputs=1, body=inner (float[3] u, float[3] v) => (float[3] w, float[3] q) {
        t = Mul(u, k)
        w = Add(t, v)
        q = Sub(w, h)
    }>(h, a)
}>(i, s)
"""
LOOP_CONSTANT = """
y = Loop<body=g (int64 n, bool c, float[1,4] h) => (bool d, float[1,4] m) {
    a = MatMul(h, r)
    b = Add(a, x)
    m = Tanh(b)
    d = Identity(c)
}>(trips, true, i)
"""
# As tf2onnx writes a while loop of TensorFlow's, such as Keras's recurrent layers: a counter that is compared with a
# limit, and the weights carried along, the body's input itself its output.
LOOP_KERAS = """
y, z, q, p = Loop<body=g (int64 n, bool c, float[1,4] h, int32 s, float[4,4] u) => (bool d, float[1,4] m, int32 t, float[4,4] u, float[1,4] o) {
    a = Gather<axis=0>(x, s)
    b = Gemm(h, u, a)
    m = Tanh(b)
    o = Identity(m)
    t = Add(s, one)
    d = Less(t, limit)
}>(many, true, i, start, r)
w = Reshape(p, flat)
"""
LOOP_COUNTED = """
y, z = Loop<body=g (int64 n, bool c, float[4] h, int64 s) => (bool d, float[4] m, int64 t) {
    f = Cast<to=1>(n)
    a = Mul(h, k)
    m = Add(a, f)
    t = Add(s, n)
    d = Identity(c)
}>(trips, , x, zero)
"""
LOOP_WHILE = """
y, z = Loop<body=g (int64 n, bool c, float[3] h, float e) => (bool d, float[3] m, float f) {
    m = Mul(h, half)
    a = Abs(m)
    f = ReduceMax<keepdims=0>(a)
    d = Greater(f, least)
}>(trips, go, x, least)
"""
LOOP_COLLECTS = """
y, z, q = Loop<body=g (int64 n, bool c, float[3] h) => (bool d, float[3] m, float[3] o, int64 p) {
    row = Gather(x, n)
    m = Add(h, row)
    o = Identity(m)
    p = Mul(n, n)
    d = Identity(c)
}>(trips, , i)
"""
LOOP_NOTHING_CARRIED = """
y = Loop<body=g (int64 n, bool c) => (bool d, float[3] o) {
    row = Gather(x, n)
    o = Relu(row)
    d = Identity(c)
}>(trips, true)
"""
LOOP_SWAPS = """
y, z, w = Loop<body=g (int64 n, bool c, float[3] a, float[3] b, float[3] k) => (bool d, float[3] e, float[3] f, float[3] l) {
    e = Identity(b)
    f = Identity(a)
    l = Identity(k)
    d = Identity(c)
}>(trips, , x, i, j)
"""
IF = """
y, z = If<then_branch=t () => (float[2,3] a, float[3] b) { a = Relu(x) b = Identity(k) },
    else_branch=e () => (float[2,3] p, float[3] q) { m = Mul(x, x) p = Add(m, k) q = ReduceSum<keepdims=0>(p, zero) }>(c)
"""
IF_IN_LOOP = """
y = Loop<body=g (int64 n, bool c, float[3] h) => (bool d, float[3] m) {
    s = ReduceSum<keepdims=0>(h)
    positive = Greater(s, bound)
    m = If<then_branch=t () => (float[3] a) { a = Sub(h, x) }, else_branch=e () => (float[3] b) { b = Add(h, x) }>(positive)
    d = Identity(c)
}>(trips, , i)
"""
LOOP_APPENDS = """
e = SequenceEmpty()
y, q = Loop<body=g (int64 n, bool c, float[3] h, seq(float[3]) s) => (bool d, float[3] m, seq(float[3]) t) {
    row = Gather(x, n)
    m = Add(h, row)
    r = Relu(m)
    t = SequenceInsert(s, r)
    d = Identity(c)
}>(trips, , i, e)
z = ConcatFromSequence<axis=AXIS, new_axis=NEW>(q)
w = SequenceAt(q, last)
"""
SEQUENCE = """
p = SplitToSequence<axis=1>(x, sizes)
c = SequenceInsert(p, x, one)
d = SequenceErase(c, one)
f = SequenceInsert(d, x)
z = ConcatFromSequence<axis=1>(f)
g = SequenceConstruct(x, z, x)
w = SequenceAt(g, last)
h = SequenceConstruct(x, w, i)
y = SequenceAt(h, k)
n = SequenceLength(h)
"""
CONV = """
y = Scan<num_scan_inputs=1, body=g (float[1,2,5,5] a) => (float[1,3,5,5] o) {
    c = Conv<pads=[1,1,1,1]>(a, w)
    o = Relu(c)
}>(s)
"""
TRUE = floats(1).reshape(()) > 0

CONTROL = (
    Row("scan_rnn", "float[6,1,3] s, float[1,4] i", SCAN_RNN, {"w": (3, 4), "r": (4, 4)}, outputs="y z"),
    Row("scan_states_change_places", "float[5,3] s, float[3] i, float[3] j", SCAN_FIBONACCI, outputs="y z o"),
    Row("scan_axes", "float[2,3] i, float[2,4,3] s, float[3,4] t", SCAN_AXES, outputs="y z"),
    Row("scan_no_state", "float[4,2,3] s", SCAN_NO_STATE, {"k": floats(0, 1, -1), "last": ints(1)}, outputs="y z", output_type="float bool"),
    Row("scan_of_scans", "float[2,4,3] s, float[3] i", SCAN_OF_SCANS, {"k": floats(0.5, -0.5, 0.25)}, outputs="y z"),
    Row("scan_convolution", "float[3,1,2,5,5] s", CONV, {"w": (3, 2, 3, 3)}),
    *(Row(f"loop_constant_{n}", "float[1,4] x, float[1,4] i", LOOP_CONSTANT, {"r": (4, 4), "trips": ints(n).reshape(()), "true": TRUE}) for n in (1, 2, 5)),
    Row("loop_keras", "float[5,4] x, float[1,4] i", LOOP_KERAS, {"r": (4, 4), "many": ints(99).reshape(()), "true": TRUE, "start": np.int32(1), "one": np.int32(1), "limit": np.int32(4), "flat": ints(1, -1)}, outputs="y z q w", output_type="float int32 float float"),
    Row("loop_counted", "int64 trips, float[4] x", LOOP_COUNTED, {"k": floats(0.5, -1, 2, 1), "zero": ints(0).reshape(())}, outputs="y z", output_type="float int64"),
    Row("loop_while", "bool go, float[3] x", LOOP_WHILE, {"trips": ints(9).reshape(()), "half": floats(0.5), "least": floats(0.01).reshape(())}, outputs="y z"),
    Row("loop_collects", "float[4,3] x, float[3] i", LOOP_COLLECTS, {"trips": ints(4).reshape(())}, outputs="y z q", output_type="float float int64"),
    Row("loop_nothing_carried", "float[4,3] x", LOOP_NOTHING_CARRIED, {"trips": ints(4).reshape(()), "true": TRUE}),
    Row("loop_swaps", "float[3] x, float[3] i, float[3] j", LOOP_SWAPS, {"trips": ints(3).reshape(())}, outputs="y z w"),
    *(Row(f"loop_appends_{axis}_{new}", "float[4,3] x, float[3] i", LOOP_APPENDS.replace("AXIS", str(axis)).replace("NEW", str(new)), {"trips": ints(4).reshape(()), "last": ints(-1).reshape(())}, outputs="y z w") for axis, new in ((0, 1), (1, 1), (0, 0))),
    Row("sequence", "float[2,5] x, float[2,5] i, int64 k", SEQUENCE, {"sizes": ints(2, 3), "one": ints(1).reshape(()), "last": ints(-1).reshape(())}, outputs="y z n", output_type="float float int64", low=-2, high=2.99),
    Row("if_else", "bool c, float[2,3] x", IF, {"k": floats(1, 2, 3), "zero": ints(0)}, outputs="y z"),
    Row("if_in_loop", "float[3] x, float[3] i", IF_IN_LOOP, {"trips": ints(6).reshape(()), "bound": floats(0.5).reshape(())}),
)  # fmt: skip
