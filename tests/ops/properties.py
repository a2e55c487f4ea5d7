"""Random instances of every operator family: how they are drawn, run under sanitizers, and compared.

A family is a function that draws one small valid model about one ONNX operator, with its inputs. `test_families.py`
runs them all. Choices (shapes, attributes, axes) are hypothesis's; the numbers in arrays come of a seed that it draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import onnx
import onnx.parser
import onnx_ir
from host_batch import Array, loaded, program_of, run_on_host
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from tinycast.ir.graph import interpret
from tinycast.model import Session
from tinycast.model.run import stack_sizes

SAMPLES = 2
# An example is a build: shrinking would take many, and the messages name the instance.
BUILDS = settings(phases=[Phase.generate], suppress_health_check=list(HealthCheck))
T = TypeVar("T")


@dataclass(frozen=True)
class Instance:
    """A model as ONNX's text with its inputs, samples on axis 0.

    `attributes` are those of the first node that text cannot say. The outputs may differ from the oracle's by
    `tolerance` of the largest number where they are floats, and by `steps` where they are integers.
    """

    nodes: str
    inputs: Mapping[str, Array]
    constants: Mapping[str, Array] = field(default_factory=dict)
    outputs: str = "y"
    attributes: Mapping[str, Any] = field(default_factory=dict)
    opset: int = 21
    version: int = 3  # of the domain ai.onnx.ml
    tolerance: float = 1e-5
    steps: int = 0
    integers: bool = False  # between quantized tensors: nothing is to run in float
    by_reference: bool = False  # ONNX's reference is the oracle, where ONNX Runtime has no such kernel

    def proto(self) -> onnx.ModelProto:
        """The model; the types of its outputs are left to `expected`."""
        text = f'<ir_version: 10, opset_import: ["" : {self.opset}]> g () => () {{ {self.nodes} }}'
        proto = onnx.parser.parse_model(text)
        domains = {node.domain for node in proto.graph.node}
        versions = {"ai.onnx.ml": self.version, "com.microsoft": 1}
        proto.opset_import.extend(helper.make_opsetid(d, v) for d, v in versions.items() if d in domains)
        for name, array in self.inputs.items():
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            proto.graph.input.append(helper.make_tensor_value_info(name, kind, array.shape[1:]))
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self.outputs.split())
        proto.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in self.constants.items())
        proto.graph.node[0].attribute.extend(helper.make_attribute(*item) for item in self.attributes.items())
        return proto

    def expected(self, proto: onnx.ModelProto) -> dict[str, list[Array]]:
        """Each output of each sample, by the oracle; `proto` learns the outputs' types."""
        count = len(next(iter(self.inputs.values())))
        samples = [{name: np.asarray(array[i]) for name, array in self.inputs.items()} for i in range(count)]
        names = self.outputs.split()
        if self.by_reference:
            evaluator = ReferenceEvaluator(proto)
            runs = [dict(zip(names, evaluator.run(None, sample), strict=True)) for sample in samples]
        else:
            session = Session(onnx_ir.serde.deserialize_model(proto))
            runs = [session.run(sample) for sample in samples]
        for value in proto.graph.output:
            dtype = np.asarray(runs[0][value.name]).dtype
            value.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(dtype)
        return {name: [np.asarray(run[name]) for run in runs] for name in names}

    def __str__(self) -> str:
        shapes = [f"{a.dtype}{list(a.shape[1:])} {name}" for name, a in self.inputs.items()]
        small = {n: a.tolist() if a.size < 12 else f"{a.dtype}{list(a.shape)}" for n, a in self.constants.items()}
        stated = {name: f"{value!r:.99}" for name, value in self.attributes.items()}
        return f"{self.nodes} of {', '.join(shapes)}, constants {small}, attributes {stated}"


class Draw:
    """What an instance is drawn with."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.choose = draw
        self.random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def int(self, low: int, high: int) -> int:
        return self.choose(st.integers(low, high))

    def flag(self) -> bool:
        return self.choose(st.booleans())

    def of(self, *options: T) -> T:
        return self.choose(st.sampled_from(options))

    def some(self, options: Sequence[T], least: int = 0) -> list[T]:
        """At least `least` of the options, each once, in any order."""
        return [options[i] for i in self.order(len(options))[: self.int(least, len(options))]]

    def order(self, count: int) -> list[int]:
        return list(self.choose(st.permutations(range(count))))

    def shape(self, low: int = 1, high: int = 4, most: int = 5) -> list[int]:
        """From `low` to `high` axes of 1 to `most` elements."""
        return self.choose(st.lists(st.integers(1, most), min_size=low, max_size=high))

    def axis(self, rank: int) -> int:
        """One of `rank` axes, counted from the front or the back."""
        return self.int(-rank, rank - 1)

    def narrowed(self, shape: Sequence[int]) -> list[int]:
        """A shape that broadcasts to `shape`."""
        kept = shape[self.int(0, len(shape)) :]
        return [1 if self.flag() else n for n in kept]

    def factor(self, low: float = 0.1, high: float = 2.0) -> float:
        """A number that text says exactly."""
        return float(self.of(*np.linspace(low, high, 9).round(3).tolist()))

    def array(self, shape: Sequence[int], kind: str = "float32", low: float = -2.0, high: float = 2.0) -> Array:
        """Numbers from low to high, the latter included where they are integers."""
        if kind == "bool":
            return self.random.random(shape) < 0.5
        if np.dtype(kind).kind in "iu":
            return self.random.integers(int(low), int(high), tuple(shape), endpoint=True).astype(kind)
        return self.random.uniform(low, high, tuple(shape)).astype(kind)

    def input(self, shape: Sequence[int], kind: str = "float32", low: float = -2.0, high: float = 2.0) -> Array:
        """`array`, one for each sample."""
        return self.array([SAMPLES, *shape], kind, low, high)


def ints(*values: int) -> Array:
    return np.asarray(values, np.int64)


def number(value: float, kind: str = "float32") -> Array:
    return np.asarray(value, kind)


def same(array: Array) -> Array:
    """The array as the input of each sample."""
    return np.stack([array] * SAMPLES)


Family = Callable[[Draw, str], Instance]
FAMILIES: dict[str, Family] = {}  # by the name of the operator, its domain in front


def family(*names: str) -> Callable[[Family], Family]:
    """The function draws instances of these operators."""

    def register(function: Family) -> Family:
        for name in names:
            assert name not in FAMILIES, name
            FAMILIES[name] = function
        return function

    return register


@st.composite
def instances(draw: st.DrawFn, name: str) -> Instance:
    return FAMILIES[name](Draw(draw), name)


def examples(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """What hypothesis draws: first the least there is, then `count` others, the same in every run in CI's profile."""
    found: list[T] = []

    @settings(BUILDS, max_examples=count + 1)
    @given(strategy)
    def draw(example: T) -> None:
        found.append(example)

    draw()
    return found


