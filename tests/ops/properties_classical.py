"""Random classical models: trees, linear models, support vectors, encoders."""

from __future__ import annotations

from typing import Any

import numpy as np
from properties import Array, Draw, Instance, family
from random_trees import MODES, as_tree_ensemble, random_trees, with_weights

_ML = "ai.onnx.ml"
_POST = ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")


def _floats(d: Draw, count: int, low: float = -2.0, high: float = 2.0) -> list[float]:
    return [float(v) for v in d.random.uniform(low, high, count).round(2)]


def _rows(d: Draw, features: int, *, step: float = 0.0, missing: bool = False) -> dict[str, Array]:
    x = d.input([d.int(1, 4), features])
    if step:
        x = (np.round(x / step) * step).astype(np.float32)
    if missing:
        x[d.random.random(x.shape) < 0.3] = np.nan
    return {"x": x}


def _trees(d: Draw, modes: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Array]]:
    features, missing = d.int(1, 9), d.flag()
    nodes = random_trees(
        d.int(0, 10**6),
        trees=d.int(2, 9),
        depth=d.int(1, 6),
        features=features,
        modes=d.some(modes, 1),
        tracks=d.flag(),
    )
    # ONNX Runtime looks for what is left of a fraction in sets of whole numbers.
    steps = (1.0,) if "BRANCH_MEMBER" in nodes["nodes_modes"] else (0.0, 0.5)
    return nodes, _rows(d, features, step=d.of(*steps), missing=missing)


@family(f"{_ML}.TreeEnsembleRegressor")
def regressor(d: Draw, op: str) -> Instance:
    nodes, inputs = _trees(d, MODES[:6])
    targets = d.int(1, 3)
    how = d.of("SUM", "AVERAGE", "MIN", "MAX")
    attributes = {**with_weights(nodes, "target", range(targets), d.int(0, 999)), "n_targets": targets}
    attributes |= {"aggregate_function": how, "post_transform": d.of(*_POST)}
    if d.flag():
        attributes["base_values"] = _floats(d, targets)
    return Instance(f"y = {op}(x)", inputs, attributes=attributes)


@family(f"{_ML}.TreeEnsembleClassifier")
def classifier(d: Draw, op: str) -> Instance:
    nodes, inputs = _trees(d, MODES[:6])
    classes = d.int(2, 4)
    ids = list(range(classes)) if classes > 2 else d.of([0], [1])
    attributes = {**with_weights(nodes, "class", ids, d.int(0, 999), low=d.of(-1.0, 0.1))}
    attributes |= {"classlabels_int64s": [3 * n + 1 for n in range(classes)], "post_transform": d.of(*_POST)}
    if classes > 2 and d.flag():
        attributes["base_values"] = _floats(d, classes)
    return Instance(f"l, y = {op}(x)", inputs, outputs="l y", attributes=attributes)


@family(f"{_ML}.TreeEnsemble")
def ensemble(d: Draw, op: str) -> Instance:
    nodes, inputs = _trees(d, MODES)
    targets = d.int(1, 3)
    attributes = as_tree_ensemble(nodes, d.int(0, 999), targets)
    # 1 and 2 are softmax and logistic in ONNX, and the other way round in ONNX Runtime.
    attributes |= {"aggregate_function": d.int(0, 3), "post_transform": d.of(0, 3)}
    return Instance(f"y = {op}(x)", inputs, attributes=attributes, version=5)


@family(f"{_ML}.LinearRegressor")
def linear_regressor(d: Draw, op: str) -> Instance:
    features, targets = d.int(1, 12), d.int(1, 4)
    attributes: dict[str, Any] = {"coefficients": _floats(d, features * targets), "targets": targets}
    if d.flag():
        attributes["intercepts"] = _floats(d, targets)
    return Instance(f"y = {op}(x)", _rows(d, features), attributes=attributes)


@family(f"{_ML}.LinearClassifier")
def linear_classifier(d: Draw, op: str) -> Instance:
    features, classes = d.int(1, 9), d.int(2, 4)
    count = 1 if classes == 2 and d.flag() else classes
    attributes = {"coefficients": _floats(d, features * count), "intercepts": _floats(d, count)}
    attributes |= {"classlabels_ints": [n - 1 for n in range(classes)], "post_transform": d.of(*_POST)}
    return Instance(f"l, y = {op}(x)", _rows(d, features), outputs="l y", attributes=attributes)


def _kernel(d: Draw) -> dict[str, Any]:
    kernel, params = d.of(
        ("LINEAR", [0.0, 0.0, 0.0]), ("RBF", [0.3, 0.0, 3.0]), ("POLY", [0.5, 1.0, 3.0]), ("SIGMOID", [0.3, 0.2, 3.0])
    )
    return {"kernel_type": kernel, "kernel_params": params}


@family(f"{_ML}.SVMClassifier")
def svm_classifier(d: Draw, op: str) -> Instance:
    features, classes = d.int(1, 6), d.int(2, 4)
    each = [d.int(1, 4) for _ in range(classes)]
    pairs = classes * (classes - 1) // 2
    attributes = {
        "coefficients": _floats(d, sum(each) * (classes - 1)),
        "support_vectors": _floats(d, sum(each) * features),
        "vectors_per_class": each,
        "rho": _floats(d, pairs),
        "classlabels_ints": list(range(classes)),
        **_kernel(d),
    }
    if d.flag():
        attributes |= {"prob_a": _floats(d, pairs, -2, -0.5), "prob_b": _floats(d, pairs, -0.1, 0.1)}
    return Instance(f"l, y = {op}(x)", _rows(d, features), outputs="l y", attributes=attributes)


