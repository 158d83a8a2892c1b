"""The layers of PyTorch, and those of a transformer made of its operations, in eager mode."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import GELU, Conv2d, Flatten, LayerNorm, Linear, MaxPool2d, Module, ReLU, Sequential

from .numpy_layers import waves

__all__ = [
    "GELU",
    "Attention",
    "Conv2d",
    "Every",
    "Flatten",
    "LayerNorm",
    "Linear",
    "MaxPool2d",
    "Positions",
    "ReLU",
    "Residual",
    "Sequential",
]


class Attention(Module):  # type: ignore[misc]
    """Causal self-attention of several heads, between two products."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs, self.outputs = Linear(width, 3 * width), Linear(width, width)

    def forward(self, x: Any) -> Any:
        """Return the result."""
        count, length, width = x.shape
        q, k, v = (
            part.reshape(count, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.inputs(x).chunk(3, dim=-1)
        )
        seen = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.outputs(seen.transpose(1, 2).reshape(x.shape))


class Residual(Module):  # type: ignore[misc]
    """The input plus what the layers make of it."""

    def __init__(self, *layers: Any) -> None:
        super().__init__()
        self.inner = Sequential(*layers)

    def forward(self, x: Any) -> Any:
        """Return the result."""
        return x + self.inner(x)


class Positions(Module):  # type: ignore[misc]
    """Adds waves that tell each place of a sequence from the others."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.waves = torch.from_numpy(waves(length, width))

    def forward(self, x: Any) -> Any:
        """Return the result."""
        return x + self.waves


class Every(Module):  # type: ignore[misc]
    """Every so manieth place of a sequence, as rows."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Any) -> Any:
        """Return the result."""
        return x[:, self.step - 1 :: self.step].reshape(-1, x.shape[-1])
