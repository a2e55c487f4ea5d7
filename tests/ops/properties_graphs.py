"""Random graphs of several operators: what layout, fusion, memory and integer regions have to get right together."""

from __future__ import annotations

import numpy as np
from properties import Array, Draw, Instance, family, ints
from properties_shape import split_up

Shape = tuple[int, ...]
_MOST = 600  # elements of a value
_KINDS = (
    *("conv", "conv", "conv", "depthwise", "function", "function", "both", "both", "offset", "pool", "concat"),
    *("slice", "transpose", "reshape", "mean", "softmax", "pad", "resize", "split", "gather", "mat_mul", "tile"),
)


class Graph:
    """Nodes as text, and the shapes of the values so far."""

    def __init__(self, d: Draw) -> None:
        self.d = d
        self.nodes: list[str] = []
        self.constants: dict[str, Array] = {}
        self.shapes: dict[str, Shape] = {}
        self.read: set[str] = set()

    def constant(self, array: Array) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = array
        return name

    def add(self, operator: str, operands: list[str], *shapes: Shape) -> None:
        """Append a node that gives values of these shapes, where they are not too large."""
        if any(np.prod(shape) > _MOST for shape in shapes):
            return
        names = [f"v{len(self.shapes) + i}" for i in range(len(shapes))]
        self.nodes.append(f"{', '.join(names)} = {operator}({', '.join(operands)})")
        self.shapes |= dict(zip(names, shapes, strict=True))
        self.read.update(operands)

    def step(self) -> None:
        """One more node on a value, mostly one of the last."""
        d = self.d
        x = d.of(*list(self.shapes)[-3:], *self.shapes)
        getattr(self, d.of(*_KINDS))(x, self.shapes[x])

    def conv(self, x: str, shape: Shape) -> None:
        d = self.d
        if len(shape) != 4:
            return
        outer, size = d.int(1, 9), d.of(1, 3)
        stride = d.of(1, 1, 2) if min(shape[2:]) > 1 else 1
        w = self.constant(d.array([outer, shape[1], size, size], low=-0.5, high=0.5))
        b = self.constant(d.array([outer]))
        ends = [(n + 2 * (size // 2) - size) // stride + 1 for n in shape[2:]]
        attributes = f"pads={[size // 2] * 4}, strides={[stride] * 2}"
        self.add(f"Conv<{attributes}>", [x, w, *d.of([b], [])], (shape[0], outer, *ends))

    def depthwise(self, x: str, shape: Shape) -> None:
        if len(shape) == 4:
            w = self.constant(self.d.array([shape[1], 1, 3, 3]))
            self.add(f"Conv<group={shape[1]}, pads=[1,1,1,1]>", [x, w], shape)

    def function(self, x: str, shape: Shape) -> None:
        self.add(self.d.of("Relu", "Relu", "Sigmoid", "Tanh", "HardSwish", "Neg"), [x], shape)

    def both(self, x: str, shape: Shape) -> None:
        others = [name for name, other in self.shapes.items() if fits(other, shape)]
        self.add(self.d.of("Add", "Add", "Mul", "Sub"), [x, self.d.of(*others)], shape)

    def offset(self, x: str, shape: Shape) -> None:
        operand = self.constant(self.d.array(self.d.narrowed(shape), low=0.2))
        self.add(self.d.of("Add", "Mul"), [x, operand], shape)

    def pool(self, x: str, shape: Shape) -> None:
        if len(shape) == 4 and min(shape[2:]) > 1:
            kind = self.d.of("MaxPool", "AveragePool")
            self.add(f"{kind}<kernel_shape=[2,2], strides=[2,2]>", [x], (*shape[:2], shape[2] // 2, shape[3] // 2))

    def concat(self, x: str, shape: Shape) -> None:
        axis = self.d.int(0, len(shape) - 1) if shape else 0
        same = [
            n for n, s in self.shapes.items() if shape and s[:axis] + s[axis + 1 :] == shape[:axis] + shape[axis + 1 :]
        ]
        if same:
            parts = [x, *(self.d.of(*same) for _ in range(self.d.int(1, 2)))]
            length = sum(self.shapes[part][axis] for part in parts)
            self.add(f"Concat<axis={axis}>", parts, (*shape[:axis], length, *shape[axis + 1 :]))

    def slice(self, x: str, shape: Shape) -> None:
        d = self.d
        if not shape:
            return
        axis = d.int(0, len(shape) - 1)
        start = d.int(0, shape[axis] - 1)
        end, step = d.int(start + 1, shape[axis]), d.int(1, 2)
        operands = [self.constant(ints(n)) for n in (start, end, axis, step)]
        self.add("Slice", [x, *operands], (*shape[:axis], -(-(end - start) // step), *shape[axis + 1 :]))

    def transpose(self, x: str, shape: Shape) -> None:
        order = self.d.of([0, 2, 3, 1], [0, 3, 1, 2], [0, 2, 1, 3]) if len(shape) == 4 else self.d.order(len(shape))
        if shape:
            self.add(f"Transpose<perm={order}>", [x], tuple(shape[i] for i in order))

    def reshape(self, x: str, shape: Shape) -> None:
        target = split_up(self.d, int(np.prod(shape)))
        self.add("Reshape", [x, self.constant(ints(*target))], tuple(target))

    def mean(self, x: str, shape: Shape) -> None:
        axes = sorted(self.d.some(range(len(shape)), 1)) if shape else []
        if axes:
            reduced = tuple(1 if i in axes else n for i, n in enumerate(shape))
            kind = self.d.of("ReduceMean", "ReduceMean", "ReduceSum", "ReduceMax")
            self.add(f"{kind}<keepdims=1>", [x, self.constant(ints(*axes))], reduced)

    def softmax(self, x: str, shape: Shape) -> None:
        if shape:
            self.add(f"Softmax<axis={self.d.axis(len(shape))}>", [x], shape)

    def pad(self, x: str, shape: Shape) -> None:
        pads = [self.d.int(0, 1) for _ in range(2 * len(shape))]
        if shape:
            wide = tuple(n + a + b for n, a, b in zip(shape, pads, pads[len(shape) :], strict=False))
            self.add("Pad", [x, self.constant(ints(*pads))], wide)

    def resize(self, x: str, shape: Shape) -> None:
        if len(shape) == 4:
            wide = (*shape[:2], 2 * shape[2], 2 * shape[3])
            self.add("Resize", [x, "", "", self.constant(ints(*wide))], wide)

    def split(self, x: str, shape: Shape) -> None:
        axes = [a for a, n in enumerate(shape) if n % 2 == 0]
        if axes:
            axis = self.d.of(*axes)
            half = (*shape[:axis], shape[axis] // 2, *shape[axis + 1 :])
            self.add(f"Split<axis={axis}, num_outputs=2>", [x], half, half)

    def gather(self, x: str, shape: Shape) -> None:
        if shape:
            axis = self.d.int(0, len(shape) - 1)
            taken = [self.d.int(0, shape[axis] - 1) for _ in range(self.d.int(1, 4))]
            places = (*shape[:axis], len(taken), *shape[axis + 1 :])
            self.add(f"Gather<axis={axis}>", [x, self.constant(ints(*taken))], places)

    def mat_mul(self, x: str, shape: Shape) -> None:
        if len(shape) > 1:
            width = self.d.int(1, 9)
            w = self.constant(self.d.array([shape[-1], width], low=-0.5, high=0.5))
            self.add("MatMul", [x, w], (*shape[:-1], width))

    def tile(self, x: str, shape: Shape) -> None:
        if shape:
            times = [self.d.of(1, 1, 2) for _ in shape]
            self.add("Tile", [x, self.constant(ints(*times))], tuple(n * t for n, t in zip(shape, times, strict=True)))


def fits(narrow: Shape, wide: Shape) -> bool:
    """Whether `narrow` broadcasts to `wide`."""
    return len(narrow) <= len(wide) and all(n in (1, w) for n, w in zip(narrow[::-1], wide[::-1], strict=False))


def graph_of(d: Draw, nodes: int) -> Instance:
    g = Graph(d)
    inputs = {"x": d.input([1, d.int(1, 8), d.int(1, 7), d.int(1, 7)], low=-1, high=1)}
    if d.flag():
        inputs["z"] = d.input([1, inputs["x"].shape[2], 1, 1], low=-1, high=1)
    g.shapes |= {name: array.shape[1:] for name, array in inputs.items()}
    g.conv("x", g.shapes["x"])
    for _ in range(nodes - 1):
        g.step()
    made = [name for name in g.shapes if name not in inputs]
    outputs = [name for name in made if name not in g.read]
    outputs += d.some([name for name in made if name in g.read])[:1]
    used = {name: array for name, array in g.constants.items() if name in g.read}
    for name in [name for name in inputs if name not in g.read]:
        g.nodes.append(f"{name}_read = Neg({name})")
        outputs.append(f"{name}_read")
    return Instance(" ".join(g.nodes), inputs, used, outputs=" ".join(outputs), tolerance=1e-4)


@family("graph.small", "graph.large", "graph.larger")
def graphs(d: Draw, op: str) -> Instance:
    return graph_of(d, d.int(2, {"graph.small": 4, "graph.large": 9, "graph.larger": 14}[op]))
