"""Small networks of the kinds that people export, in PyTorch and Keras, with seeds of their own.

Each is a few thousand parameters: what matters is which ONNX nodes the exporters write for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from export_attention_nets import CausalTransformer, ChannelAttention, Conformer
from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    """A block of a residual network: two convolutions, and a projection where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.short: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.short(x))


def residual_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        Residual(8, 8, 1),
        Residual(8, 16, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 6),
    )


class SqueezeExcite(nn.Module):
    """Channel attention with hard sigmoid, as in MobileNetV3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = functional.adaptive_avg_pool2d(x, 1)
        return x * functional.hardsigmoid(self.up(functional.relu(self.down(scale))))


class InvertedResidual(nn.Module):
    """Expand, depthwise, project, as in MobileNetV2 and V3."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: type[nn.Module], excite: bool) -> None:
        super().__init__()
        hidden = inputs * 3
        self.adds = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            activation(),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            activation(),
            SqueezeExcite(hidden) if excite else nn.Identity(),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.adds else y


def mobilenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        InvertedResidual(8, 8, 1, nn.ReLU6, False),
        InvertedResidual(8, 16, 2, nn.Hardswish, True),
        InvertedResidual(16, 16, 1, nn.Hardswish, False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(16, 6),
    )


class GruKeywords(nn.Module):
    """Frames of features to a keyword: convolution over time, GRU, the last frame's output."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(10, 16, 5, 2, 2)
        self.gru = nn.GRU(16, 20, num_layers=2, batch_first=True)
        self.head = nn.Linear(20, 6)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        y, _ = self.gru(y)
        return functional.log_softmax(self.head(y[:, -1]), dim=-1)


class BidirectionalLstm(nn.Module):
    """A tagger: one class a step, from both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 12, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        y, (h, _) = self.lstm(x)
        return self.head(y) + h[-1].mean(-1, keepdim=True).unsqueeze(1)


class TransformerEncoder(nn.Module):
    """Tokens to a class: embedding, sinusoidal positions, two encoder layers, mean."""

    positions: Tensor

    def __init__(self, width: int = 16, length: int = 12) -> None:
        super().__init__()
        self.embed = nn.Embedding(40, width)
        angles = torch.arange(length)[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        self.register_buffer("positions", torch.stack((angles.sin(), angles.cos()), -1).flatten(1))
        layer = nn.TransformerEncoderLayer(width, 4, 32, 0.0, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) * math.sqrt(self.embed.embedding_dim) + self.positions[: tokens.shape[1]]
        return self.head(self.encoder(x).mean(1))


class VisionBlock(nn.Module):
    """Attention and MLP, each normalized before."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_a, self.norm_b = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(approximate="tanh"), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm_a(x)).reshape(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.project(attended.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.mlp(self.norm_b(x))


class VisionTransformer(nn.Module):
    """Patches, a class token, learned positions, two blocks."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, 17, width) * 0.1)
        self.blocks = nn.Sequential(VisionBlock(width, 4), VisionBlock(width, 4))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.patches(x).flatten(2).transpose(1, 2)
        y = torch.cat((self.token.expand(y.shape[0], -1, -1), y), 1) + self.positions
        return self.head(self.norm(self.blocks(y))[:, 0])


def dcgan_generator() -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(16, 16, 4, 1, 0, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(True),
        nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(True),
        nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    )


def _twice(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding="same"),
        nn.GroupNorm(2, outputs),
        nn.LeakyReLU(0.1),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """Two scales down and up: max pooling, bilinear and transposed upsampling, skips by Concat."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([_twice(1, 4), _twice(4, 8), _twice(8, 12)])
        self.up = nn.ConvTranspose2d(8, 8, 2, 2)
        self.join = nn.ModuleList([_twice(20, 8), _twice(12, 4)])
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down[0](x)
        b = self.down[1](functional.max_pool2d(a, 2))
        c = self.down[2](functional.max_pool2d(b, 2))
        c = functional.interpolate(c, size=b.shape[-2:], mode="bilinear", align_corners=False)
        b = self.up(self.join[0](torch.cat((c, b), 1)))
        return torch.sigmoid(self.head(self.join[1](torch.cat((b, a), 1))))


class Causal(nn.Module):
    """A dilated causal convolution with weight normalization and a residual, as in TCN."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.pad = 2 * dilation
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(inputs, outputs, 3, dilation=dilation))
        self.short: nn.Module = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = functional.elu(self.conv(functional.pad(x, (self.pad, 0))))
        return y + self.short(x)


class TemporalNet(nn.Module):
    """A stack of causal convolutions, PReLU, average pooling over time."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(Causal(4, 12, 1), Causal(12, 12, 2), Causal(12, 12, 4), nn.PReLU(12))
        self.head = nn.Linear(12, 6)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.head(functional.avg_pool1d(self.body(x), 8)[..., -1]), -1)


class SeriesDecomposition(nn.Module):
    """A forecast of trend and rest, each by a dense layer (DLinear), in the series' own scale (RevIN)."""

    def __init__(self, length: int = 40, ahead: int = 8) -> None:
        super().__init__()
        self.rest, self.trend = nn.Linear(length, ahead), nn.Linear(length, ahead)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 1)
        mean = x.mean(-1, keepdim=True)
        deviation = torch.sqrt(torch.var(x, -1, keepdim=True, unbiased=False) + 1e-5)
        x = (x - mean) / deviation
        trend = functional.avg_pool1d(functional.pad(x, (12, 12), mode="replicate"), 25, 1)
        return ((self.rest(x - trend) + self.trend(trend)) * deviation + mean).permute(0, 2, 1)


def keras_net() -> Any:
    """A Keras network, channels last, on the PyTorch backend."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(11)
    x = image = keras.Input((16, 16, 3), batch_size=1, name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(max_value=6.0)(x)
    y = layers.SeparableConv2D(8, 3, padding="same", activation="silu")(x)
    x = layers.Add()([x, y])
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Conv2D(12, 3, padding="valid", activation="elu")(x)
    x = layers.UpSampling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(16, activation="gelu")(x)
    return keras.Model(image, layers.Dense(6, activation="softmax")(x))


@dataclass(frozen=True)
class Net:
    """A network to export: how to make it, the shape of its input, and whether that is of tokens."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    tokens: int = 0


NETS = {
    "residual_cnn": Net(residual_cnn, (1, 3, 16, 16)),
    "mobilenet": Net(mobilenet, (1, 3, 20, 20)),
    "gru_keywords": Net(GruKeywords, (1, 20, 10)),
    "bidirectional_lstm": Net(BidirectionalLstm, (1, 9, 8)),
    "transformer_encoder": Net(TransformerEncoder, (1, 12), tokens=40),
    "vision_transformer": Net(VisionTransformer, (1, 3, 16, 16)),
    "dcgan_generator": Net(dcgan_generator, (1, 16, 1, 1)),
    "unet": Net(UNet, (1, 1, 16, 16)),
    "temporal_net": Net(TemporalNet, (1, 4, 24)),
    "causal_transformer": Net(CausalTransformer, (1, 10), tokens=40),
    "conformer": Net(Conformer, (1, 16, 12)),
    "channel_attention": Net(ChannelAttention, (1, 3, 16, 16)),
    "series_decomposition": Net(SeriesDecomposition, (1, 40, 3)),
}
