"""What others need for the MLPerf Tiny networks: data, each with its source.

A network is known by its weights: names, order and layout differ from one exporter to the next, the numbers do not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from tinycast.model.files import read_proto


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

# By `weights_digest`; int8: the integers of the reference .tflite files.
_NETWORKS = {
    "9403d53cf76ce6096e76490abbbc6e4e8c874ee6fe9836e8fe5c29b8475d1602": "KWS",
    "327d260e926e7a0c7b206144a69da786fe25b128991406fd475230627db99484": "KWS float",
    "7d78b5abcc2fd23d6ed73cacfdb3a5de425b3a3192d955e5ca1a9f50f52f142f": "IC",
    "6623b156c6dad88563c6c0390e3fda953ddeba3c4223c325d9b77c3e50890a0b": "IC float",
    "5624a2bc43af346bdf7b8e8f2ec42b81036d8189a22d253c64d942795b0c7657": "AD",
    "0d1601ba59fe49b5f316491d95c0318ea3476c6372177d9a392ac5c8406a78d4": "AD float",
}
_LEAST_WEIGHTS = 64  # elements of a tensor that counts: smaller ones are shapes and scales


def weights_digest(path: Path) -> str:
    """Hex SHA-256 of what the weights of an ONNX file are: of every matrix or kernel the sorted elements.

    Raises UsageError for a file that is no ONNX model.
    """
    tensors = [onnx.numpy_helper.to_array(t) for t in read_proto(path).graph.initializer]
    weights = [t for t in tensors if t.ndim >= 2 and t.size >= _LEAST_WEIGHTS]
    digests = sorted(hashlib.sha256(np.sort(t, axis=None).tobytes()).digest() for t in weights)
    return hashlib.sha256(b"".join(digests)).hexdigest()


def network_of(path: Path) -> str | None:
    """The network that `PEERS` calls by this name, None for all others."""
    return _NETWORKS.get(weights_digest(path))


def peers_of(network: str | None, target: str) -> list[Peer]:
    """What is known of others that run `network` on `target`."""
    return [peer for peer in PEERS if (peer.network, peer.target) == (network, target)]
