# ruff: noqa: E501 - a table: one row a line
"""Rows of the test matrix: classical models, the operators of ai.onnx.ml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from host_batch import Array, Row, ints
from random_trees import MODES, as_tree_ensemble, random_trees, with_weights

ROW = "float[3,4] x"
NAN = float("nan")
LABELED = {"outputs": "l y", "output_type": "int64 float"}


@dataclass(frozen=True)
class ClassicalRow(Row):
    """`attributes` are those of the first node; inputs are multiples of `step`, some of them NaN where `missing`."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    step: float = 0.0
    missing: bool = False
    version: int = 3  # of the domain ai.onnx.ml

    def proto(self) -> onnx.ModelProto:
        proto = super().proto()
        proto.opset_import.add(domain="ai.onnx.ml", version=self.version)
        proto.opset_import.add(domain="com.microsoft", version=1)
        for name, value in self.attributes.items():
            proto.graph.node[0].attribute.append(onnx.helper.make_attribute(name, value))
        return proto

    def samples(self, proto: onnx.ModelProto, count: int = 3) -> dict[str, Array]:
        samples = super().samples(proto, count)
        random = np.random.default_rng(8)
        for name, array in samples.items():
            if self.step:
                samples[name] = (np.round(array / self.step) * self.step).astype(array.dtype)
            if self.missing:
                samples[name][random.random(array.shape) < 0.3] = np.nan
        return samples


BYTES = np.random.default_rng(4).integers(-128, 128, (2, 4, 16)).astype(np.int8)


def row(
    name: str, nodes: str, attributes: Mapping[str, Any] | None = None, given: str = ROW, **more: Any
) -> ClassicalRow:
    return ClassicalRow(name, given, nodes, attributes=attributes or {}, **more)


def _regressor(name: str, seed: int, targets: int = 1, *, kind: str = "", **more: Any) -> ClassicalRow:
    options = {k: more.pop(k) for k in ("modes", "tracks", "trees", "depth") if k in more}
    nodes = with_weights(random_trees(seed, **options), "target", range(targets), seed)
    given = {**nodes, "n_targets": targets, **more.pop("attributes", {})}
    return row(name, "y = ai.onnx.ml.TreeEnsembleRegressor(x)", given, step=0.5, **more)


def _classifier(name: str, seed: int, classes: int, ids: list[int], low: float = -1.0, **more: Any) -> ClassicalRow:
    nodes = with_weights(random_trees(seed), "class", ids, seed, low=low)
    given = {**nodes, "classlabels_int64s": list(range(classes)), **more.pop("attributes", {})}
    return row(name, "l, y = ai.onnx.ml.TreeEnsembleClassifier(x)", given, step=0.5, **LABELED, **more)


