# ruff: noqa: E501 - a table: one row a line
"""Rows of the test matrix: samples between elements, windows put back, pools with positions, determinants."""

from __future__ import annotations

from host_batch import Row, scalar

GRID = "float[2,3,4,5] x, float[2,3,2,2] g"

SAMPLING = (
    *(
        Row(f"grid_{mode}_{padding}_{align}", GRID, f'y = GridSample<mode="{mode}", padding_mode="{padding}", align_corners={align}>(x, g)')
        for mode in ("linear", "nearest", "cubic") for padding in ("zeros", "border", "reflection") for align in (0, 1)
    ),
    Row("grid_opset_16", GRID, 'y = GridSample<mode="bicubic">(x, g)', opset=16),
    Row("grid_far_away", GRID, 'a = Mul(g, s) y = GridSample<padding_mode="reflection">(x, a)', {"s": scalar(9)}),
    Row("grid_one_element", "float[1,2,1,1] x, float[1,3,2,2] g", 'y = GridSample<mode="cubic", padding_mode="reflection", align_corners=1>(x, g)'),
    *(Row(f"grid_3d_{mode}", "float[1,2,3,4,5] x, float[1,2,3,2,3] g", f'y = GridSample<mode="{mode}", padding_mode="border">(x, g)') for mode in ("linear", "nearest")),
)  # fmt: skip
