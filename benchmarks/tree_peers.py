"""The C that emlearn and m2cgen write for a forest, behind the API that the drivers run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

_HEADER = """#ifndef PEER_H
#define PEER_H
#include <stddef.h>
#include <stdint.h>
#define PEER_ARENA_BYTES 16
#define PEER_ARENA_ALIGN 16
typedef struct {{ int unused; }} peer_model;
int peer_init(peer_model *model, void *arena, size_t arena_bytes);
int peer_run(peer_model *model);
{element} *peer_input_0(peer_model *model);
const {result} *peer_output_0(const peer_model *model);
#endif
"""
_SOURCE = """#include "peer.h"
{code}
static {element} x[{features}];
static {result} y[{outputs}];
int peer_init(peer_model *model, void *arena, size_t arena_bytes) {{ return 0; }}
{element} *peer_input_0(peer_model *model) {{ return x; }}
const {result} *peer_output_0(const peer_model *model) {{ return y; }}
int peer_run(peer_model *model) {{ {call} return 0; }}
"""
_NAMES = {"int16": "int16_t", "int32": "int32_t", "float32": "float", "float64": "double"}
_MOST_CODE_BYTES = 2_000_000  # gcc 12 needs more than five minutes for what is longer
Package = tuple[dict[str, bytes], dict[str, Any]]


def _package(code: str, call: str, features: int, element: str, outputs: int, result: str) -> Package:
    values = {"code": code, "call": call, "features": features, "outputs": outputs}
    names = {"element": _NAMES[element], "result": _NAMES[result]}
    files = {
        "include/peer.h": _HEADER.format(**names).encode(),
        "src/peer.c": _SOURCE.format(**names, **values).encode(),
    }
    manifest = {
        "name": "peer",
        "inputs": [_port("x", features, element)],
        "outputs": [_port("y", outputs, result)],
        "states": [],
        "arena_bytes": 16,
        "layers": [],
    }
    return files, manifest


def _port(name: str, count: int, dtype: str) -> dict[str, Any]:
    size = count * np.dtype(dtype).itemsize
    return {
        "index": 0,
        "name": name,
        "shape": [1, count],
        "dtype": dtype,
        "bytes": size,
        "scale": None,
        "zero_point": None,
    }


def emlearn_model(estimator: Any, features: int, method: str) -> Package:
    """emlearn's forest with 16-bit features; raises ValueError for what it cannot convert."""
    import emlearn

    is_regressor = not hasattr(estimator, "classes_")
    try:
        model = emlearn.convert(
            estimator, method=method, dtype="int16_t", return_type="regressor" if is_regressor else "classifier"
        )
        code = model.save(name="em", format="c")
    except Exception as error:  # it has no class of errors of its own
        raise ValueError(f"emlearn does not convert it: {error}") from error
    headers = {f"src/{path.name}": path.read_bytes() for path in Path(emlearn.includedir).glob("*.h")}
    result = "float32" if is_regressor else "int32"
    files, manifest = _package(code, f"y[0] = em_predict(x, {features});", features, "int16", 1, result)
    return {**files, **headers}, manifest


def m2cgen_model(estimator: Any, features: int) -> Package:
    """m2cgen's nested ifs, in double precision; raises ValueError for more C than can be compiled."""
    import m2cgen

    code = m2cgen.export_to_c(estimator)
    if len(code) > _MOST_CODE_BYTES:
        raise ValueError(f"{len(code):,} bytes of C")
    if "double score(" in code:
        return _package(code, "y[0] = score(x);", features, "float64", 1, "float64")
    return _package(code, "score(x, y);", features, "float64", len(estimator.classes_), "float64")
