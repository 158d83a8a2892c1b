"""Steps of optimizers: their results are what the changed operands hold afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensorops.numpy_twins import optim as numpy_twins
from tensorops.reference import optim as reference
from tensorops.specs.spec import NO_PARAMS, OpSpec, Params, Shape, Sizes

Array = NDArray[np.float64]

# Parameters of a layer or a network.
_ELEMENTS = (1_000, 100_000, 4_000_000)


def _sizes(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> Sizes:
    return math.prod(shapes[0]), 1, 1, 1


def _operands(
    shapes: Sequence[Shape], dtype: Any, rng: np.random.Generator, params: Params = NO_PARAMS
) -> tuple[NDArray[Any], ...]:
    """Return parameters, gradient and state; the second moment is not negative."""
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    if len(arrays) > 3:
        arrays[3] = np.asarray(np.square(arrays[3]))
    return tuple(arrays)


def _magnitude(x: ArrayLike) -> Array:
    return np.abs(np.asarray(x, np.float64))


def _eps(x: ArrayLike) -> tuple[float, float]:
    """Return the distance of neighbours around 1, and the one of the smallest numbers."""
    info = np.finfo(np.asarray(x).dtype)
    return float(info.eps), 2 * float(info.smallest_subnormal)


def _sgd_bound(
    p: ArrayLike,
    g: ArrayLike,
    velocity: ArrayLike | None = None,
    *,
    lr: float,
    momentum: float = 0,
    weight_decay: float = 0,
    nesterov: bool = False,
) -> tuple[Array, ...]:
    unit, least = _eps(p)
    slope = _magnitude(g) + weight_decay * _magnitude(p)
    moved = slope + (0 if velocity is None else momentum * _magnitude(velocity))
    size = slope + momentum * moved if nesterov else moved
    bounds = (4 * unit * (_magnitude(p) + 2 * lr * size) + least, 4 * unit * moved + least)
    return bounds[: 1 if velocity is None else 2]


def _adam_bound(result: Callable[..., Any], decoupled: bool) -> Callable[..., tuple[Array, ...]]:
    def bound(p: ArrayLike, g: ArrayLike, m: ArrayLike, v: ArrayLike, **params: Any) -> tuple[Array, ...]:
        unit, least = _eps(p)
        beta1, beta2 = params.get("beta1", 0.9), params.get("beta2", 0.999)
        decay = params.get("weight_decay", 0)
        slope = _magnitude(g) + (0 if decoupled else decay * _magnitude(p))
        first = 4 * unit * (_magnitude(m) + (1 - beta1) * slope) + least
        second = 4 * unit * (beta2 * _magnitude(v) + (1 - beta2) * slope * slope) + least
        _, m_after, v_after = result(p, g, m, v, **params)
        correction = 1 - beta2 ** params["step"]
        below = np.sqrt(v_after / correction) + params.get("eps", 1e-8)
        rate = params.get("lr", 1e-3) / (1 - beta1 ** params["step"])
        with np.errstate(all="ignore"):
            # How far the root moves: at most by the root of the error, where the moment is small.
            root = np.minimum(second / np.sqrt(v_after), np.sqrt(second)) / np.sqrt(correction)
            step = rate * (first + np.abs(m_after) * (8 * unit + np.minimum(root / below, 1))) / below
        return 4 * unit * _magnitude(p) + 2 * step + least, first, second

    return bound


def _spec(
    name: str, signature: str, count: int, flops: int, bound: Callable[..., Any], params: dict[str, Any]
) -> OpSpec:
    changed = (0, *range(2, count))

    def shapes_of(sizes: Sequence[int], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
        return ((sizes[0],),) * count

    def count_flops(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> int:
        return flops * math.prod(shapes[0])

    def least_bytes(shapes: Sequence[Shape], itemsize: int, params: Params = NO_PARAMS) -> int:
        return itemsize * math.prod(shapes[0]) * (count + len(changed))

    def out_shape(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
        return (tuple(int(size) for size in shapes[0]),) * len(changed)

    base = name.removesuffix("_")
    return OpSpec(
        name=name,
        signature=signature,
        cost_class="optimizer",
        flops=count_flops,
        bytes=least_bytes,
        sizes=_sizes,
        shapes_of=shapes_of,
        out_shape=out_shape,
        reference=getattr(reference, base),
        numpy_twin=getattr(numpy_twins, base),
        error_bound=bound,
        outputs=len(changed),
        changed=changed,
        operands=_operands,
        example_shapes=tuple(shapes_of((elements, 1, 1, 1)) for elements in _ELEMENTS),
        example_params=(params,),
    )


_ADAM = "(p, g, m, v, *, step, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-08, weight_decay=0)"

SPECS: tuple[OpSpec, ...] = (
    _spec(
        "sgd_step_",
        "(p, g, velocity=None, *, lr, momentum=0, weight_decay=0, nesterov=False)",
        3,
        4,
        _sgd_bound,
        {"lr": 0.01, "momentum": 0.9},
    ),
    _spec("adam_step_", _ADAM, 4, 13, _adam_bound(reference.adam_step, False), {"step": 10}),
    _spec(
        "adamw_step_",
        _ADAM,
        4,
        14,
        _adam_bound(reference.adamw_step, True),
        {"step": 10, "weight_decay": 0.01},
    ),
)
