"""Gelu in the forms that exporters write becomes one operator, and one table when it is quantized."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from model_builders import floats
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.model import run, simplify
from tinycast.ops.quantize import Table
from tinycast.program.lower import to_integers

NUMBERS = {
    "half": 0.5, "one": 1.0, "three": 3.0, "root": 1.4142135, "inverse": 0.70710677, "cubic": 0.044715, "pi": 0.7978846,
    "two": 2.0,
}  # fmt: skip
FORMS = {
    "divided": "d = Div(h, root) e = Erf(d) f = Add(e, one) g = Mul(h, f) y = Mul(g, half)",
    "halved_first": "a = Mul(h, half) d = Mul(h, inverse) e = Erf(d) f = Add(one, e) y = Mul(a, f)",
    "halved_last": "d = Mul(inverse, h) e = Erf(d) f = Add(e, one) g = Mul(half, f) y = Mul(g, h)",
    "tanh_power": """c = Pow(h, three) k = Mul(cubic, c) s = Add(h, k) i = Mul(pi, s) t = Tanh(i) u = Add(t, one)
        v = Mul(half, u) y = Mul(h, v)""",
    "tanh_products": """q = Mul(h, h) c = Mul(q, h) k = Mul(c, cubic) s = Add(k, h) i = Mul(s, pi) t = Tanh(i)
        u = Add(one, t) v = Mul(h, half) y = Mul(v, u)""",
}
OTHERS = {
    "twice": "d = Div(h, root) e = Erf(d) f = Add(e, one) y = Mul(h, f)",
    "other_constant": "d = Div(h, two) e = Erf(d) f = Add(e, one) g = Mul(h, f) y = Mul(g, half)",
    "two_values": "d = Div(h, root) e = Erf(d) f = Add(e, one) g = Mul(x, f) y = Mul(g, half)",
}


def model_of(nodes: str) -> ir.Model:
    text = f"""<ir_version: 10, opset_import: ["" : 21]> g (float[3,8] x) => (float[3,8] z)
    {{ m = MatMul(x, w) h = Add(m, b) {nodes} z = MatMul(y, w) }}"""
    proto = onnx.parser.parse_model(text)
    arrays = {name: np.asarray(number, np.float32) for name, number in NUMBERS.items()}
    for name, array in (arrays | {"w": floats(8, 8), "b": floats(8)}).items():
        if f"{name})" in text or f"{name}," in text:
            proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return ir.serde.deserialize_model(proto)


def simplified(nodes: str) -> ir.Model:
    model = model_of(nodes)
    simplify(model)
    return model


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_one_operator(form: str) -> None:
    model, inputs = simplified(FORMS[form]), {"x": floats(3, 8)}
    assert [n.op_type for n in model.graph] == ["MatMul", "Add", "Gelu", "MatMul"]
    (approximate,) = [n.attributes.get_string("approximate", "none") for n in model.graph if n.op_type == "Gelu"]
    assert (approximate == "tanh") == form.startswith("tanh")
    wanted = run(model_of(FORMS[form]), inputs)["z"]
    np.testing.assert_allclose(run(model, inputs)["z"], wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("form", FORMS)
def test_quantized_it_is_one_table(form: str) -> None:
    random = np.random.default_rng(1)
    quantized = quantize(
        simplified(FORMS[form]), {"x": random.normal(0, 1, (20, 3, 8)).astype(np.float32)}, QuantizeOptions()
    )
    calls = to_integers(quantized, "net").calls
    assert [c.op.meaning for c in calls if isinstance(c.op, Table)] == ["Gelu"]


@pytest.mark.parametrize("form", OTHERS)
def test_what_only_looks_like_it_stays(form: str) -> None:
    assert "Gelu" not in [n.op_type for n in simplified(OTHERS[form]).graph]
