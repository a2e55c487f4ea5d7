"""Numbers as C99 text that gives back the same bits."""

from __future__ import annotations

import numpy as np

from tinycast.ir.types import Array, DType, to_carrier

_LEAST = {DType.INT32: (-(2**31), "INT32_MIN"), DType.INT64: (-(2**63), "INT64_MIN")}
_LINE_COLUMNS = 116  # 120 less the indentation
_MOST_READ = 256  # elements of an array that somebody may want to read


def float_literal(value: float) -> str:
    """Return the shortest decimal that reads back as the same float32. Infinities need no header this way."""
    single = np.float32(value)
    if np.isnan(single):
        return "(0.0f / 0.0f)"
    if np.isinf(single):
        return "(1.0f / 0.0f)" if single > 0 else "(-1.0f / 0.0f)"
    return f"{single!s}f"


def double_literal(value: float) -> str:
    """Return the shortest decimal that reads back as the same float64."""
    if np.isfinite(value):
        return repr(value)
    return "(0.0 / 0.0)" if np.isnan(value) else "(1.0 / 0.0)" if value > 0 else "(-1.0 / 0.0)"


def integer_literal(value: int, dtype: DType) -> str:
    """Return an integer constant; the least value has no literal of its own in C."""
    least = _LEAST.get(dtype)
    if least is not None and value == least[0]:
        return least[1]
    return f"{value}u" if dtype is DType.UINT32 else str(value)


def string_literal(text: str) -> str:
    """Return a string constant of the text in UTF-8; what is not plain is written in octal, spaces included."""
    plain = set(range(33, 127)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def table_rows(data: Array, dtype: DType) -> list[str]:
    """Return the lines between the braces of an array's initializer, each at most 120 columns when indented by 4.

    Long arrays are written as tersely as C allows: nobody reads them, but compilers do, and disks keep them.
    """
    flat, dtype = to_carrier(data.reshape(-1)), dtype.carrier
    end = ","
    if dtype is DType.FLOAT64:
        items = [double_literal(float(v)) for v in flat]
    elif dtype is DType.FLOAT32 and np.isfinite(flat).all():  # almost always, and much faster to print
        items, end = list(map(str, flat)), "f,"
    elif dtype is DType.FLOAT32:
        items = [float_literal(float(v)) for v in flat]
    elif dtype in _LEAST or dtype is DType.UINT32:
        items = [integer_literal(v, dtype) for v in flat.tolist()]
    else:
        items = [str(int(v)) for v in flat.tolist()]
    items = items or ["0.0" if end == "f," else "0"]  # C has no empty arrays
    if len(items) <= _MOST_READ:
        return _lines(f"{end} ".join(items) + end)
    text = end.join(items) + end
    if dtype is DType.FLOAT32:  # .5f and -.5f are numbers, too
        text = f",{text}".replace(",0.", ",.").replace("-0.", "-.")[1:]
    return _lines(text)


def _lines(text: str) -> list[str]:
    """The text in lines, each broken after a comma."""
    lines, start = [], 0
    while start < len(text):
        rest = len(text) - start
        end = len(text) if rest <= _LINE_COLUMNS else text.rindex(",", start, start + _LINE_COLUMNS) + 1
        lines.append(text[start:end].lstrip())
        start = end
    return lines
