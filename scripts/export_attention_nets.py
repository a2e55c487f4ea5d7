"""Networks with attention to export: of tokens, of frames, of channels and places."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class CausalTransformer(nn.Module):
    """A block of a language model: learned positions, a mask of the least float, Gelu by tanh, tied embeddings."""

    mask: Tensor

    def __init__(self, width: int = 16, length: int = 10) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(40, width), nn.Embedding(length, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 3 * width), nn.Linear(3 * width, width)
        self.register_buffer("mask", torch.ones(length, length).tril().bool())

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        q, k, v = (z.unflatten(-1, (4, -1)).transpose(1, 2) for z in self.qkv(self.norms[0](x)).chunk(3, -1))
        scores = torch.where(self.mask, q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), torch.finfo(q.dtype).min)
        x = x + self.project((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        y = self.wide(self.norms[1](x))
        y = 0.5 * y * (1 + torch.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * torch.pow(y, 3))))
        return self.norms[2](x + self.narrow(y)) @ self.tokens.weight.T


class Conformer(nn.Module):
    """A block: half a feed-forward layer, attention with relative positions by shifting, a gated convolution."""

    def __init__(self, width: int = 12, heads: int = 2, length: int = 16) -> None:
        super().__init__()
        self.heads, self.length = heads, length
        wide = nn.Linear(width, 2 * width)
        self.feed = nn.Sequential(nn.LayerNorm(width), wide, nn.SiLU(), nn.Linear(2 * width, width))
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv = nn.Linear(width, 3 * width)
        self.places = nn.Parameter(torch.randn(heads, width // heads, 2 * length - 1) * 0.2)
        self.bias = nn.Parameter(torch.randn(heads, 1, width // heads) * 0.1)
        self.gated, self.last = nn.Conv1d(width, 2 * width, 1), nn.Conv1d(width, width, 1)
        self.depthwise, self.batch = nn.Conv1d(width, width, 7, padding=3, groups=width), nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.5 * self.feed(x)
        n = self.length
        q, k, v = (z.unflatten(-1, (self.heads, -1)).transpose(1, 2) for z in self.qkv(self.norms[0](x)).chunk(3, -1))
        shifted = functional.pad(q @ self.places, (1, 0)).reshape(-1, self.heads, 2 * n, n)[:, :, 1:]
        scores = (q + self.bias) @ k.transpose(-1, -2) + shifted.reshape(-1, self.heads, n, 2 * n - 1)[..., :n]
        weights = (scores / math.sqrt(q.shape[-1])).softmax(-1)
        x = x + (weights @ v).transpose(1, 2).flatten(2)
        y = functional.glu(self.gated(self.norms[1](x).transpose(1, 2)), 1)
        return x + self.last(functional.silu(self.batch(self.depthwise(y)))).transpose(1, 2)


class ChannelAttention(nn.Module):
    """Which channels, which places, which channels again: CBAM and ECA after a convolution."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, 2, 1)
        self.gate = nn.Sequential(nn.Conv2d(channels, 2, 1), nn.ReLU(), nn.Conv2d(2, channels, 1))
        self.places, self.line = nn.Conv2d(2, 1, 5, padding=2), nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        pools = functional.adaptive_avg_pool2d(x, 1), functional.adaptive_max_pool2d(x, 1)
        x = x * torch.sigmoid(self.gate(pools[0]) + self.gate(pools[1]))
        x = x * torch.sigmoid(self.places(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)))
        y = self.line(x.mean((2, 3), keepdim=True).squeeze(-1).transpose(-1, -2))
        return x * y.transpose(-1, -2).unsqueeze(-1).sigmoid().expand_as(x)
