"""What others need for the measuring networks: data, each with its source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """One inference of `network` on `target` by `name`; None: not known. `source`: "measured" means by us."""

    name: str
    network: str
    target: str
    source: str
    instructions: int | None = None
    cycles: int | None = None
    arena_bytes: int | None = None
    flash_bytes: int | None = None


# Built with arm-none-eabi-gcc 12.2, counted in QEMU from the call of the model to its return; flash with weights
# and start-up code; the arena with inputs, outputs and scratch.
_MEASURED = "measured: QEMU mps2-an386 or mps3-an547, arm-none-eabi-gcc 12.2"
_MLPERF = "published: MLPerf Tiny results, X-CUBE-AI 9 and Plumerai, the better of the two"
_TFLM = "TFLM + CMSIS-NN"
_CLOSED = "X-CUBE-AI, Plumerai"
_ONNX2C = "onnx2c"

PEERS = [
    Peer(_TFLM, "KWS", "cortex-m4", _MEASURED, 7_697_243, None, 22_820, 107_584),
    Peer(_TFLM, "IC", "cortex-m4", _MEASURED, 29_863_626, None, 54_996, 149_884),
    Peer(_TFLM, "AD", "cortex-m4", _MEASURED, 582_332, None, 2_580, 306_000),
    Peer(_TFLM, "KWS", "cortex-m55", _MEASURED, 1_784_766, None, None, 106_012),
    Peer(_TFLM, "IC", "cortex-m55", _MEASURED, 4_811_423, None, None, 149_068),
    Peer(_TFLM, "AD", "cortex-m55", _MEASURED, 149_964, None, None, 302_320),
    Peer(_CLOSED, "KWS", "cortex-m4", _MLPERF, None, 5_180_000, 22_272),
    Peer(_CLOSED, "IC", "cortex-m4", _MLPERF, None, 19_800_000, 56_672),
    Peer(_CLOSED, "AD", "cortex-m4", _MLPERF, None, 486_000, 2_048),
    Peer(_ONNX2C, "KWS float", "cortex-m4", _MEASURED, 19_900_000, None, 66_112, 97_100),
    Peer(_ONNX2C, "IC float", "cortex-m4", _MEASURED, 116_200_000, None, 209_040, 320_836),
    Peer(_ONNX2C, "AD float", "cortex-m4", _MEASURED, 1_340_000, None, 6_144, 1_066_108),
]
