"""What to do about nodes that cannot be compiled: the nearest supported rewrite, operator by operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir

Condition = Callable[[onnx_ir.Node], bool]

_TEXT = "do it before the model: strings do not exist on the target; give the model numbers"
_SEQUENCE = "write it with tensors: Concat, Split and Gather along an axis instead of a sequence"
_OPTIONAL = "export the model with the optional value present, or absent: then nothing is left to ask"
_RANDOM = "make the random numbers outside and give them to the model as an input"
_LOSS = "export the model for inference: a loss is of use in training alone"
_MAP = "leave it out: give the model one tensor of features, in a fixed order"


@dataclass(frozen=True)
class Advice:
    """`text` for nodes of one of the operators (see `full_name`) for which `when` holds."""

    operators: tuple[str, ...]
    text: str
    when: Condition | None = None


def _computes(*indices: int) -> Condition:
    """Whether one of these operands is computed at run time."""

    def check(node: onnx_ir.Node) -> bool:
        operands = [node.inputs[i] for i in indices if i < len(node.inputs)]
        return any(v is not None and v.const_value is None for v in operands)

    return check


def _has_no_tensor(node: onnx_ir.Node) -> bool:
    values = (*node.inputs, *node.outputs)
    return any(v is not None and isinstance(v.type, onnx_ir.SequenceType | onnx_ir.OptionalType) for v in values)


_FIXED = "export the model with fixed input sizes (or give them with --shape), so that it folds to a constant"
_NARROW = "quantize with MatMulNBitsQuantizer: constant weights of 2, 4 or 8 bits in blocks along the inputs"
_DECODER = "export the decoder with standard operators: RotaryEmbedding and Attention of opset 23, or their parts"
_LARGE = "quantize the float model with `tinycast quantize`: this form is for graphics cards"
_ORDERED = "save the model with ORT_ENABLE_EXTENDED at most: above it, weights are ordered for one processor"
_PLAIN = "save the model without ONNX Runtime's graph optimization (ORT_DISABLE_ALL)"

# The first row that fits a node is its advice: rows with a condition stand before those without.
TABLE = (
    Advice(("If", "Loop", "Scan"), _SEQUENCE, _has_no_tensor),
    Advice(("If",), "make the condition a constant (it folds away), or let both branches give the same shapes"),
    Advice(("Loop", "Scan"), "make the trip count a constant, and carry tensors of one shape"),
    Advice(("Resize", "Upsample"), f"make roi, scales and sizes constants: {_FIXED}", _computes(1, 2, 3)),
    Advice(("Slice",), "make starts and ends constants, or use Gather, whose indices may be computed", _computes(1, 2)),
    Advice(("TopK", "OneHot"), "make the number of outputs (k, depth) a constant", _computes(1)),
    Advice(("Reshape", "Expand", "Tile", "Pad"), f"{_FIXED}: input 1 is computed", _computes(1)),
    Advice(("ConstantOfShape", "Range"), _FIXED, _computes(0, 1, 2)),
    Advice(("Einsum",), "write it as Transpose, MatMul and ReduceSum"),
    Advice(("NonZero", "Unique", "Compress"), "keep a mask of fixed size: compare, then Where or Mul"),
    Advice(("NonMaxSuppression",), "cut the model before it, and pick the boxes in the application"),
    Advice(("RoiAlign", "MaxRoiPool"), "write it as GridSample with coordinates computed from the boxes, then a pool"),
    Advice(("GlobalLpPool",), "write it as ReduceL2 (p = 2) or ReduceL1 (p = 1) over the spatial axes"),
    Advice(("TensorScatter",), "write it as ScatterND"),
    Advice(("ImageDecoder",), "decode the image before the model, and give it the pixels"),
    Advice(("MelWeightMatrix",), "make its inputs constants: then it folds to a table"),
    Advice(("StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch", "TfIdfVectorizer"), _TEXT),
    Advice(("SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert"), _SEQUENCE),
    Advice(("SequenceLength", "SequenceMap", "SplitToSequence", "ConcatFromSequence"), _SEQUENCE),
    Advice(("Optional", "OptionalGetElement", "OptionalHasElement"), _OPTIONAL),
    Advice(("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"), _RANDOM),
    Advice(("Bernoulli", "Multinomial"), _RANDOM),
    Advice(("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"), _LOSS),
    Advice(("ai.onnx.ml.ZipMap",), "leave it out (zipmap=False in skl2onnx), and read the tensor of scores"),
    Advice(("ai.onnx.ml.DictVectorizer", "ai.onnx.ml.CastMap"), _MAP),
    Advice(("ai.onnx.ml.CategoryMapper", "ai.onnx.ml.LabelEncoder"), "map strings to numbers outside of the model"),
    Advice(("com.microsoft.FusedConv",), f"{_PLAIN}: Conv and its activation"),
    Advice(("com.microsoft.FusedMatMul", "com.microsoft.FusedGemm"), f"{_PLAIN}: MatMul, Transpose and Mul"),
    Advice(("com.microsoft.Attention", "com.microsoft.MultiHeadAttention"), f"{_PLAIN}: MatMul and Softmax"),
    Advice(("com.microsoft.SkipLayerNormalization",), f"{_PLAIN}: Add and LayerNormalization"),
    Advice(("com.microsoft.EmbedLayerNormalization",), f"{_PLAIN}: Gather, Add and LayerNormalization"),
    Advice(("com.microsoft.FastGelu", "com.microsoft.BiasGelu"), f"{_PLAIN}: Add and Gelu"),
    Advice(("com.microsoft.MatMulNBits", "com.microsoft.GatherBlockQuantized"), _NARROW),
    Advice(("com.microsoft.MatMulBnb4", "com.microsoft.MatMulFpQ4"), _NARROW),
    Advice(("com.microsoft.GroupQueryAttention", "com.microsoft.RotaryEmbedding"), _DECODER),
    Advice(("com.microsoft.QMoE", "com.microsoft.MoE", "com.microsoft.QOrderedMatMul"), _LARGE),
)

_DOMAINS = {
    "ai.onnx.preview.training": "export the model for inference: an optimizer's step is of use in training alone",
    "com.microsoft": f"{_PLAIN}, so that it has standard operators",
    "com.microsoft.nchwc": _ORDERED,
    "ai.onnx.ml": "convert the estimator to MatMul, comparisons and Where, or compute it in the application",
}
_OTHER = "write it with standard operators (`tinycast ops` lists them), or cut the model before and after it"


def full_name(node: onnx_ir.Node) -> str:
    """The operator, with its domain unless that is ONNX's own."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def advice(node: onnx_ir.Node) -> str:
    """What to do about a node whose operator is not supported."""
    return rewrite(node) or _DOMAINS.get(node.domain, _OTHER)


def rewrite(node: onnx_ir.Node) -> str:
    """What to do about a node that cannot be compiled as it is; empty where the table has nothing on it."""
    name = full_name(node)
    return next((r.text for r in TABLE if name in r.operators and (r.when is None or r.when(node))), "")
