"""Classical models, trained here on scikit-learn's own data and converted as their users do."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper
from sklearn import cluster, decomposition, ensemble, impute, linear_model, naive_bayes, neighbors, neural_network, svm
from sklearn import preprocessing as pre
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline

Array = npt.NDArray[Any]
NAMES = np.array(["barbera", "grignolino", "nebbiolo"])


@cache
def data() -> tuple[Array, Array]:
    """Standardized features of 178 wines, and the kind of each (0..2)."""
    x, y = load_wine(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    return x.astype(np.float32), y


def gaps() -> Array:
    """The features with every seventh of two of them missing."""
    x = data()[0].copy()
    x[::7, 1] = x[3::7, 4] = np.nan
    return x


def converted(model: Any, **options: Any) -> onnx.ModelProto:
    from skl2onnx import to_onnx

    return to_onnx(model, data()[0][:1], target_opset={"": 18, "ai.onnx.ml": 3}, **options)


def from_lightgbm(model: Any) -> onnx.ModelProto:
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    return convert_lightgbm(model, initial_types=[("X", FloatTensorType([None, data()[0].shape[1]]))], target_opset=15)


def from_hist_boosting(model: Any) -> onnx.ModelProto:
    """HistGradientBoostingClassifier, which skl2onnx 1.20 cannot convert with current protobuf."""
    columns = ["treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids"]
    columns.append("missing_value_tracks_true")
    nodes: dict[str, list[Any]] = {f"nodes_{column}": [] for column in columns}
    leaves: dict[str, list[Any]] = {f"class_{column}": [] for column in ("treeids", "nodeids", "ids", "weights")}
    trees = [(k, tree) for stage in model._predictors for k, tree in enumerate(stage)]
    for number, (k, tree) in enumerate(trees):
        for i, n in enumerate(tree.nodes):
            mode = "LEAF" if n["is_leaf"] else "BRANCH_LEQ"
            row = [number, i, int(n["feature_idx"]), mode, float(n["num_threshold"])]
            row += [int(n["left"]), int(n["right"]), int(n["missing_go_to_left"])]
            for values, value in zip(nodes.values(), row, strict=True):
                values.append(value)
            if n["is_leaf"]:
                for values, value in zip(leaves.values(), [number, i, k, float(n["value"])], strict=True):
                    values.append(value)
    classes = [int(c) for c in model.classes_]
    base = model._baseline_prediction.reshape(-1).tolist()
    binary = len(classes) == 2
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["X"],
        ["label", "probabilities"],
        domain="ai.onnx.ml",
        post_transform="LOGISTIC" if binary else "SOFTMAX",
        base_values=base,
        classlabels_int64s=classes,
        **nodes,
        **leaves,
    )
    x = helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, model.n_features_in_])
    outputs = [helper.make_tensor_value_info("label", TensorProto.INT64, [None])]
    outputs.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, len(classes)]))
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    graph = helper.make_graph([node], "hist_boosting", [x], outputs)
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def _classifier(model: Any, text: bool = False, **options: Any) -> onnx.ModelProto:
    x, y = data()
    return converted(model.fit(x, NAMES[y] if text else y), **options)


def _binary(model: Any) -> onnx.ModelProto:
    x, y = data()
    return converted(model.fit(x, y == 1))


def _regressor(model: Any, targets: int = 1, **options: Any) -> onnx.ModelProto:
    x, _ = data()
    y = np.stack([np.sin(x[:, 0]) + x[:, 2], x[:, 1] * x[:, 3]], 1)[:, :targets]
    return converted(model.fit(x, y[:, 0] if targets == 1 else y), **options)


def _hist(classes: int) -> onnx.ModelProto:
    y = data()[1] if classes == 3 else (data()[1] == 1).astype(int)
    return from_hist_boosting(ensemble.HistGradientBoostingClassifier(max_iter=8, random_state=0).fit(gaps(), y))


def _lightgbm(classes: int) -> onnx.ModelProto:
    import lightgbm

    x, y = gaps(), data()[1] if classes > 2 else (data()[1] == 1).astype(int)
    x[:, 5] = np.arange(len(x)) % 7
    y = np.where((x[:, 5] % 3 == 1) & (y > 0), y - 1, y)  # so that the category matters
    kind = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
    options = {"n_estimators": 8, "random_state": 0, "n_jobs": 1, "verbose": -1, "min_cat_to_onehot": 1}
    return from_lightgbm(kind(**options, min_data_per_group=5, cat_smooth=1).fit(x, y, categorical_feature=[5]))


_FEW = {"n_estimators": 10, "max_depth": 6, "random_state": 0}
_NEAREST = {"options": {"optim": "cdist"}}

MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    "forest": lambda: _classifier(ensemble.RandomForestClassifier(**_FEW), text=True),
    "forest_of_two": lambda: _binary(ensemble.RandomForestClassifier(**_FEW)),
    "forest_regressor": lambda: _regressor(ensemble.RandomForestRegressor(**_FEW)),
    "forest_regressor_of_two": lambda: _regressor(ensemble.RandomForestRegressor(**_FEW), 2),
    "extra_trees": lambda: _classifier(ensemble.ExtraTreesClassifier(**_FEW)),
    "boosting": lambda: _classifier(ensemble.GradientBoostingClassifier(n_estimators=8, random_state=0)),
    "boosting_of_two": lambda: _binary(ensemble.GradientBoostingClassifier(n_estimators=8, random_state=0)),
    "boosting_regressor": lambda: _regressor(ensemble.GradientBoostingRegressor(n_estimators=8, random_state=0)),
    "hist_boosting": lambda: _hist(3),
    "hist_boosting_of_two": lambda: _hist(2),
    "lightgbm": lambda: _lightgbm(3),
    "lightgbm_of_two": lambda: _lightgbm(2),
    "lightgbm_regressor": lambda: _lightgbm(0),
    "isolation_forest": lambda: converted(ensemble.IsolationForest(n_estimators=10, random_state=0).fit(data()[0])),
    "ada_boost": lambda: _classifier(ensemble.AdaBoostClassifier(n_estimators=5, random_state=0), text=True),
    "svc": lambda: _classifier(svm.SVC(), text=True),
    "svc_probabilities": lambda: _classifier(svm.SVC(probability=True, random_state=0), text=True),
    "svc_linear": lambda: _classifier(svm.SVC(kernel="linear")),
    "svc_of_two": lambda: _binary(svm.SVC(probability=True, random_state=0)),
    "linear_svc": lambda: _classifier(svm.LinearSVC(random_state=0)),
    "svr": lambda: _regressor(svm.SVR()),
    "one_class_svm": lambda: converted(svm.OneClassSVM(nu=0.2).fit(data()[0])),
    "logistic_regression": lambda: _classifier(linear_model.LogisticRegression(), text=True),
    "logistic_regression_of_two": lambda: _binary(linear_model.LogisticRegression()),
    "ridge": lambda: _regressor(linear_model.Ridge(), 2),
    "naive_bayes": lambda: _classifier(naive_bayes.GaussianNB(), text=True),
    "nearest": lambda: _classifier(neighbors.KNeighborsClassifier(3), text=True, **_NEAREST),
    "nearest_by_scan": lambda: _classifier(neighbors.KNeighborsClassifier(3), text=True),
    "nearest_regressor": lambda: _regressor(neighbors.KNeighborsRegressor(3), **_NEAREST),
    "k_means": lambda: converted(cluster.KMeans(3, random_state=0, n_init=1).fit(data()[0])),
    "principal_components": lambda: _classifier(make_pipeline(decomposition.PCA(3), linear_model.LogisticRegression())),
    "perceptron": lambda: _classifier(
        make_pipeline(pre.StandardScaler(), neural_network.MLPClassifier((8,), max_iter=40, random_state=0)), text=True
    ),
    "imputer": lambda: _regressor(
        make_pipeline(impute.SimpleImputer(), pre.MinMaxScaler(clip=True), pre.Normalizer(), linear_model.Ridge())
    ),
    "bins": lambda: _regressor(
        make_pipeline(
            pre.KBinsDiscretizer(4, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
            pre.Binarizer(),
            linear_model.Ridge(),
        )
    ),
}
WITH_GAPS = ("hist_boosting", "hist_boosting_of_two", "lightgbm", "lightgbm_of_two", "lightgbm_regressor", "imputer")


def inputs(name: str, count: int) -> Array:
    """Some wines, with gaps where the model knows what to do with them."""
    x = gaps() if name in WITH_GAPS else data()[0].copy()
    if name.startswith("lightgbm"):
        x[:, 5] = np.arange(len(x)) % 7
    return x[:: max(1, len(x) // count)][:count]