@family(f"{_ML}.SVMRegressor")
def svm_regressor(d: Draw, op: str) -> Instance:
    features, vectors = d.int(1, 6), d.int(1, 7)
    attributes = {
        "coefficients": _floats(d, vectors),
        "support_vectors": _floats(d, vectors * features),
        "n_supports": vectors,
        "rho": _floats(d, 1),
        **_kernel(d),
    }
    return Instance(f"y = {op}(x)", _rows(d, features), attributes=attributes)


@family("com.microsoft.CDist")
def distances(d: Draw, op: str) -> Instance:
    features = d.int(1, 9)
    inputs = {"x": d.input([d.int(1, 5), features]), "z": d.input([d.int(1, 5), features])}
    return Instance(f'y = {op}<metric="{d.of("euclidean", "sqeuclidean")}">(x, z)', inputs)


@family(f"{_ML}.Scaler")
def scaler(d: Draw, op: str) -> Instance:
    features = d.int(1, 6)
    count = d.of(1, features)
    attributes = {"offset": _floats(d, count), "scale": _floats(d, count)}
    kind = d.of("float32", "int64", "int32")
    return Instance(f"y = {op}(x)", {"x": d.input([d.int(1, 4), features], kind, -9, 9)}, attributes=attributes)


@family(f"{_ML}.Normalizer")
def normalizer(d: Draw, op: str) -> Instance:
    return Instance(f'y = {op}<norm="{d.of("MAX", "L1", "L2")}">(x)', _rows(d, d.int(1, 6), step=d.of(0.0, 1.0)))


@family(f"{_ML}.Imputer")
def imputer(d: Draw, op: str) -> Instance:
    features = d.int(1, 6)
    count = d.of(1, features)
    if d.flag():
        x = d.input([d.int(1, 4), features], "int64", -3, 3)
        attributes = {
            "imputed_value_int64s": [d.int(-9, 9) for _ in range(count)],
            "replaced_value_int64": d.int(-2, 2),
        }
        return Instance(f"y = {op}(x)", {"x": x}, attributes=attributes)
    replaced = d.of(float("nan"), 0.5)
    attributes = {"imputed_value_floats": _floats(d, count), "replaced_value_float": replaced}
    return Instance(f"y = {op}(x)", _rows(d, features, step=0.5, missing=replaced != 0.5), attributes=attributes)


@family(f"{_ML}.Binarizer")
def binarizer(d: Draw, op: str) -> Instance:
    return Instance(f"y = {op}<threshold={d.of(0.0, 0.5, -1.0)}>(x)", _rows(d, d.int(1, 6), step=0.5))


@family(f"{_ML}.LabelEncoder")
def label_encoder(d: Draw, op: str) -> Instance:
    count = d.int(1, 6)
    keys = [k - 3 for k in d.order(7)[:count]]
    source, target = d.of("int64", "float32"), d.of("int64", "float32")
    to = {"values_int64s": [d.int(-9, 9) for _ in keys], "default_int64": d.int(-1, 5)}
    if target == "float32":
        to = {"values_floats": _floats(d, count), "default_float": 0.25}
    attributes = ({"keys_int64s": keys} if source == "int64" else {"keys_floats": [0.5 * k for k in keys]}) | to
    x = d.input([d.int(1, 4), d.int(1, 4)], "int64", -4, 4)
    x = x if source == "int64" else (x * np.float32(0.5)).astype(np.float32)
    return Instance(f"y = {op}(x)", {"x": x}, attributes=attributes, version=4)


@family(f"{_ML}.ArrayFeatureExtractor")
def columns(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 2)
    taken = d.input([d.int(1, 5)], "int64", 0, shape[-1] - 1)
    x = {"x": d.input(shape, d.of("float32", "int64", "int32"), -9, 9)}
    if d.flag():
        return Instance(f"y = {op}(x, i)", x, {"i": taken[0]})
    return Instance(f"y = {op}(x, i)", x | {"i": taken})


@family(f"{_ML}.OneHotEncoder")
def one_hot_encoder(d: Draw, op: str) -> Instance:
    cats = [c - 2 for c in d.order(5)[: d.int(1, 5)]]
    x = d.input(d.shape(1, 2), d.of("int64", "float32"), -2, 2)
    return Instance(f"y = {op}<zeros=1>(x)", {"x": np.rint(x).astype(x.dtype)}, attributes={"cats_int64s": cats})


@family(f"{_ML}.FeatureVectorizer")
def feature_vectorizer(d: Draw, op: str) -> Instance:
    rows, widths = d.int(1, 3), [d.int(1, 4) for _ in range(d.int(1, 3))]
    inputs = {name: d.input([rows, n]) for name, n in zip("abc", widths, strict=False)}
    node = f"y = {op}({', '.join(inputs)})"
    return Instance(node, inputs, attributes={"inputdimensions": widths}, version=1)
