"""Small networks on scikit-learn's digits, trained four ways: ``python benchmarks/workloads.py``.

An MLP and a CNN, from the same weights and the same batches: in plain NumPy, in the course's style (the NumPy
program with `matmul` alone swapped), with `tensorops.nn`, and in PyTorch's eager mode where it is installed.
Prints the accuracy on held-out digits, and the time of a training step with the ratio to the others.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

import profiling
import tensorops
from tensorops import nn

Array = NDArray[Any]
BATCH, CLASSES, HELD_OUT = 64, 10, 397
HIDDEN = 128
CHANNELS = 24
RATE = {"mlp": 0.3, "cnn": 0.1}
MOMENTUM = 0.9
EPOCHS = {"mlp": 40, "cnn": 40}
GOALS = {"mlp": 0.97, "cnn": 0.98}


def digits() -> tuple[Array, Array, Array, Array]:
    """Return images and labels to train on, then those held out; the split is always the same."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = (images[order] / 16).astype(np.float32), labels[order].astype(np.int64)
    return images[HELD_OUT:], labels[HELD_OUT:], images[:HELD_OUT], labels[:HELD_OUT]


def first_weights(kind: str, seed: int) -> list[Array]:
    """Return the weights that every version begins with: of each layer the matrix, then the bias."""
    rng = np.random.default_rng(seed)

    def pair(shape: tuple[int, ...], inputs: int, outputs: int) -> list[Array]:
        limit = np.sqrt(6 / inputs)
        return [rng.uniform(-limit, limit, shape).astype(np.float32), np.zeros(outputs, np.float32)]

    if kind == "mlp":
        return [*pair((64, HIDDEN), 64, HIDDEN), *pair((HIDDEN, CLASSES), HIDDEN, CLASSES)]
    flat = CHANNELS * 16
    return [*pair((CHANNELS, 1, 3, 3), 9, CHANNELS), *pair((flat, CLASSES), flat, CLASSES)]


