"""Pruning: single weights become zero, or whole channels go. ONNX in, ONNX out."""

from tinycast.compress.prune.channels import prune_channels
from tinycast.compress.prune.options import (
    ChannelOptions,
    LayerReport,
    Progress,
    Pruned,
    PruneOptions,
    PruneReport,
    PruneSpec,
    Scope,
    parse_prune,
)
from tinycast.compress.prune.weights import prune_weights

__all__ = [
    "ChannelOptions",
    "LayerReport",
    "Progress",
    "PruneOptions",
    "PruneReport",
    "PruneSpec",
    "Pruned",
    "Scope",
    "parse_prune",
    "prune_channels",
    "prune_weights",
]
