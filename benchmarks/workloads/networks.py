"""The workloads: which network, on which form of the digits, trained how, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .digits import IMAGES_OF_A_SEQUENCE, SIDE, Form, as_images, as_sequences, enlarged

CLASSES = 10


def mlp(layers: Any, inputs: int = 784, hidden: int = 256) -> Any:
    """Return a network of two layers."""
    return layers.Sequential(layers.Linear(inputs, hidden), layers.ReLU(), layers.Linear(hidden, CLASSES))


def cnn(layers: Any, channels: int = 16) -> Any:
    """Return a network of two convolutions, each with a pooling behind it, and a layer."""
    return layers.Sequential(
        layers.Conv2d(1, channels, 3, padding=1),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Conv2d(channels, 2 * channels, 3, padding=1),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Flatten(),
        layers.Linear(2 * channels * (SIDE // 4) ** 2, CLASSES),
    )


def transformer(layers: Any, width: int = 256, depth: int = 4, heads: int = 4) -> Any:
    """Return a causal transformer that tells the class of an image at its last row of pixels."""
    blocks = [
        block
        for _ in range(depth)
        for block in (
            layers.Residual(layers.LayerNorm(width), layers.Attention(width, heads)),
            layers.Residual(
                layers.LayerNorm(width),
                layers.Linear(width, 4 * width),
                layers.GELU("tanh"),
                layers.Linear(4 * width, width),
            ),
        )
    ]
    return layers.Sequential(
        layers.Linear(SIDE, width),
        layers.Positions(IMAGES_OF_A_SEQUENCE * SIDE, width),
        *blocks,
        layers.Every(SIDE),
        layers.LayerNorm(width),
        layers.Linear(width, CLASSES),
    )


@dataclass(frozen=True, slots=True)
class Workload:
    """A network and its training.

    Attributes
    ----------
    what : str
        For the reader.
    network : callable
        Takes a module of layers.
    form : callable
        From rows of 64 pixels to what the network reads.
    batch : int
        Images of a step.
    optimizer : {"SGD", "Adam"}
        Which one; SGD with momentum if there is one.
    rate, momentum : float
        Of the optimizer.
    epochs : int
        Passes over the digits until the accuracy is looked at.
    goal : float
        Accuracy on the held-out digits.
    torch, numpy : float
        How many times a step of PyTorch's and NumPy's time ours is to be.
    """

    what: str
    network: Callable[[Any], Any]
    form: Form
    batch: int
    optimizer: str
    rate: float
    momentum: float
    epochs: int
    goal: float
    torch: float
    numpy: float

    @property
    def group(self) -> int:
        """Images that belong together."""
        return IMAGES_OF_A_SEQUENCE if self.form is as_sequences else 1


WORKLOADS: Mapping[str, Workload] = {
    "mlp-sgd": Workload("784-256-10", mlp, enlarged, 64, "SGD", 0.1, 0.0, 60, 0.97, 1.2, 2.0),
    "mlp-adam": Workload("784-256-10", mlp, enlarged, 64, "Adam", 1e-3, 0.0, 40, 0.97, 2.0, 2.0),
    "cnn": Workload("two convolutions", cnn, as_images, 64, "SGD", 0.05, 0.9, 40, 0.98, 1.1, 1.0),
    "transformer": Workload(
        "4 layers, width 256, 8 sequences of 128",
        transformer,
        as_sequences,
        8 * IMAGES_OF_A_SEQUENCE,
        "Adam",
        5e-4,
        0.0,
        24,
        0.93,
        1.1,
        1.0,
    ),
}