def operators(proto: onnx.ModelProto) -> set[str]:
    """The names of all operators in a model, inner graphs included."""

    def inside(nodes: Sequence[onnx.NodeProto]) -> Iterator[str]:
        for node in nodes:
            yield f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            for attribute in node.attribute:
                yield from inside(attribute.g.node)

    return set(inside(proto.graph.node))


def failures(batch: Sequence[Instance]) -> list[str]:
    """What is wrong with the instances: those of one opset are built as one program and run under ASan and UBSan."""
    groups: dict[tuple[int, int], list[Instance]] = {}
    for instance in batch:
        uses_classical = "ai.onnx.ml" in instance.nodes
        groups.setdefault((instance.opset, instance.version if uses_classical else 0), []).append(instance)
    return [message for group in groups.values() for message in _failures_of_one_opset(group)]


def _failures_of_one_opset(group: Sequence[Instance]) -> list[str]:
    named = {f"r{i}": instance for i, instance in enumerate(group)}
    models, expected, wrong = {}, {}, []
    for name, instance in named.items():
        try:
            proto = instance.proto()
            expected[name] = instance.expected(proto)
            models[name] = loaded(proto)
            wrong += _reference_differs(instance, models[name], expected[name])
        except Exception as error:
            models.pop(name, None)
            wrong.append(f"{type(error).__name__}: {error}: {instance}")
    results, failed = run_apart({name: (models[name], named[name].inputs) for name in models})
    wrong += [f"{message}: {named[name]}" for name, message in failed.items()]
    for name, outputs in results.items():
        for port, wanted in expected[name].items():
            stacked = stack_sizes(port, wanted) if f"{port}.dims" in outputs else {port: np.stack(wanted)}
            for key, array in stacked.items():
                if reason := difference(named[name], outputs[key], array):
                    wrong.append(f"{key} {reason}: {named[name]}")
    return wrong


def _reference_differs(instance: Instance, model: onnx_ir.Model, expected: Mapping[str, list[Array]]) -> list[str]:
    """The operators' meaning in NumPy is what makes the golden output: it has to agree as well."""
    program = program_of(model)
    names = [v.name for v in model.graph.outputs]
    found = interpret(program, [instance.inputs[v.name][0] for v in program.inputs])
    wrong = [f"{', '.join(program.notes)}: {instance}"] if instance.integers and program.notes else []
    for name, value in zip(names, program.outputs, strict=False):
        if value.shape == expected[str(name)][0].shape and value.dtype.numpy == expected[str(name)][0].dtype:
            reason = difference(instance, found[value], expected[str(name)][0])
            wrong += [f"{name} of the reference {reason}: {instance}"] if reason else []
    return wrong


_Part = tuple[onnx_ir.Model, Mapping[str, Array]]


def run_apart(parts: Mapping[str, _Part]) -> tuple[dict[str, dict[str, Array]], dict[str, str]]:
    """The outputs of each model, and the messages of those that fail: halved until it is known which."""
    if not parts:
        return {}, {}
    try:
        return run_on_host(
            {n: model for n, (model, _) in parts.items()}, {n: given for n, (_, given) in parts.items()}
        ), {}
    except Exception as error:
        if len(parts) == 1:
            return {}, {name: f"{type(error).__name__}: {error}" for name in parts}
    names = list(parts)
    results: dict[str, dict[str, Array]] = {}
    failed: dict[str, str] = {}
    for half in (names[: len(names) // 2], names[len(names) // 2 :]):
        more, others = run_apart({name: parts[name] for name in half})
        results |= more
        failed |= others
    return results, failed


def difference(instance: Instance, got: Array, wanted: Array) -> str:
    """How the array differs from the oracle's; empty where it does not."""
    if got.dtype != wanted.dtype:
        return f"is {got.dtype}, not {wanted.dtype}"
    if got.size != wanted.size:
        return f"has shape {got.shape}, not {wanted.shape}"
    x, y = (a.reshape(-1).astype(np.int64 if a.dtype.kind in "iub" else np.float64) for a in (got, wanted))
    if x.dtype == np.int64:
        far = np.abs(x - y) > instance.steps
    else:
        finite = np.isfinite(y)
        limit = instance.tolerance * np.abs(y[finite]).max(initial=0) + 5e-7
        with np.errstate(invalid="ignore"):
            far = np.where(finite, ~(np.abs(x - y) <= limit), ~((x == y) | (np.isnan(x) & np.isnan(y))))
    if not far.any():
        return ""
    place = int(np.argmax(far))
    return f"differs in {int(far.sum())} of {far.size} elements, {x[place]:g} instead of {y[place]:g} at {place}"
