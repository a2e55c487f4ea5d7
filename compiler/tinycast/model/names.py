"""Node names: errors, comments in generated code and reports point at nodes by them."""

from __future__ import annotations

from collections import Counter

import onnx_ir as ir


def name_nodes(model: ir.Model) -> None:
    """Give every node a unique, non-empty name: its own, or the operator's with a number ("Conv_3")."""
    nodes = list(model.graph.all_nodes())
    counts = Counter(node.name for node in nodes)
    taken = {name for name in counts if name}
    seen: set[str] = set()
    numbers: Counter[str] = Counter()
    for node in nodes:
        if node.name and node.name not in seen:
            seen.add(node.name)
            continue
        base = node.name or node.op_type
        while (name := f"{base}_{numbers[base]}") in taken:
            numbers[base] += 1
        node.name = name
        taken.add(name)
        seen.add(name)


def name_values(model: ir.Model) -> None:
    """Give no two values of all graphs the same name: branches may, until one of them becomes a part of the graph."""
    taken: set[str] = set()
    for graph in model.graphs():
        inside = [*graph.inputs, *graph.initializers.values(), *(v for node in graph for v in node.outputs)]
        for value in dict.fromkeys(v for v in inside if v.name):
            name, number = str(value.name), 0
            while name in taken:
                number += 1
                name = f"{value.name}_{number}"
            value.name = name
            taken.add(name)
