"""Bringing a model to its simplest equivalent form."""

from __future__ import annotations

import contextlib

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common as passes
from onnxscript.optimizer._constant_folding import FoldConstantsPass
from onnxscript.rewriter import RewritePass, RewriteRuleSet
from onnxscript.rewriter.rules import common as rules

from tinycast.model.batch_norm import fold_batch_norm
from tinycast.model.contrib import rewrite_contrib_operators
from tinycast.model.control_flow import capture_invariants, fold_several_outputs
from tinycast.model.edit import add_constant, constant, replace
from tinycast.model.gelu import fuse_gelu
from tinycast.model.gemm import split_computed_bias
from tinycast.model.loop_rounds import count_rounds, inline_single_rounds
from tinycast.model.names import name_nodes, name_values
from tinycast.model.noop import remove_noops
from tinycast.model.qoperator import rewrite_qoperators
from tinycast.model.resize_sizes import settle_resize_sizes
from tinycast.model.sequences import resolve_sequences
from tinycast.model.shapes import infer_shapes
from tinycast.model.windows import gather_windows

_RULES = (
    rules.add_0_rule,
    rules.cast_cast_rule,
    rules.div_by_1_rule,
    rules.fuse_pad_into_conv_rule,
    rules.max_max_rule,
    rules.min_min_rule,
    rules.mul_by_1_rule,
    rules.no_op_transpose_rule,
    rules.reshape_reshape_rule,
    rules.sub_0_rule,
    rules.successive_clip_relu_rule,
    rules.successive_clip_rule,
    rules.successive_relu_clip_rule,
    rules.successive_relu_rule,
    rules.transpose_transpose_rule,
    rules.unsqueeze_unsqueeze_rule,
)
_ROUNDS = 8  # each must change something for the next to run; real models need two or three


def simplify(model: ir.Model) -> None:
    """Simplify the model in place; its inputs, outputs and what they mean stay the same.

    Afterwards there are no functions, Constant nodes, unused nodes or no-ops; what can be computed now is a
    constant, except DequantizeLinear, so that a quantized model stays one; BatchNormalization is folded into
    the linear operator before it; Gelu is one operator; QOperators are QDQ, and other operators of ONNX Runtime's
    own are standard ones where there are such; node names are unique. Raises ModelError where the model
    contradicts itself.
    """
    passes.InlinePass()(model)
    name_values(model)
    passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    _make_casts(model)
    rewrite_contrib_operators(model)
    while rewrite_qoperators(model):
        infer_shapes(model)
    settle_resize_sizes(model)
    for _ in range(_ROUNDS):
        before = _signature(model)
        resolve_sequences(model)
        capture_invariants(model)
        count_rounds(model)
        inline_single_rounds(model)
        fold_several_outputs(model)
        gather_windows(model)
        _fold_constants(model)
        RewritePass(RewriteRuleSet(_RULES))(model)
        name_nodes(model)
        name_values(model)
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
        infer_shapes(model)
        transpose_quantized_constants(model)
        fold_batch_norm(model)
        split_computed_bias(model)
        fuse_gelu(model)
        remove_noops(model)
        passes.RemoveUnusedNodesPass()(model)
        infer_shapes(model)
        if _signature(model) == before:
            break
    passes.RemoveUnusedOpsetsPass()(model)
    _drop_metadata(model)
    name_nodes(model)


def transpose_quantized_constants(model: ir.Model) -> int:
    """Move a Transpose of a dequantized constant onto the constant itself; returns how many."""
    changed = 0
    for node in list(model.graph.all_nodes()):
        dequantize = node.inputs[0].producer() if node.op_type == "Transpose" and node.inputs[0] else None
        if dequantize is None or dequantize.op_type != "DequantizeLinear":
            continue
        quantized, scale = constant(dequantize.inputs[0]), constant(dequantize.inputs[1])
        if quantized is None or scale is None or scale.ndim > 1 or dequantize.attributes.get_int("block_size"):
            continue
        perm = list(node.attributes.get_ints("perm", tuple(reversed(range(quantized.ndim)))))
        source, graph = dequantize.inputs[0], node.graph
        assert source is not None
        assert isinstance(graph, ir.Graph)
        moved = add_constant(graph, f"{source.name}_transposed", np.transpose(quantized, perm), source.dtype)
        attributes = dict(dequantize.attributes)
        if scale.ndim == 1:
            axis = dequantize.attributes.get_int("axis", 1) % quantized.ndim
            attributes["axis"] = ir.AttrInt64("axis", perm.index(axis))
        new = ir.Node("", "DequantizeLinear", [moved, *dequantize.inputs[1:]], attributes.values(), name=node.name)
        replace(node, [new], new.outputs[0])
        changed += 1
    return changed


def _make_casts(model: ir.Model) -> None:
    """CastLike as Cast. The optimizer does the same, but forgets how the node says to round."""
    for node in list(model.graph):
        like = node.inputs[1] if node.op_type == "CastLike" else None
        if like is not None and like.dtype is not None:
            attributes = [ir.AttrInt64("to", like.dtype), *node.attributes.values()]
            cast = ir.Node("", "Cast", node.inputs[:1], attributes, name=node.name)
            cast.outputs[0].shape, cast.outputs[0].type = node.outputs[0].shape, ir.TensorType(like.dtype)
            replace(node, [cast], cast.outputs[0])


def _fold_constants(model: ir.Model) -> None:
    # The limit on inputs does not count where _should_fold decides; a failing evaluation leaves the node as it is.
    fold = FoldConstantsPass(
        shape_inference=True, input_size_limit=0, output_size_limit=2**31, should_fold=_should_fold
    )
    with contextlib.suppress(RuntimeError):
        fold(model)


def _should_fold(node: ir.Node) -> bool:
    return node.op_type != "DequantizeLinear"


def _signature(model: ir.Model) -> list[tuple[str, tuple[str | None, ...]]]:
    return [
        (node.op_type, tuple(value.name if value is not None else None for value in node.inputs))
        for node in model.graph.all_nodes()
    ]


def _drop_metadata(model: ir.Model) -> None:
    """Forget the optimizer's notes on where things came from."""
    for node in model.graph.all_nodes():
        for properties in (node.metadata_props, *(value.metadata_props for value in node.outputs)):
            for key in [key for key in properties if key.startswith("pkg.onnxscript.")]:
                del properties[key]
