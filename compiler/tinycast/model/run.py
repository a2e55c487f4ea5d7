"""Running a model in ONNX Runtime, the reference for everything that is compiled."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import onnxruntime
from onnx.reference import ReferenceEvaluator

from tinycast.errors import ModelError, UsageError
from tinycast.model.files import read_proto
from tinycast.model.ports import is_foreign
from tinycast.model.state import State

Array = npt.NDArray[Any]


# ONNX Runtime has few kernels of float64, and takes no arrays of the types that NumPy lacks.
_BY_REFERENCE = {ir.DataType.DOUBLE} | {
    kind for kind in ir.DataType if kind is not ir.DataType.UNDEFINED and is_foreign(kind.numpy())
}


class Session:
    """A model held ready in ONNX Runtime on one thread, or in ONNX's reference where that has no such input or output.

    `model` is a model or the path of one. `outputs` names the values to compute, intermediate ones too; by
    default the model's outputs. `optimized=False` runs every node as it stands (ORT_DISABLE_ALL).
    Raises ModelError where ONNX Runtime refuses the model, UsageError for an output that the model does not have.
    """

    def __init__(
        self,
        model: ir.Model | str | os.PathLike[str],
        outputs: Sequence[str] | None = None,
        optimized: bool = False,
    ) -> None:
        proto = ir.serde.serialize_model(model) if isinstance(model, ir.Model) else read_proto(model)
        self.outputs = [value.name for value in proto.graph.output] if outputs is None else list(outputs)
        self._ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in proto.graph.input}
        self._aliases = _add_outputs(proto, self.outputs)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimized else levels.ORT_DISABLE_ALL
        try:
            ports = [*proto.graph.input, *proto.graph.output]
            self._session: Any = (
                ReferenceEvaluator(proto)
                if any(value.type.tensor_type.elem_type in _BY_REFERENCE for value in ports)
                else onnxruntime.InferenceSession(
                    proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
                )
            )
        # ONNX Runtime has a class for each of its status codes, and no common one.
        except Exception as error:
            raise ModelError("ONNX Runtime refuses the model", where=_first_line(error)) from error

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run one set of inputs, each in the model's shape and type; gives the outputs by name."""
        try:
            results = self._session.run([self._aliases.get(name, name) for name in self.outputs], dict(inputs))
        except Exception as error:
            raise ModelError("ONNX Runtime cannot run the model", where=_first_line(error)) from error
        return dict(zip(self.outputs, results, strict=True))

    def run_samples(
        self, samples: Mapping[str, Array], states: Sequence[State] = (), dynamic: Container[str] = ()
    ) -> dict[str, Array]:
        """Run every sample in turn. Samples lie on axis 0: in place of a batch of 1, in front of the shape else.

        The outputs come in the same convention, the `dynamic` ones as `stack_sizes` gives them. With `states` the
        samples are one stream: each of these inputs is what the sample before gave as its output.
        """
        count = len(next(iter(samples.values())))
        carried = {state.input: state.initial for state in states}
        results = []
        for i in range(count):
            sample = {name: take_sample(array, i, self._ranks[name]) for name, array in samples.items()}
            result = self.run({**sample, **carried})
            carried = {state.input: result[state.output] for state in states}
            results.append(result)
        outputs: dict[str, Array] = {}
        for name in self.outputs:
            arrays = [result[name] for result in results]
            outputs |= stack_sizes(name, arrays) if name in dynamic else {name: stack_samples(arrays)}
        return outputs


def run(
    model: ir.Model | str | os.PathLike[str],
    inputs: Mapping[str, Array],
    *,
    outputs: Sequence[str] | None = None,
    optimized: bool = False,
) -> dict[str, Array]:
    """Run one set of inputs through ONNX Runtime: see `Session`."""
    return Session(model, outputs, optimized).run(inputs)


def take_sample(array: Array, index: int, rank: int) -> Array:
    """Sample `index` of an array with samples on axis 0, in the rank the model has it in."""
    return array[index : index + 1] if array.ndim == rank else array[index]


def stack_samples(arrays: Sequence[Array]) -> Array:
    """Put one value's arrays, one a sample, on axis 0: in place of a batch of 1, in front of the shape else."""
    if arrays[0].ndim and arrays[0].shape[0] == 1:
        return np.concatenate(arrays)
    return np.stack(arrays)


def stack_sizes(name: str, arrays: Sequence[Array]) -> dict[str, Array]:
    """One value's arrays, one a sample, whose sizes differ: by `name` all in front of zeros up to the largest, samples
    on axis 0, and by `name`.dims the dimensions of each."""
    dims = np.asarray([array.shape for array in arrays], np.int32)
    whole = np.zeros((len(arrays), *dims.max(0)), arrays[0].dtype)
    for place, array in zip(whole, arrays, strict=True):
        place[tuple(slice(n) for n in array.shape)] = array
    return {name: whole, f"{name}.dims": dims}


def _add_outputs(proto: onnx.ModelProto, names: Sequence[str]) -> dict[str, str]:
    """Make the named values outputs of the graph; gives the aliases of those that cannot be one themselves."""
    graph = proto.graph
    present = {value.name for value in graph.output}
    computed = {name for node in graph.node for name in node.output if name}
    given = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    unknown = [name for name in names if name not in computed | given | present]
    if unknown:
        raise UsageError(
            f"the model has no value named {', '.join(unknown)}",
            where=f"graph {graph.name}",
            fix="name an output of a node",
        )
    aliases = {}
    for name in names:
        if name in present:
            continue
        if name in computed:
            graph.output.append(onnx.ValueInfoProto(name=name))
        else:
            aliases[name] = f"{name}__as_output"
            graph.node.append(onnx.helper.make_node("Identity", [name], [aliases[name]]))
            graph.output.append(onnx.ValueInfoProto(name=aliases[name]))
        present.add(name)
    return aliases


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
