"""ONNX to a Program of typed operators, still in ONNX's element order and with its Q/DQ pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir

from tinycast.errors import InternalError, ModelError, TinycastError
from tinycast.ir.graph import Builder, Call, Program
from tinycast.ir.types import DType, Value, inside
from tinycast.ops import IMPORTERS
from tinycast.ops.advice import advice, rewrite
from tinycast.ops.node import Node
from tinycast.ops.quantize import Dequantize
from tinycast.program.results import finish_sizes

_DTYPES = {d.value for d in DType}


def import_program(model: onnx_ir.Model, name: str) -> Program:
    """Translate a simplified model with static shapes.

    Raises ModelError that lists every node that cannot be compiled, each with its reason.
    """
    graph = model.graph
    # ONNX's shape inference counts pool windows that lie in the border only, ONNX Runtime does not.
    rounds_up = any(node.attributes.get_int("ceil_mode", 0) for node in graph.all_nodes())
    settings = _Settings(model.opset_imports.get("", 21), checks_shapes=not rounds_up)
    inputs: dict[onnx_ir.Value, Value] = {}
    refused: list[TinycastError] = []
    for value in graph.inputs:
        try:
            inputs[value] = _input(value)
        except ModelError as error:
            refused.append(error)
    return _GraphImporter(settings, Program(name, [], []), graph, inputs).run(refused)


@dataclass(frozen=True)
class _Settings:
    """What holds for all graphs of a model."""

    opset: int
    checks_shapes: bool


class _GraphImporter:
    """Imports one graph into `program`; `inputs` stand for its inputs, constants among them are not the program's."""

    def __init__(
        self,
        settings: _Settings,
        program: Program,
        graph: onnx_ir.Graph,
        inputs: Mapping[onnx_ir.Value, Value],
        outer: _GraphImporter | None = None,
    ) -> None:
        self.program = program
        self.captured: dict[Value, Value] = {}  # values of the graphs around this one -> what stands for them here
        self._settings = settings
        self._graph = graph
        self._outer = outer
        self._values: dict[onnx_ir.Value, Value] = dict(inputs)
        self._weights: set[Value] = set()
        for tensor in graph.initializers.values():
            assert tensor.const_value is not None
            data = tensor.const_value.numpy()
            dtype = _dtype(data.dtype.name, tensor.name).inside
            self._values[tensor] = Value(tensor.name or "", data.shape, dtype, data=inside(data))
        program.inputs += [v for v in inputs.values() if not v.is_constant]
        program.reserved.update(v.name for node in graph for v in node.outputs if v.name)

    def run(self, refused: Iterable[TinycastError] = ()) -> Program:
        """The program; `refused` are the reasons against inputs that are missing."""
        refused = list(refused)
        broken = {v for v in self._graph.inputs if v not in self._values}
        for node in self._graph:
            if any(v in broken for v in _reads(node)):
                broken.update(node.outputs)
                refused += _unsupported_in(node)
                continue
            try:
                self._import_node(node)
            except ModelError as error:
                error.fix = error.fix or rewrite(node)
                refused += error.causes or (error,)
                broken.update(node.outputs)
        if refused:
            raise _all(refused)
        self.program.outputs = [self._find(v) for v in self._graph.outputs]
        finish_sizes(self.program, inner=self._outer is not None)
        self.program.remove_dead()
        return self.program

    def _import_node(self, node: onnx_ir.Node) -> None:
        importer = IMPORTERS.get(_kind(node))
        if importer is None:
            raise _unsupported(node)
        build = Builder(self.program, node.name or node.op_type, node.op_type)
        operands = tuple(None if v is None else self._find(v) for v in node.inputs)
        weights = frozenset(self._weights)
        result = importer(Node(node, operands, build, self._settings.opset, weights, self._import_graph))
        results = result if isinstance(result, tuple) else (result,)
        made = {value for call in build.calls for value in call.outputs}
        for output, value in zip(node.outputs, results, strict=False):
            if value is None:
                continue
            if self._settings.checks_shapes:
                _check_shape(output, value, build.source)
            if value in made:
                made.remove(value)
                value.name = output.name or value.name
            self._values[output] = value
        unmade = [v.name for v in node.outputs[len(results) :] if v.name]
        if unmade:
            raise ModelError(f"{_kind(node)}: the output {unmade[0]} is not supported", where=node.name or "")
        self._append(build.calls)

    def _append(self, calls: list[Call]) -> None:
        self.program.calls += calls
        last = calls[-1] if calls else None
        if last is not None and isinstance(last.op, Dequantize) and last.inputs[0].is_constant:
            self._weights.add(last.output)

    def _import_graph(self, graph: onnx_ir.Graph, inputs: Sequence[Value]) -> tuple[Program, tuple[Value, ...]]:
        program = Program(graph.name or "body", [], [])
        program.reserved.update(self.program.reserved)
        body = _GraphImporter(self._settings, program, graph, dict(zip(graph.inputs, inputs, strict=True)), self)
        body.run()
        read = {v for call in program.calls for v in call.inputs} | set(program.outputs)
        unread = {here for here in body.captured.values() if here not in read}  # counts, mostly
        program.inputs = [v for v in program.inputs if v not in unread]
        return program, tuple(value for value, here in body.captured.items() if here not in unread)

    def _find(self, value: onnx_ir.Value) -> Value:
        """What stands for the ONNX value here: a value of a graph around this one becomes an input."""
        if value not in self._values:
            if self._outer is None:
                raise InternalError("a value is read before it is made", where=value.name or "")
            self._values[value] = self._capture(self._outer._find(value), self._outer.program)
        return self._values[value]

    def _capture(self, value: Value, outer: Program) -> Value:
        if value.is_constant:
            return value
        source = outer.producers().get(value)
        if source is not None and isinstance(source.op, Dequantize):  # the quantized tensor is what comes in
            here = self._capture(source.inputs[0], outer)
            output = replace(value, name=self.program.unique_name(value.name), sizes=here.sizes)
            self._append([replace(source, inputs=(here,), output=output)])
            return output
        if value not in self.captured:
            self.captured[value] = here = replace(value)
            self.program.inputs.append(here)
            here.sizes = tuple(None if count is None else self._capture(count, outer) for count in value.sizes)
        return self.captured[value]