TREES = (
    _regressor("trees", 1),
    _regressor("trees_one", 2, trees=2),
    _regressor("trees_deep", 3, trees=20, depth=8),
    *(_regressor(f"trees_{mode.lower()}", 4, modes=[mode], missing=True) for mode in MODES[:6]),
    _regressor("trees_all_modes", 5, modes=MODES[:6], trees=9),
    _regressor("trees_missing", 6, modes=MODES[:6], trees=9, tracks=True, missing=True),
    _regressor("trees_targets", 7, 3, trees=9),
    *(_regressor(f"trees_{how.lower()}", 8, 2, attributes={"aggregate_function": how}) for how in ("SUM", "AVERAGE", "MIN", "MAX")),
    *(_regressor(f"trees_base_{how.lower()}", 9, attributes={"aggregate_function": how, "base_values": [0.75]}) for how in ("AVERAGE", "MIN", "MAX")),
    _regressor("trees_base_targets", 10, 3, attributes={"base_values": [0.5, -0.25, 1.0]}),
    *(_regressor(f"trees_{post.lower()}", 11, 3, attributes={"post_transform": post}) for post in ("LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")),
    _regressor("trees_probit", 12, trees=2, depth=2, attributes={"post_transform": "PROBIT", "aggregate_function": "AVERAGE", "base_values": [0.5]}),
    *(_classifier(f"tree_classes_{post.lower()}", 13, 3, [0, 1, 2], attributes={"post_transform": post}) for post in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")),
    _classifier("tree_classes_base", 14, 4, [0, 1, 2, 3], attributes={"base_values": [0.1, 0.2, -0.3, 0.4], "classlabels_int64s": [3, 5, 8, 13]}),
    _classifier("tree_classes_shares", 15, 3, [0, 1, 2], 0.1),
    *(_classifier(f"tree_two_classes_{i}", 16 + i, 2, [i], attributes={"post_transform": "LOGISTIC", **({} if i else {"base_values": [0.2]})}) for i in (0, 1)),
    _classifier("tree_two_classes_raw", 18, 2, [0]),
    *(_classifier(f"tree_two_classes_shares_{post.lower()}", 19, 2, [0], 0.0, attributes={"post_transform": post}) for post in ("NONE", "LOGISTIC")),
    *(row(f"tree_ensemble_{n}", "y = ai.onnx.ml.TreeEnsemble(x)", as_tree_ensemble(random_trees(20 + n, modes=MODES, tracks=True), n, n), step=1.0, missing=n > 1, version=5) for n in (1, 2)),
    *(row(f"tree_ensemble_of_{how}", "y = ai.onnx.ml.TreeEnsemble(x)", {**as_tree_ensemble(random_trees(25), 3, 2), "aggregate_function": how, "post_transform": 3}, step=0.5, version=5) for how in range(4)),
)  # fmt: skip

_LINEAR = {
    "coefficients": [0.5, -1.0, 0.25, 2.0, 1.0, 0.75, -0.5, 0.125, -1.0, -0.25, 1.5, 0.0],
    "intercepts": [0.5, -0.25, 0.0],
}
_ONE = {"coefficients": _LINEAR["coefficients"][:4], "intercepts": [0.25]}

LINEAR = (
    row("linear_regressor", "y = ai.onnx.ml.LinearRegressor(x)", _ONE),
    row("linear_regressor_targets", "y = ai.onnx.ml.LinearRegressor(x)", {**_LINEAR, "targets": 3}),
    *(row(f"linear_classifier_{post.lower()}", "l, y = ai.onnx.ml.LinearClassifier(x)", {**_LINEAR, "classlabels_ints": [0, 1, 2], "post_transform": post}, **LABELED) for post in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")),
    *(row(f"linear_two_classes_{post.lower()}", "l, y = ai.onnx.ml.LinearClassifier(x)", {**_ONE, "classlabels_ints": [4, 7], "post_transform": post}, **LABELED) for post in ("NONE", "LOGISTIC")),
)  # fmt: skip

_VECTORS = np.random.default_rng(5).normal(size=(7, 4)).round(2)
_SVC = {
    "coefficients": np.random.default_rng(6).normal(size=14).round(2).tolist(),
    "support_vectors": _VECTORS.reshape(-1).tolist(),
    "vectors_per_class": [2, 3, 2],
    "rho": [0.1, -0.2, 0.3],
    "classlabels_ints": [0, 1, 2],
}
_SVC_2 = {
    **_SVC,
    "coefficients": _SVC["coefficients"][:7],
    "vectors_per_class": [3, 4],
    "rho": [0.1],
    "classlabels_ints": [5, 6],
}
_SVR = {
    "coefficients": _SVC["coefficients"][:7],
    "support_vectors": _SVC["support_vectors"],
    "n_supports": 7,
    "rho": [0.3],
}
_KERNELS = {"LINEAR": [0.0, 0.0, 0.0], "RBF": [0.3, 0.0, 3.0], "POLY": [0.5, 1.0, 3.0], "SIGMOID": [0.3, 0.2, 3.0]}
_PLATT = {"prob_a": [-1.0, -0.5, -1.5], "prob_b": [0.1, 0.0, -0.1]}

SVM = (
    *(row(f"svm_{kernel.lower()}", "l, y = ai.onnx.ml.SVMClassifier(x)", {**_SVC, "kernel_type": kernel, "kernel_params": params}, **LABELED) for kernel, params in _KERNELS.items()),
    row("svm_probabilities", "l, y = ai.onnx.ml.SVMClassifier(x)", {**_SVC, **_PLATT, "kernel_type": "RBF", "kernel_params": _KERNELS["RBF"]}, **LABELED),
    row("svm_two_probabilities", "l, y = ai.onnx.ml.SVMClassifier(x)", {**_SVC_2, "prob_a": [-1.0], "prob_b": [0.1], "kernel_type": "RBF", "kernel_params": _KERNELS["RBF"]}, **LABELED),
    *(row(f"svm_two_{post.lower()}", "l, y = ai.onnx.ml.SVMClassifier(x)", {**_SVC_2, "kernel_type": "RBF", "kernel_params": _KERNELS["RBF"], "post_transform": post}, **LABELED) for post in ("NONE", "LOGISTIC")),
    row("svm_without_vectors", "l, y = ai.onnx.ml.SVMClassifier(x)", {"coefficients": _LINEAR["coefficients"], "rho": [0.5], "classlabels_ints": [0, 1, 2], "kernel_params": _KERNELS["LINEAR"]}, **LABELED),
    *(row(f"svr_{kernel.lower()}", "y = ai.onnx.ml.SVMRegressor(x)", {**_SVR, "kernel_type": kernel, "kernel_params": params}) for kernel, params in _KERNELS.items()),
    row("svr_one_class", "y = ai.onnx.ml.SVMRegressor(x)", {**_SVR, "one_class": 1, "kernel_type": "POLY", "kernel_params": [0.5, 0.1, 2.5]}, low=0.1),
    row("svr_without_vectors", "y = ai.onnx.ml.SVMRegressor(x)", {"coefficients": _ONE["coefficients"], "rho": [0.5], "kernel_type": "LINEAR", "kernel_params": _KERNELS["LINEAR"], "n_supports": 0}),
    *(row(f"distances_{metric}", "y = com.microsoft.CDist(x, z)", {"metric": metric}, "float[3,6] x, float[5,6] z") for metric in ("euclidean", "sqeuclidean")),
)  # fmt: skip

FEATURES = (
    row("scaler", "y = ai.onnx.ml.Scaler(x)", {"offset": [0.5, 0.25, -1.0, 0.0], "scale": [2.0, 0.5, 1.0, 0.25]}),
    row("scaler_of_integers", "y = ai.onnx.ml.Scaler(x)", {"offset": [0.5], "scale": [2.0]}, "int64[3,4] x"),
    *(row(f"normalizer_{norm.lower()}", "y = ai.onnx.ml.Normalizer(x)", {"norm": norm}) for norm in ("MAX", "L1", "L2")),
    row("normalizer_of_zeros", "z = Mul(x, o) y = ai.onnx.ml.Normalizer(z)", weights={"o": np.zeros(1, np.float32)}),
    row("imputer", "y = ai.onnx.ml.Imputer(x)", {"imputed_value_floats": [1.0, 2.0, 3.0, 4.0], "replaced_value_float": NAN}, missing=True),
    row("imputer_of_a_number", "y = ai.onnx.ml.Imputer(x)", {"imputed_value_floats": [9.0], "replaced_value_float": 0.5}, step=0.5),
    row("imputer_of_integers", "y = ai.onnx.ml.Imputer(x)", {"imputed_value_int64s": [7], "replaced_value_int64": -1}, "int64[3,4] x", output_type="int64"),
    row("binarizer", "y = ai.onnx.ml.Binarizer(x)", {"threshold": 0.5}, step=0.5),
    row("label_encoder", "y = ai.onnx.ml.LabelEncoder(x)", {"keys_int64s": [-2, 1, 0], "values_int64s": [5, -6, 7], "default_int64": 3}, "int64[3,4] x", output_type="int64"),
    row("label_encoder_to_float", "y = ai.onnx.ml.LabelEncoder(x)", {"keys_int64s": [-2, 1, 0], "values_floats": [0.5, -6.0, 7.0]}, "int64[3,4] x"),
    row("label_encoder_of_float", "y = ai.onnx.ml.LabelEncoder(x)", {"keys_floats": [0.5, NAN, -1.0], "values_int64s": [5, -6, 7]}, step=0.5, missing=True, output_type="int64", version=4),
    row("feature_columns", "y = ai.onnx.ml.ArrayFeatureExtractor(x, i)", weights={"i": ints(3, 0, 0)}),
    row("feature_columns_at_run_time", "y = ai.onnx.ml.ArrayFeatureExtractor(x, i)", given="float[2,5] x, int64[1,2] i", low=0, high=5),
    row("feature_of_a_vector", "y = ai.onnx.ml.ArrayFeatureExtractor(x, i)", given="float[5] x, int64[3] i", low=0, high=5),
    row("one_hot_encoder", "y = ai.onnx.ml.OneHotEncoder(x)", {"cats_int64s": [-1, 0, 1]}, "int64[3,2] x"),
    row("feature_vectorizer", "y = ai.onnx.ml.FeatureVectorizer(x, z)", {"inputdimensions": [2, 3]}, "float[2,2] x, float[2,3] z", version=1),
    row("lstm_of_bytes", "y, h, c = com.microsoft.DynamicQuantizeLSTM(x, w, r, b, , , , , ws, wz, rs, rz)", {"hidden_size": 4, "direction": "bidirectional"}, "float[5,1,3] x", weights={"w": BYTES[:, :3], "r": BYTES[:, :4], "b": (2, 32), "ws": np.float32([0.01, 0.02]), "wz": BYTES[:, 0, 0], "rs": np.float32([0.015, 0.01]), "rz": BYTES[:, 1, 0]}, outputs="y h c"),
    row("lstm_of_bytes_of_two_steps", "y, h, c = com.microsoft.DynamicQuantizeLSTM(x, w, r, , n, , , , ws, wz, rs, wz)", {"hidden_size": 4, "direction": "reverse"}, "float[5,1,3] x", weights={"w": BYTES[:1, :3], "r": BYTES[:1, :4], "n": np.int32([2]), "ws": np.float32([0.01]), "wz": BYTES[:1, 0, 0], "rs": np.float32([0.015])}, outputs="y h c"),
)  # fmt: skip

CLASSICAL = (*TREES, *LINEAR, *SVM, *FEATURES)
