"""What a model keeps from one run to the next, as inputs and outputs of it: ONNX's idiom for streaming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from tinycast.errors import ModelError, UsageError
from tinycast.model.edit import Array, constant, free_name

_RECURRENT = {"RNN": ("h",), "GRU": ("h",), "LSTM": ("h", "c")}
_FIRST_STATE = 5  # the input initial_h; initial_c follows it
_FIX = "see `tinycast inspect` for the inputs and outputs of the model"


@dataclass(frozen=True)
class State:
    """The input `input` of each run is what the run before gave as `output`; in the first run it is `initial`."""

    input: str
    output: str
    initial: Array


def add_states(model: ir.Model, pairs: Mapping[str, str], *, recurrent: bool = False) -> tuple[State, ...]:
    """The states of a simplified model: `pairs` of its inputs and outputs, whose initial value is zero.

    With `recurrent` also the states of all RNN, GRU and LSTM nodes. Those that start from a constant get an input and
    an output of the model; where a node starts from an input of the model and its last state is an output, that is a
    pair. Raises UsageError for a pair that does not fit, ModelError for layers whose state cannot be kept.
    """
    graph = model.graph
    states = [_pair(graph, source, result) for source, result in pairs.items()]
    if recurrent:
        nodes = [node for node in graph if node.domain in ("", "ai.onnx") and node.op_type in _RECURRENT]
        for node in nodes:
            states += _states_of(graph, node, {state.input for state in states})
    if recurrent and not states:
        raise ModelError(
            "there is no recurrent layer whose state could be kept",
            where=f"graph {graph.name}",
            fix="name the inputs and outputs that are states with --state INPUT=OUTPUT",
        )
    results = [state.output for state in states]
    if len(set(results)) < len(results):
        raise UsageError("an output is the state of two inputs", where=", ".join(results), fix="give each its own")
    return tuple(states)


def _pair(graph: ir.Graph, source: str, result: str) -> State:
    inputs = {str(value.name): value for value in graph.inputs}
    outputs = {str(value.name): value for value in graph.outputs}
    for name, known, kind in ((source, inputs, "input"), (result, outputs, "output")):
        if name not in known:
            raise UsageError(f"the model has no {kind} {name}", where=f"--state {source}={result}", fix=_FIX)
    old, new = inputs[source], outputs[result]
    if old.dtype is not new.dtype or old.shape != new.shape:
        raise UsageError(
            f"the input is {old.dtype} {old.shape}, the output {new.dtype} {new.shape}",
            where=f"--state {source}={result}",
            fix="a state's input and output have the same shape and type",
        )
    assert old.dtype is not None
    assert old.shape is not None
    return State(source, result, np.zeros(old.shape.numpy(), old.dtype.numpy()))


def _states_of(graph: ir.Graph, node: ir.Node, known: set[str]) -> list[State]:
    if node.attributes.get_string("direction", "forward").lower() != "forward":
        raise ModelError(
            f"{node.op_type}: a layer that runs backward through time needs the whole sequence",
            where=node.name or "",
            fix="compile without --stateful, or train a model whose layers run forward only",
        )
    letters = _RECURRENT[node.op_type]
    node.resize_inputs(max(len(node.inputs), _FIRST_STATE + len(letters)))
    node.resize_outputs(max(len(node.outputs), 1 + len(letters)))
    states = []
    for number, letter in enumerate(letters):
        at = _FIRST_STATE + number
        start, last = node.inputs[at], node.outputs[1 + number]
        if start is not None and str(start.name) in known:
            continue
        if start is not None and start.is_graph_input() and last.is_graph_output():
            states.append(_pair(graph, str(start.name), str(last.name)))
            continue
        content = constant(start)
        if start is not None and content is None:
            raise ModelError(
                f"{node.op_type}: the state that it starts from is computed",
                where=node.name or "",
                fix="name the input and the output that carry the state with --state INPUT=OUTPUT",
            )
        if content is None:
            content = np.zeros(_state_shape(node), np.float32)
        states.append(_expose(graph, node, at, letter, content))
    return states


def _state_shape(node: ir.Node) -> tuple[int, ...]:
    x, r = node.inputs[0], node.inputs[2]
    assert x is not None
    assert x.shape is not None
    assert r is not None
    assert r.shape is not None
    batch_first = bool(node.attributes.get_int("layout", 0))
    batch, hidden = x.shape.numpy()[0 if batch_first else 1], r.shape.numpy()[2]
    return (batch, 1, hidden) if batch_first else (1, batch, hidden)


def _expose(graph: ir.Graph, node: ir.Node, at: int, letter: str, content: Array) -> State:
    """Give the state at input `at` of the node an input and an output of the graph."""
    dtype, shape = ir.TensorType(ir.DataType.from_numpy(content.dtype)), ir.Shape(content.shape)
    source = ir.Value(name=free_name(graph, f"{node.name}.{letter}"), type=dtype, shape=shape)
    graph.inputs.append(source)
    node.replace_input_with(at, source)
    last = node.outputs[1 + at - _FIRST_STATE]
    last.type, last.shape = dtype, shape
    last.name = last.name or free_name(graph, f"{node.name}.{letter}_next")
    if not last.is_graph_output():
        graph.outputs.append(last)
        return State(str(source.name), str(last.name), content)
    copy = ir.node("Identity", [last], name=free_name(graph, f"{node.name}.{letter}_kept"))
    kept = copy.outputs[0]
    kept.type, kept.shape, kept.name = dtype, shape, free_name(graph, f"{node.name}.{letter}_next")
    graph.insert_after(node, copy)
    graph.outputs.append(kept)
    return State(str(source.name), str(kept.name), content)
