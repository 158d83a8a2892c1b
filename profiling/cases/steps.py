"""Whole training steps as cases: forward, backward and the optimizer's step of a small network.

Each has the face of an operation: operands, of which the parameters and the optimizer's state are changed; a
definition in float64; a form as a NumPy user writes it; one of this library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorops.numpy_twins import optim
from tensorops.specs.spec import NO_PARAMS, OpSpec, Params, Shape

Array = NDArray[Any]

BATCH, INPUTS, HIDDEN, CLASSES = 64, 784, 256, 10
RATES = MappingProxyType({"sgd": 0.1, "adam": 1e-3})
FIRST_STEP = 10
"""Adam's state is that of the tenth step: neither all zeros nor corrected by much."""
WEIGHTS: tuple[tuple[int, ...], ...] = ((INPUTS, HIDDEN), (HIDDEN,), (HIDDEN, CLASSES), (CLASSES,))
# Errors grow through both layers; of Adam's step by the root of a small moment.
TOLERANCE = 2e4


def _shapes(optimizer: str, batch: int = BATCH) -> tuple[tuple[int, ...], ...]:
    moments = WEIGHTS * 2 if optimizer == "adam" else ()
    return ((batch, INPUTS), (batch,), *WEIGHTS, *moments)


def _operands(
    shapes: Sequence[Shape], dtype: Any, rng: np.random.Generator, params: Params = NO_PARAMS
) -> tuple[Array, ...]:
    x, labels, *rest = shapes
    count = len(WEIGHTS)
    weights = [(rng.standard_normal(shape) / math.sqrt(shape[0])).astype(dtype) for shape in rest[:count]]
    first = [(1e-2 * rng.standard_normal(shape)).astype(dtype) for shape in rest[count : 2 * count]]
    second = [(1e-4 * (0.5 + rng.random(shape))).astype(dtype) for shape in rest[2 * count : 3 * count]]
    inputs = rng.standard_normal(x).astype(dtype)
    return inputs, rng.integers(0, CLASSES, labels), *weights, *first, *second


def numpy_step(
    x: Array, labels: Array, *state: Array, out: Sequence[Array] | None = None, optimizer: str = "sgd"
) -> tuple[Array, ...]:
    """Return parameters and state after a step, as a NumPy user computes them."""
    w1, b1, w2, b2 = state[:4]
    hidden = np.maximum(x @ w1 + b1, 0)
    scores = hidden @ w2 + b2
    scores -= scores.max(axis=1, keepdims=True)
    chances = np.exp(scores)
    chances /= chances.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    # The loss is part of every step: a user looks at it.
    float(-np.log(chances[rows, labels]).mean())
    chances[rows, labels] -= 1
    grad = chances / x.dtype.type(len(labels))
    back = (grad @ w2.T) * (hidden > 0)
    gradients = (x.T @ back, back.sum(axis=0), hidden.T @ grad, grad.sum(axis=0))
    if optimizer == "sgd":
        results = tuple(weight - RATES["sgd"] * grad for weight, grad in zip(state, gradients, strict=True))
    else:
        moved = [
            optim.adam_step(weight, grad, m, v, step=FIRST_STEP, lr=RATES["adam"])
            for weight, grad, m, v in zip(state[:4], gradients, state[4:8], state[8:], strict=True)
        ]
        results = tuple(part[place] for place in range(3) for part in moved)
    if out is None:
        return results
    for target, result in zip(out, results, strict=True):
        target[...] = result
    return tuple(out)


def tensorops_step(x: Array, labels: Array, *state: Array, optimizer: str = "sgd") -> None:
    """Change parameters and state by a step of this library's operations."""
    import tensorops

    w1, b1, w2, b2 = state[:4]
    hidden = tensorops.linear(x, w1, b1, activation="relu")
    scores = tensorops.linear(hidden, w2, b2)
    tensorops.cross_entropy(scores, labels)
    grad = tensorops.cross_entropy_backward(scores, labels)
    back, dw2, db2 = tensorops.linear_backward(grad, hidden, w2)
    tensorops.relu_backward_(back, hidden)
    gradients = (tensorops.matmul(x.T, back), back.sum(axis=0), dw2, db2)
    if optimizer == "sgd":
        for weight, slope in zip(state, gradients, strict=True):
            tensorops.sgd_step_(weight, slope, lr=RATES["sgd"])
    else:
        for weight, slope, m, v in zip(state[:4], gradients, state[4:8], state[8:], strict=True):
            tensorops.adam_step_(weight, slope, m, v, step=FIRST_STEP, lr=RATES["adam"])


