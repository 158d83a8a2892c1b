"""One training of a workload in each of the four ways: the same weights, the same steps."""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import tensorops
from tensorops import nn

from . import numpy_layers, tensorops_layers
from .digits import Digits
from .networks import Workload

Array = NDArray[Any]
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Training(Protocol):
    """A network that is being trained."""

    def logits(self, x: Array) -> Array:
        """Return the scores of the classes."""

    def gradients(self, x: Array, y: Array) -> tuple[float, list[Array]]:
        """Return the loss and the gradients of all parameters, without a step."""

    def step(self, x: Array, y: Array) -> float:
        """Train on a batch and return the loss before."""


def first_weights(workload: Workload, seed: int) -> list[Array]:
    """Return the parameters that every version begins with.

    Parameters
    ----------
    workload : Workload
        Its network's shapes are NumPy's, weights of layers (inputs, outputs).
    seed : int
        Of the matrices; vectors are what the layers make them.

    Returns
    -------
    list of ndarray
        float32, in the order of the layers.
    """
    rng = np.random.default_rng(seed)
    made = []
    for layer in workload.network(numpy_layers).leaves():
        for value in layer.parameters:
            if value.ndim > 1:
                # A matrix's inputs come first, a filter's behind the outputs.
                limit = math.sqrt(3 / (len(value) if value.ndim == 2 else math.prod(value.shape[1:])))
                value = rng.uniform(-limit, limit, value.shape).astype(value.dtype)
            made.append(value)
    return made


class NumpyTraining:
    """In plain NumPy.

    Parameters
    ----------
    workload : Workload
        What is trained.
    weights : list of ndarray
        Changed by `step`.
    layers : module
        `numpy_layers`, or a copy of it whose products are swapped.
    """

    def __init__(self, workload: Workload, weights: list[Array], layers: ModuleType = numpy_layers) -> None:
        self.workload, self.weights = workload, weights
        self.model = workload.network(layers)
        self.model.layers[0].input_gradient = False
        self.leaves = list(self.model.leaves())
        given = iter(weights)
        for layer in self.leaves:
            layer.parameters = [next(given) for _ in layer.parameters]
        self.states = [(np.zeros_like(weight), np.zeros_like(weight)) for weight in weights]
        self.steps = 0

    def logits(self, x: Array) -> Array:
        """Return the scores of the classes."""
        result: Array = self.model.forward(x)
        return result

    def gradients(self, x: Array, y: Array) -> tuple[float, list[Array]]:
        """Return the loss and the gradients of all parameters, without a step."""
        scores = self.logits(x)
        scores = scores - scores.max(axis=1, keepdims=True)
        shares = np.exp(scores)
        shares /= shares.sum(axis=1, keepdims=True)
        rows = np.arange(len(y))
        loss = float(-np.log(shares[rows, y]).mean())
        shares[rows, y] -= 1
        shares /= len(y)
        self.model.backward(shares)
        return loss, [gradient for layer in self.leaves for gradient in layer.gradients]

    def step(self, x: Array, y: Array) -> float:
        """Train on a batch and return the loss before."""
        loss, gradients = self.gradients(x, y)
        self.steps += 1
        change = self._sgd if self.workload.optimizer == "SGD" else self._adam
        for weight, gradient, state in zip(self.weights, gradients, self.states, strict=True):
            change(weight, gradient, *state)
        return loss

    def _sgd(self, weight: Array, gradient: Array, velocity: Array, _: Array) -> None:
        if self.workload.momentum:
            velocity *= self.workload.momentum
            velocity += gradient
            gradient = velocity
        weight -= self.workload.rate * gradient

    def _adam(self, weight: Array, gradient: Array, mean: Array, square: Array) -> None:
        mean *= BETA1
        mean += (1 - BETA1) * gradient
        square *= BETA2
        square += (1 - BETA2) * (gradient * gradient)
        root = np.sqrt(square)
        root *= 1 / math.sqrt(1 - BETA2**self.steps)
        root += EPSILON
        weight -= self.workload.rate / (1 - BETA1**self.steps) * mean / root


