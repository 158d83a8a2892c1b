"""Whole training steps as cases: forward, backward and the optimizer's step of a small network.

Each has the face of an operation: operands, of which the parameters and the optimizer's state are changed; a
definition in float64; a form as a NumPy user writes it; one of this library; one in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorops.operations import OPERATIONS
from tensorops.specs.spec import NO_PARAMS, OpSpec, Params, Shape

from .networks import CLASSES, NETWORKS, Network

Array = NDArray[Any]

RATES = MappingProxyType({"sgd": 0.1, "adam": 1e-3})
FIRST_STEP = 10
"""Adam's state is that of the tenth step: neither all zeros nor corrected by much."""
FLOPS = MappingProxyType({"sgd": 2, "adam": 13})
"""Of the optimizer, for each parameter."""
TOLERANCE = 2e-4
"""Of the largest parameter, in float32: errors grow through all layers."""


def _twin(name: str) -> Callable[..., Any]:
    function = OPERATIONS[name].numpy_function()
    assert function is not None
    return function


def _ours(name: str) -> Callable[..., Any]:
    import tensorops

    function: Callable[..., Any] = getattr(tensorops, name)
    return function


def numpy_step(
    x: Array, target: Array, *state: Array, out: Sequence[Array] | None = None, network: str, optimizer: str
) -> tuple[Array, ...]:
    """Return parameters and state after a step, as a NumPy user computes them."""
    model = NETWORKS[network]
    weights = state[: len(model.weights)]
    if model.by_hand is not None:
        gradients = model.by_hand(x, target, *weights)
    else:
        gradients = model.gradients(_twin, x, target, *weights)
    if optimizer == "sgd":
        results = tuple(weight - RATES["sgd"] * grad for weight, grad in zip(weights, gradients, strict=True))
    else:
        moved = [
            _twin("adam_step_")(*parts, step=FIRST_STEP, lr=RATES["adam"])
            for parts in _with_moments(state, gradients)
        ]
        results = tuple(part[place] for place in range(3) for part in moved)
    if out is None:
        return results
    for array, result in zip(out, results, strict=True):
        array[...] = result
    return tuple(out)


def tensorops_step(x: Array, target: Array, *state: Array, network: str, optimizer: str) -> None:
    """Change parameters and state by a step of this library's operations."""
    model = NETWORKS[network]
    weights = state[: len(model.weights)]
    gradients = model.gradients(_ours, x, target, *weights)
    if optimizer == "sgd":
        change = _ours("sgd_step_")
        for weight, grad in zip(weights, gradients, strict=True):
            change(weight, grad, lr=RATES["sgd"])
    else:
        change = _ours("adam_step_")
        for parts in _with_moments(state, gradients):
            change(*parts, step=FIRST_STEP, lr=RATES["adam"])


def torch_step(
    torch: Any, x: Any, target: Any, *state: Any, network: str, optimizer: str
) -> Callable[[], None]:
    """Return a step of PyTorch's eager mode, with its own gradients and its own optimizer."""
    model = NETWORKS[network]
    count = len(model.weights)
    parameters = [tensor.requires_grad_() for tensor in state[:count]]
    if optimizer == "sgd":
        stepper = torch.optim.SGD(parameters, lr=RATES["sgd"])
    else:
        stepper = torch.optim.Adam(parameters, lr=RATES["adam"])
        for weight, m, v in zip(parameters, state[count : 2 * count], state[2 * count :], strict=True):
            counted = torch.tensor(float(FIRST_STEP - 1))
            stepper.state[weight] = {"step": counted, "exp_avg": m, "exp_avg_sq": v}

    def step() -> None:
        with torch.enable_grad():
            loss = model.torch_loss(torch, x, target, *parameters)
            stepper.zero_grad()
            loss.backward()
            stepper.step()
            loss.item()

    return step


def _with_moments(state: Sequence[Array], gradients: Sequence[Array]) -> list[tuple[Array, ...]]:
    count = len(gradients)
    moments = state[count : 2 * count], state[2 * count :]
    return list(zip(state[:count], gradients, *moments, strict=True))


def _reference(*operands: Array, **params: Any) -> tuple[Array, ...]:
    wide = [x if x.dtype.kind == "i" else x.astype(np.float64) for x in operands]
    return numpy_step(*wide, **params)


def _bound(*operands: Array, **params: Any) -> tuple[Array, ...]:
    unit = TOLERANCE * float(np.finfo(operands[0].dtype).eps) / float(np.finfo(np.float32).eps)
    results = _reference(*operands, **params)
    # Adam divides by the root of a moment, so that a small gradient's error counts in full.
    least = RATES["adam"] if params["optimizer"] == "adam" else 0.0
    return tuple(np.full(part.shape, unit * max(float(np.abs(part).max()), least)) for part in results)


def _spec(name: str, network: Network, optimizer: str) -> OpSpec:
    count = len(network.weights)
    moments = network.weights * 2 if optimizer == "adam" else ()
    parameters = sum(map(math.prod, network.weights))

    def shapes_of(sizes: Sequence[int], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
        batch = sizes[0]
        return ((batch, *network.example), (batch, *network.target), *network.weights, *moments)

    def operands(
        shapes: Sequence[Shape], dtype: Any, rng: np.random.Generator, params: Params = NO_PARAMS
    ) -> tuple[Array, ...]:
        def drawn(shape: Shape, factor: float = 1.0) -> Array:
            return (factor * rng.standard_normal(shape)).astype(dtype)

        x, target, *rest = shapes
        expected = drawn(target) if network.target else rng.integers(0, CLASSES, target)
        sides = [math.prod(shape[1:]) if len(shape) == 4 else shape[0] for shape in network.weights]
        weights = [drawn(shape, 1 / math.sqrt(side)) for shape, side in zip(rest, sides, strict=False)]
        first = [drawn(shape, 1e-2) for shape in rest[count : 2 * count]]
        second = [(1e-4 * (0.5 + rng.random(shape))).astype(dtype) for shape in rest[2 * count :]]
        return drawn(x), expected, *weights, *first, *second

    def flops(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> int:
        return network.flops * int(shapes[0][0]) + FLOPS[optimizer] * parameters

    def least_bytes(shapes: Sequence[Shape], itemsize: int, params: Params = NO_PARAMS) -> int:
        # Weights are read forwards and backwards; gradients are written and read; state is read and written.
        moved = 4 if optimizer == "sgd" else 8
        return itemsize * (2 * math.prod(shapes[0]) + moved * parameters)

    def out_shape(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(map(int, shape)) for shape in shapes[2:])

    shapes = shapes_of((network.batch, 1, 1, 1))
    return OpSpec(
        name=name,
        signature="(x, target, *state)",
        cost_class="training",
        flops=flops,
        bytes=least_bytes,
        sizes=lambda shapes, params=NO_PARAMS: (int(shapes[0][0]), 1, 1, 1),
        shapes_of=shapes_of,
        out_shape=out_shape,
        reference=_reference,
        numpy_twin=numpy_step,
        error_bound=_bound,
        outputs=len(shapes) - 2,
        changed=tuple(range(2, len(shapes))),
        operands=operands,
        example_shapes=(shapes,),
        example_params=(MappingProxyType({"network": name.partition("_")[0], "optimizer": optimizer}),),
    )


_PAIRS = (("mlp", "sgd"), ("mlp", "adam"), ("cnn", "sgd"), ("transformer", "adam"))
STEPS: dict[str, OpSpec] = {
    f"{network}_{optimizer}": _spec(f"{network}_{optimizer}", NETWORKS[network], optimizer)
    for network, optimizer in _PAIRS
}
"""By name: a network and its optimizer."""