class NumpyNetwork:
    """The network in plain NumPy.

    Parameters
    ----------
    kind : {"mlp", "cnn"}
        Which one.
    weights : list of ndarray
        As `first_weights` gives them; changed by `step`.
    matmul : callable
        The product of two matrices: the course's style swaps it alone.
    """

    def __init__(self, kind: str, weights: list[Array], matmul: Callable[..., Array] = np.matmul) -> None:
        self.kind, self.weights, self.matmul = kind, weights, matmul
        self.velocity = [np.zeros_like(weight) for weight in weights]

    def _features(self, x: Array) -> Array:
        """Return what the last layer reads, and keep what its gradient needs."""
        weight, bias = self.weights[:2]
        if self.kind == "mlp":
            self.x = x
            hidden: Array = np.maximum(self.matmul(x, weight) + bias, 0)
            self.hidden = hidden
            return hidden
        images = np.pad(x.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
        self.x = np.ascontiguousarray(windows).reshape(-1, 9)
        maps = self.matmul(self.x, weight.reshape(CHANNELS, 9).T) + bias
        self.active = maps > 0
        maps = np.where(self.active, maps, 0).reshape(-1, 4, 2, 4, 2, CHANNELS).transpose(0, 5, 1, 3, 2, 4)
        pooled = maps.reshape(-1, CHANNELS, 4, 4, 4)
        self.place = pooled.argmax(axis=-1)
        flat: Array = np.take_along_axis(pooled, self.place[..., np.newaxis], -1)[..., 0].reshape(len(x), -1)
        self.hidden = flat
        return flat

    def logits(self, x: Array) -> Array:
        """Return the scores of the classes."""
        result: Array = self.matmul(self._features(x), self.weights[2]) + self.weights[3]
        return result

    def step(self, x: Array, y: Array) -> float:
        """Train on a batch and return the loss."""
        scores = self.logits(x)
        scores = scores - scores.max(axis=1, keepdims=True)
        chances = np.exp(scores)
        chances /= chances.sum(axis=1, keepdims=True)
        rows = np.arange(len(y))
        loss = float(-np.log(chances[rows, y]).mean())
        chances[rows, y] -= 1
        grad = chances / np.float32(len(y))
        back = self.matmul(grad, self.weights[2].T)
        gradients = [self.matmul(self.hidden.T, grad), grad.sum(axis=0)]
        if self.kind == "mlp":
            back = back * (self.hidden > 0)
            gradients = [self.matmul(self.x.T, back), back.sum(axis=0), *gradients]
        else:
            pooled = np.zeros((len(x), CHANNELS, 4, 4, 4), np.float32)
            np.put_along_axis(pooled, self.place[..., np.newaxis], back.reshape(-1, CHANNELS, 4, 4, 1), -1)
            maps = pooled.reshape(-1, CHANNELS, 4, 4, 2, 2).transpose(0, 2, 4, 3, 5, 1).reshape(-1, CHANNELS)
            maps = maps * self.active
            gradients = [
                self.matmul(maps.T, self.x).reshape(self.weights[0].shape),
                maps.sum(axis=0),
                *gradients,
            ]
        for weight, gradient, velocity in zip(self.weights, gradients, self.velocity, strict=True):
            velocity *= MOMENTUM
            velocity += gradient
            weight -= np.float32(RATE[self.kind]) * velocity
        return loss


class TensoropsNetwork:
    """The network of `tensorops.nn` layers."""

    def __init__(self, kind: str, weights: list[Array]) -> None:
        self.kind = kind
        if kind == "mlp":
            layers: list[nn.Module] = [nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES)]
        else:
            layers = [nn.Conv2d(1, CHANNELS, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
            layers.append(nn.Linear(CHANNELS * 16, CLASSES))
        self.model = nn.Sequential(*layers, input_gradient=False)
        for parameter, weight in zip(self.model.parameters(), weights, strict=True):
            parameter.data[...] = weight
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = nn.SGD(self.model.parameters(), RATE[kind], momentum=MOMENTUM)

    def logits(self, x: Array) -> Array:
        """Return the scores of the classes."""
        return self.model(x if self.kind == "mlp" else x.reshape(-1, 1, 8, 8))

    def step(self, x: Array, y: Array) -> float:
        """Train on a batch and return the loss."""
        loss = self.loss(self.logits(x), y)
        self.optimizer.zero_grad()
        self.model.backward(self.loss.backward())
        self.optimizer.step()
        return loss


class TorchNetwork:
    """The network in PyTorch's eager mode."""

    def __init__(self, kind: str, weights: list[Array]) -> None:
        import torch

        self.kind, self.torch = kind, torch
        if kind == "mlp":
            layers = [torch.nn.Linear(64, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES)]
        else:
            layers = [torch.nn.Conv2d(1, CHANNELS, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
            layers += [torch.nn.Flatten(), torch.nn.Linear(CHANNELS * 16, CLASSES)]
        self.model = torch.nn.Sequential(*layers)
        with torch.no_grad():
            for parameter, weight in zip(self.model.parameters(), weights, strict=True):
                parameter.copy_(torch.from_numpy(weight.T if weight.ndim == 2 else weight))
        self.optimizer = torch.optim.SGD(self.model.parameters(), RATE[kind], momentum=MOMENTUM)
        self.loss = torch.nn.CrossEntropyLoss()

    def _scores(self, x: Array) -> Any:
        given = self.torch.from_numpy(x)
        return self.model(given if self.kind == "mlp" else given.reshape(-1, 1, 8, 8))

    def logits(self, x: Array) -> Array:
        """Return the scores of the classes."""
        with self.torch.no_grad():
            scores: Array = self._scores(x).numpy()
        return scores

    def step(self, x: Array, y: Array) -> float:
        """Train on a batch and return the loss."""
        loss = self.loss(self._scores(x), self.torch.from_numpy(y))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.item())


def versions(kind: str, seed: int = 0) -> dict[str, Any]:
    """Return the versions of a network by name, all with the same weights.

    Parameters
    ----------
    kind : {"mlp", "cnn"}
        Which network.
    seed : int
        Of the weights.

    Returns
    -------
    dict of str to object
        With ``step(x, y)`` and ``logits(x)``; PyTorch's only where it is installed.
    """
    found: dict[str, Any] = {
        "tensorops": TensoropsNetwork(kind, first_weights(kind, seed)),
        "numpy": NumpyNetwork(kind, first_weights(kind, seed)),
        "matmul swapped": NumpyNetwork(kind, first_weights(kind, seed), tensorops.matmul),
    }
    if importlib.util.find_spec("torch") is not None:
        found["torch"] = TorchNetwork(kind, first_weights(kind, seed))
    return found


def train(network: Any, epochs: int, data: tuple[Array, Array, Array, Array], seed: int = 0) -> float:
    """Train a version and return its accuracy on the held-out digits."""
    images, labels, held_images, held_labels = data
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(len(images)), len(images) // BATCH):
            network.step(images[batch], labels[batch])
    return float((network.logits(held_images).argmax(axis=1) == held_labels).mean())


def measure(kind: str, data: tuple[Array, Array, Array, Array], budget: float) -> dict[str, Any]:
    """Time a training step of every version, in turns.

    Parameters
    ----------
    kind : {"mlp", "cnn"}
        Which network.
    data : tuple of ndarray
        As of `digits`.
    budget : float
        Seconds in all.

    Returns
    -------
    dict
        For each version seconds a step and, beside the first, the ratio of its time to tensorops' own.
    """
    x, y = data[0][:BATCH], data[1][:BATCH]
    made = versions(kind)
    ours = made.pop("tensorops")
    against = {name: (lambda network=network: network.step(x, y)) for name, network in made.items()}
    result = profiling.bench(
        lambda: ours.step(x, y), against=against, name="tensorops", budget_seconds=budget, threads=1
    )
    rows: dict[str, Any] = {}
    for name in result.contenders:
        took, ratio = result.seconds_of(name), result.ratio(name)
        rows[name] = {
            "seconds": [took.estimate, took.low, took.high],
            "ratio": [ratio.estimate, ratio.low, ratio.high],
        }
    return rows


def main(words: Sequence[str]) -> int:
    """Train, measure, print a table for each network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few epochs and a short measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    arguments = parser.parse_args(words)
    data = digits()
    found: dict[str, Any] = {}
    for kind in EPOCHS:
        epochs = 2 if arguments.quick else EPOCHS[kind]
        rows = measure(kind, data, 1.0 if arguments.quick else 6.0)
        for name, network in versions(kind).items():
            rows[name]["accuracy"] = train(network, epochs, data)
        found[kind] = rows
        print(f"{kind}: one step on {BATCH} digits, one thread; accuracy after {epochs} epochs")
        print(f"  {'version':16} {'step':>10} {'its time / tensorops':>22}  {'interval':16} accuracy")
        for name, row in rows.items():
            estimate, low, high = row["ratio"]
            print(
                f"  {name:16} {1e6 * row['seconds'][0]:7.0f} us {estimate:22.2f}  {low:5.2f} to {high:5.2f} "
                f"  {100 * row['accuracy']:6.1f} %"
            )
        if not arguments.quick:
            least = min(row["accuracy"] for row in rows.values())
            print(f"  least accuracy {100 * least:.1f} %, to reach {100 * GOALS[kind]:.0f} %")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