class TensoropsTraining:
    """With `tensorops.nn`.

    Parameters
    ----------
    workload : Workload
        What is trained.
    weights : list of ndarray
        Changed by `step`.
    """

    def __init__(self, workload: Workload, weights: list[Array]) -> None:
        self.model = workload.network(tensorops_layers)
        self.model.layers[0].input_gradient = False
        self.parameters = self.model.parameters()
        for parameter, weight in zip(self.parameters, weights, strict=True):
            parameter.data = weight
        self.loss = nn.CrossEntropyLoss()
        self.optimizer: nn.SGD | nn.Adam
        if workload.optimizer == "SGD":
            self.optimizer = nn.SGD(self.parameters, workload.rate, momentum=workload.momentum)
        else:
            self.optimizer = nn.Adam(self.parameters, workload.rate)

    def logits(self, x: Array) -> Array:
        """Return the scores of the classes."""
        result: Array = self.model(x)
        return result

    def _backward(self, x: Array, y: Array) -> float:
        loss = self.loss(self.model(x), y)
        self.optimizer.zero_grad()
        self.model.backward(self.loss.backward())
        return loss

    def gradients(self, x: Array, y: Array) -> tuple[float, list[Array]]:
        """Return the loss and the gradients of all parameters, without a step."""
        loss = self._backward(x, y)
        return loss, [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    def step(self, x: Array, y: Array) -> float:
        """Train on a batch and return the loss before."""
        loss = self._backward(x, y)
        self.optimizer.step()
        return loss


class TorchTraining:
    """In PyTorch's eager mode; `tensorops` layers keep a matrix the other way round.

    Parameters
    ----------
    workload : Workload
        What is trained.
    weights : list of ndarray
        Copied.
    """

    def __init__(self, workload: Workload, weights: list[Array]) -> None:
        import torch

        from . import torch_layers

        self.torch = torch
        self.model = workload.network(torch_layers)
        self.parameters = list(self.model.parameters())
        for parameter, weight in zip(self.parameters, weights, strict=True):
            parameter.data = torch.tensor(np.ascontiguousarray(weight.T) if weight.ndim == 2 else weight)
        self.loss = torch.nn.CrossEntropyLoss()
        if workload.optimizer == "SGD":
            self.optimizer = torch.optim.SGD(self.parameters, workload.rate, momentum=workload.momentum)
        else:
            self.optimizer = torch.optim.Adam(self.parameters, workload.rate)

    def logits(self, x: Array) -> Array:
        """Return the scores of the classes."""
        with self.torch.no_grad():
            scores: Array = self.model(self.torch.from_numpy(x)).numpy()
        return scores

    def _backward(self, x: Array, y: Array) -> Any:
        loss = self.loss(self.model(self.torch.from_numpy(x)), self.torch.from_numpy(y))
        self.optimizer.zero_grad()
        loss.backward()
        return loss

    def gradients(self, x: Array, y: Array) -> tuple[float, list[Array]]:
        """Return the loss and the gradients of all parameters, without a step."""
        loss = float(self._backward(x, y).item())
        found = [parameter.grad.numpy() for parameter in self.parameters]
        return loss, [gradient.T if gradient.ndim == 2 else gradient for gradient in found]

    def step(self, x: Array, y: Array) -> float:
        """Train on a batch and return the loss before."""
        loss = self._backward(x, y)
        self.optimizer.step()
        return float(loss.item())


@functools.cache
def installation() -> tensorops.adapters.Installation:
    """Return our products under a copy of `numpy_layers`, all else left as it is."""
    name = f"{numpy_layers.__name__}_swapped"
    spec = importlib.util.spec_from_file_location(name, numpy_layers.__file__)
    assert spec is not None and spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return tensorops.install(copy)


VERSIONS: dict[str, Callable[[Workload, list[Array]], Training]] = {
    "tensorops": TensoropsTraining,
    "numpy": NumpyTraining,
    "matmul swapped": lambda workload, weights: NumpyTraining(workload, weights, installation().package),
    "torch": TorchTraining,
}


def available() -> list[str]:
    """Return the names of the versions that run here."""
    return [name for name in VERSIONS if name != "torch" or importlib.util.find_spec("torch") is not None]


def begin(version: str, workload: Workload, seed: int = 0) -> Training:
    """Return a training before its first step.

    Parameters
    ----------
    version : str
        One of `VERSIONS`.
    workload : Workload
        What is trained.
    seed : int
        Of the weights.

    Returns
    -------
    Training
        Independent of all others.
    """
    return VERSIONS[version](workload, first_weights(workload, seed))


def accuracy(training: Training, workload: Workload, digits: Digits, epochs: int, seed: int = 0) -> float:
    """Train, and return the accuracy on the held-out digits.

    Parameters
    ----------
    training : Training
        Before its first step.
    workload : Workload
        What is trained.
    digits : Digits
        The data.
    epochs : int
        Passes over them.
    seed : int
        Of the order of the batches.

    Returns
    -------
    float
        Share of right classes among those that fill whole sequences.
    """
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        for images, labels in digits.batches(workload.batch, rng):
            training.step(workload.form(images), labels)
    whole = len(digits.held_labels) // workload.group * workload.group
    scores = training.logits(workload.form(digits.held_images[:whole]))
    return float((scores.argmax(axis=1) == digits.held_labels[:whole]).mean())
