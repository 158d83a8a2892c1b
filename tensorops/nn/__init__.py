"""Layers, losses and optimizers on ndarrays: the example of how a network calls the operations.

Forward and backward are explicit: ``loss(model(x), y)``, then ``model.backward(loss.backward())``, then
``optimizer.step()``. A layer keeps what its backward needs, a parameter keeps its gradient, and updates are
in place.
"""

from __future__ import annotations

from tensorops.nn.layers import (
    GELU,
    Conv2d,
    Dropout,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from tensorops.nn.losses import CrossEntropyLoss, MSELoss
from tensorops.nn.module import Module, Parameter
from tensorops.nn.optimizers import SGD, Adam, AdamW

__all__ = [
    "GELU",
    "SGD",
    "Adam",
    "AdamW",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "LayerNorm",
    "Linear",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
