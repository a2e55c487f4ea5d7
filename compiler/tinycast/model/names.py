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