def _reads(node: onnx_ir.Node) -> Iterator[onnx_ir.Value]:
    """The values that the node and the graphs inside of it read."""
    yield from (v for v in node.inputs if v is not None)
    for attribute in node.attributes.values():
        if attribute.type == onnx_ir.AttributeType.GRAPH:
            graph = attribute.as_graph()
            yield from graph.outputs
            for inner in graph.all_nodes():
                yield from (v for v in inner.inputs if v is not None)


def _kind(node: onnx_ir.Node) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _unsupported_in(node: onnx_ir.Node) -> list[ModelError]:
    """What is wrong with a node, and with those in its bodies, whatever its operands are."""
    bodies = [a.as_graph() for a in node.attributes.values() if a.type is onnx_ir.AttributeType.GRAPH]
    nodes = [node, *(inner for body in bodies for inner in body.all_nodes())]
    return [_unsupported(inner) for inner in nodes if _kind(inner) not in IMPORTERS]


def _check_shape(expected: onnx_ir.Value, result: Value, source: str) -> None:
    if expected.shape is None or not expected.shape.is_static():
        return
    shape = tuple(int(d) for d in expected.shape.numpy())
    if result.sizes and len(shape) == len(result.shape):  # a size that depends on data may have been declared
        bounds = zip(shape, result.shape, result.sizes, strict=True)
        shape = tuple(most if count is not None and n <= most else n for n, most, count in bounds)
    if shape != result.shape:
        raise ModelError(f"shape inference says {shape}, the operator gives {result.shape}", where=source)


def _input(value: onnx_ir.Value) -> Value:
    if value.shape is None or value.dtype is None or not isinstance(value.type, onnx_ir.TensorType):
        raise ModelError(f"an input of type {value.type} is not supported", where=value.name or "", fix="give tensors")
    dtype = np.dtype(value.dtype.numpy()).name
    return Value(value.name or "", tuple(int(d) for d in value.shape.numpy()), _dtype(dtype, value.name).inside)


def _dtype(name: str, where: str | None) -> DType:
    if name not in _DTYPES:
        raise ModelError(f"the element type {name} is not supported", where=where or "", fix="cast to float32 or int8")
    return DType(name)


def _unsupported(node: onnx_ir.Node) -> ModelError:
    return ModelError(f"{_kind(node)}: operator not supported", where=node.name or "", fix=advice(node))


def _all(errors: Sequence[TinycastError]) -> TinycastError:
    if len(errors) == 1:
        return errors[0]
    lines = "".join(f"\n  {e.where}: {e.what}" + (f" ({e.fix})" if e.fix else "") for e in errors)
    error = ModelError(f"{len(errors)} nodes cannot be compiled:{lines}", where="the model", fix="see `tinycast ops`")
    error.causes = tuple(errors)
    return error