def torch_step(torch: Any, x: Any, labels: Any, *state: Any, optimizer: str = "sgd") -> Callable[[], Any]:
    """Return a step of PyTorch's eager mode, with its own gradients and its own optimizer."""
    w1, b1, w2, b2 = parameters = [tensor.requires_grad_() for tensor in state[:4]]
    if optimizer == "sgd":
        stepper = torch.optim.SGD(parameters, lr=RATES["sgd"])
    else:
        stepper = torch.optim.Adam(parameters, lr=RATES["adam"])
        for weight, m, v in zip(parameters, state[4:8], state[8:], strict=True):
            counted = torch.tensor(float(FIRST_STEP - 1))
            stepper.state[weight] = {"step": counted, "exp_avg": m, "exp_avg_sq": v}

    def step() -> None:
        with torch.enable_grad():
            hidden = torch.relu(torch.addmm(b1, x, w1))
            loss = torch.nn.functional.cross_entropy(torch.addmm(b2, hidden, w2), labels)
            stepper.zero_grad()
            loss.backward()
            stepper.step()
            loss.item()

    return step


def _reference(*operands: Array, optimizer: str = "sgd") -> tuple[Array, ...]:
    wide = [x if x.dtype.kind == "i" else x.astype(np.float64) for x in operands]
    return numpy_step(*wide, optimizer=optimizer)


def _bound(*operands: Array, optimizer: str = "sgd") -> tuple[Array, ...]:
    eps = float(np.finfo(operands[0].dtype).eps)
    results = _reference(*operands, optimizer=optimizer)
    rate = RATES[optimizer] if optimizer == "adam" else 0.0
    return tuple(
        np.full(part.shape, TOLERANCE * eps * max(float(np.abs(part).max()) * 1e-2, rate)) for part in results
    )


def _flops(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> int:
    batch = int(shapes[0][0])
    products = 2 * batch * (2 * INPUTS * HIDDEN + 3 * HIDDEN * CLASSES)
    each = 2 if params.get("optimizer", "sgd") == "sgd" else 13
    return products + each * sum(map(math.prod, WEIGHTS))


def _bytes(shapes: Sequence[Shape], itemsize: int, params: Params = NO_PARAMS) -> int:
    # Weights are read forwards and backwards; gradients are written and read; all state is read and written.
    moved = 4 if params.get("optimizer", "sgd") == "sgd" else 8
    return itemsize * (2 * math.prod(shapes[0]) + moved * sum(map(math.prod, WEIGHTS)))


def _out_shape(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, shape)) for shape in shapes[2:])


def _step(optimizer: str) -> OpSpec:
    shapes = _shapes(optimizer)
    return OpSpec(
        name=f"mlp_{optimizer}",
        signature="(x, labels, *state)",
        cost_class="training",
        flops=_flops,
        bytes=_bytes,
        sizes=lambda shapes, params=NO_PARAMS: (int(shapes[0][0]), 1, 1, 1),
        shapes_of=lambda sizes, params=NO_PARAMS: _shapes(optimizer, sizes[0]),
        out_shape=_out_shape,
        reference=_reference,
        numpy_twin=numpy_step,
        error_bound=_bound,
        outputs=len(shapes) - 2,
        changed=tuple(range(2, len(shapes))),
        operands=_operands,
        example_shapes=(shapes,),
        example_params=(MappingProxyType({"optimizer": optimizer}),),
    )


STEPS: dict[str, OpSpec] = {f"mlp_{name}": _step(name) for name in RATES}
"""By name: a two-layer network on a batch of 64, with gradient descent and with Adam."""
