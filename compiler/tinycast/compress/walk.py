"""Run a model piece by piece over samples, while its later part may still change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from tinycast.model import Session
from tinycast.model.run import take_sample

AnyArray = NDArray[Any]


class Walk:
    """Runs only the nodes a request needs and has not run yet, one ONNX Runtime session a request.

    Values stay in memory while a node that has not run reads them. Nodes may be changed or given new
    weights until they run.
    """

    def __init__(self, model: ir.Model, samples: Mapping[str, AnyArray]) -> None:
        self._model = model
        self._done: set[ir.Node] = set()
        self._count = len(next(iter(samples.values()), ()))
        self._live = {value: _split(value, samples[value.name or ""]) for value in model.graph.inputs}

    def advance(self, values: Sequence[ir.Value]) -> dict[ir.Value, list[AnyArray]]:
        """The given values, one array a sample."""
        sources, nodes = self._needed(values)
        if nodes:
            kept = [o for n in nodes for o in n.outputs if o in values or any(c not in nodes for c in o.consumers())]
            self._live.update(self._run(sources, kept))
            self._done |= nodes
        result = {value: self._live[value] for value in values}
        for value in list(self._live):
            if all(reader in self._done for reader in value.consumers()):
                del self._live[value]
        return result

    def _needed(self, values: Sequence[ir.Value]) -> tuple[list[ir.Value], set[ir.Node]]:
        """Live values to start from, and the nodes between them and `values`."""
        sources: dict[ir.Value, None] = {}
        nodes: set[ir.Node] = set()
        todo = list(values)
        while todo:
            value = todo.pop()
            producer = value.producer()
            if value in self._live:
                sources[value] = None
            elif producer is not None and producer not in nodes:
                nodes.add(producer)
                todo += _inputs(producer)
        return list(sources), nodes

    def _run(self, sources: list[ir.Value], wanted: list[ir.Value]) -> dict[ir.Value, list[AnyArray]]:
        graph = ir.convenience.extract(self._model.graph, sources, wanted)
        for value, source in zip(graph.inputs, sources, strict=True):
            first = self._live[source][0]
            value.type = ir.TensorType(ir.DataType.from_numpy(first.dtype))
            value.shape = ir.Shape(first.shape)
        model = ir.Model(graph, ir_version=self._model.ir_version, functions=list(self._model.functions.values()))
        session = Session(model)
        columns = [self._live[source] for source in sources]
        names = [source.name or "" for source in sources]
        rows = zip(*columns, strict=True)
        runs = [session.run(dict(zip(names, row, strict=True))) for row in rows]
        if not sources:  # of constants: the same for all samples
            runs = [session.run({})] * self._count
        return {value: [results[value.name or ""] for results in runs] for value in wanted}


def _inputs(node: ir.Node) -> list[ir.Value]:
    """What the node reads, through its subgraphs too, but nothing that is made in them."""
    graphs = [g for a in node.attributes.values() for top in _graphs(a) for g in (top, *top.subgraphs())]
    nodes = [n for g in graphs for n in g]
    made = {v for g in graphs for v in g.inputs} | {v for n in nodes for v in n.outputs}
    inner = [v for n in nodes for v in n.inputs if v not in made]
    return [v for v in (*node.inputs, *inner) if v is not None and not v.is_initializer()]


def _graphs(attribute: ir.Attr) -> list[ir.Graph]:
    if attribute.type == ir.AttributeType.GRAPH:
        return [attribute.as_graph()]
    return list(attribute.as_graphs()) if attribute.type == ir.AttributeType.GRAPHS else []


def _split(value: ir.Value, samples: AnyArray) -> list[AnyArray]:
    rank = len(value.shape) if value.shape is not None else samples.ndim
    return [take_sample(samples, index, rank) for index in range(len(samples))]
