"""Operations on rows: softmax, normalisation, cross entropy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensorops.numpy_twins import rows as numpy_twins
from tensorops.reference import rows as reference
from tensorops.specs.spec import NO_PARAMS, OpSpec, Params, Shape, Sizes

Array = NDArray[np.float64]
Bound = Callable[..., Any]

# Rows and columns: a classifier's batch, layers of transformers, a language model's vocabulary.
_EXAMPLES = ((64, 10), (512, 768), (1024, 1024), (128, 50257))


def _columns(shape: Shape, axis: int) -> int:
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"axis {axis} is out of range for an operand of shape {tuple(shape)}")
    return int(shape[axis])


def _sizes(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> Sizes:
    axis = int(params.get("axis", -1))
    columns = _columns(shapes[0], axis)
    rows = math.prod(size for place, size in enumerate(shapes[0]) if place != axis % len(shapes[0]))
    return rows, columns, 1, 1


def _operand_shapes(pattern: str) -> Callable[..., tuple[tuple[int, ...], ...]]:
    """Return a function for the shapes of operands: "x" a whole one, "c" one value a column, "r" a row."""

    def shapes_of(sizes: Sequence[int], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
        rows, columns = sizes[0], sizes[1]
        # The first operand has no other axes than these two.
        whole = (rows, columns) if int(params.get("axis", -1)) in (-1, 1) else (columns, rows)
        return tuple({"x": whole, "c": (columns,), "r": (rows,)}[letter] for letter in pattern)

    return shapes_of


def _labelled(
    shapes: Sequence[Shape], dtype: Any, rng: np.random.Generator, params: Params = NO_PARAMS
) -> tuple[NDArray[Any], ...]:
    """Return logits, and a label for each row."""
    return (
        rng.standard_normal(shapes[0]).astype(dtype),
        rng.integers(0, max(shapes[0][-1], 1), shapes[1]),
    )


def _eps(*operands: ArrayLike) -> float:
    return float(np.finfo(np.result_type(*(np.asarray(x).dtype for x in operands))).eps)


def _least(eps: float) -> float:
    # Half the distance of two neighbours is lost where the result is subnormal; so is a product's twice.
    return 3e-45 if eps > 1e-10 else 1e-323


def _distances(x: ArrayLike, axis: int) -> tuple[Array, Array, Array]:
    """Return softmax, the distances from the largest element, and their mean weighted with softmax."""
    wide = np.asarray(x, np.float64)
    y = reference.softmax(wide, axis)
    if wide.shape[axis] == 0:
        return y, y, y
    distance = np.abs(wide - wide.max(axis, keepdims=True))
    return y, distance, np.where(y > 0, y * distance, 0).sum(axis, keepdims=True)


def _softmax_bound(x: ArrayLike, axis: int = -1) -> Array:
    eps = _eps(x)
    with np.errstate(all="ignore"):
        y, distance, mean = _distances(x, axis)
        return np.asarray(np.where(y > 0, y * eps * (16 + 2 * (distance + mean)), 0) + _least(eps))


def _log_softmax_bound(x: ArrayLike, axis: int = -1) -> Array:
    with np.errstate(all="ignore"):
        _, distance, mean = _distances(x, axis)
        return np.asarray(_eps(x) * (16 + 4 * distance + 2 * mean))


def _softmax_backward_bound(grad: ArrayLike, y: ArrayLike, axis: int = -1) -> Array:
    g, result = np.abs(np.asarray(grad, np.float64)), np.abs(np.asarray(y, np.float64))
    eps = _eps(grad, y)
    with np.errstate(all="ignore"):
        total = (g * result).sum(axis, keepdims=True)
        return np.asarray(eps * result * (4 * g + 16 * total) + _least(eps))


def _norm_parts(x: ArrayLike, eps: float, centred: bool) -> tuple[Array, Array, Array]:
    """Return the normed rows, the factors, and the error that is allowed in the former, over epsilon."""
    wide = np.asarray(x, np.float64)
    columns = max(wide.shape[-1], 1)
    mean = wide.sum(-1, keepdims=True) / columns if centred else np.zeros((*wide.shape[:-1], 1))
    factor = 1 / np.sqrt(np.square(wide - mean).sum(-1, keepdims=True) / columns + eps)
    normed = (wide - mean) * factor
    shift = 4 * (1 + np.abs(mean) * factor) if centred else 0
    return normed, factor, 8 * np.abs(normed) + shift


def _norm_bound(centred: bool) -> Bound:
    def bound(
        x: ArrayLike, weight: ArrayLike | None = None, bias: ArrayLike | None = None, eps: float = 1e-5
    ) -> Array:
        with np.errstate(all="ignore"):
            normed, _, error = _norm_parts(x, eps, centred)
            factor = 1.0 if weight is None else np.abs(np.asarray(weight, np.float64))
            shift = 0.0 if bias is None else np.abs(np.asarray(bias, np.float64))
            unit = _eps(x)
            return np.asarray(unit * (factor * (error + 2 * np.abs(normed)) + 2 * shift) + _least(unit))

    return bound


def _norm_backward_bound(centred: bool) -> Bound:
    def bound(
        grad: ArrayLike, x: ArrayLike, weight: ArrayLike | None = None, eps: float = 1e-5
    ) -> tuple[Array, ...]:
        unit = _eps(grad, x)
        g = np.abs(np.asarray(grad, np.float64))
        columns = max(g.shape[-1], 1)
        outer = tuple(range(g.ndim - 1))
        with np.errstate(all="ignore"):
            normed, factor, error = _norm_parts(x, eps, centred)
            size = np.abs(normed)
            weighted = g if weight is None else g * np.abs(np.asarray(weight, np.float64))
            along = (weighted * (16 * size + error)).sum(-1, keepdims=True) / columns
            dx = factor * (
                16 * weighted
                + 16 * weighted.sum(-1, keepdims=True) / columns
                + size * along
                + error * (weighted * size).sum(-1, keepdims=True) / columns
            )
            dweight = (g * (16 * size + error)).sum(outer)
            results = (dx, dweight, 16 * g.sum(outer))
            least = _least(unit)
            return tuple(unit * result + least for result in results[: 3 if centred else 2])

    return bound


def _cross_entropy_bound(logits: ArrayLike, targets: ArrayLike) -> Array:
    with np.errstate(all="ignore"):
        mean = _distances(logits, -1)[2]
        loss = np.abs(np.asarray(reference.cross_entropy(logits, targets)))
        return np.asarray(_eps(logits) * (16 + 2 * mean.sum() / max(mean.size, 1) + 2 * loss))


def _cross_entropy_backward_bound(logits: ArrayLike, targets: ArrayLike) -> Array:
    count = max(np.asarray(targets).size, 1)
    eps = _eps(logits)
    shift = np.zeros(np.asarray(logits).shape)
    np.put_along_axis(shift, np.asarray(targets)[..., np.newaxis], 2 * eps, -1)
    return np.asarray((_softmax_bound(logits) + shift) / count + _least(eps))


def _first(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[int, ...]:
    _columns(shapes[0], int(params.get("axis", -1)))
    return tuple(int(size) for size in shapes[0])


def _gradients(count: int) -> Callable[..., tuple[tuple[int, ...], ...]]:
    def out_shape(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
        whole = _first(shapes)
        return (whole, *((whole[-1:],) * (count - 1)))

    return out_shape


def _scalar(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[int, ...]:
    return ()


def _spec(
    name: str,
    signature: str,
    pattern: str,
    flops: int,
    bound: Bound,
    *,
    outputs: int = 1,
    scalar: bool = False,
    axes: bool = False,
    backward: str | None = None,
    changed: tuple[int, ...] = (),
) -> OpSpec:
    base = name.removesuffix("_")
    shapes_of = _operand_shapes(pattern)
    out_shape = _scalar if scalar else _gradients(outputs) if outputs > 1 else _first

    def count_flops(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> int:
        return flops * math.prod(shapes[0])

    def least_bytes(shapes: Sequence[Shape], itemsize: int, params: Params = NO_PARAMS) -> int:
        results = out_shape(shapes, params) if outputs > 1 else (out_shape(shapes, params),)
        return itemsize * sum(math.prod(map(int, shape)) for shape in (*shapes, *results))

    example_params: tuple[Mapping[str, Any], ...] = ({}, {"axis": 0}) if axes else ({},)
    return OpSpec(
        name=name,
        signature=signature,
        cost_class="rows",
        flops=count_flops,
        bytes=least_bytes,
        sizes=_sizes,
        shapes_of=shapes_of,
        out_shape=out_shape,
        reference=getattr(reference, base),
        numpy_twin=getattr(numpy_twins, base),
        error_bound=bound,
        backward=backward,
        outputs=outputs,
        changed=changed,
        operands=_labelled if "r" in pattern else None,
        example_shapes=tuple(shapes_of((rows, columns, 1, 1)) for rows, columns in _EXAMPLES),
        example_params=example_params,
    )


# Flops an element: exp counts 15.
SPECS: tuple[OpSpec, ...] = (
    _spec(
        "softmax",
        "(x, axis=-1, out=None)",
        "x",
        19,
        _softmax_bound,
        axes=True,
        backward="softmax_backward",
    ),
    _spec("softmax_", "(x, axis=-1)", "x", 19, _softmax_bound, axes=True, changed=(0,)),
    _spec("log_softmax", "(x, axis=-1, out=None)", "x", 20, _log_softmax_bound, axes=True),
    _spec("softmax_backward", "(grad, y, axis=-1, out=None)", "xx", 4, _softmax_backward_bound, axes=True),
    _spec(
        "layer_norm",
        "(x, weight=None, bias=None, eps=1e-05, out=None)",
        "xcc",
        8,
        _norm_bound(True),
        backward="layer_norm_backward",
    ),
    _spec(
        "rms_norm",
        "(x, weight=None, eps=1e-05, out=None)",
        "xc",
        4,
        lambda x, weight=None, eps=1e-5: _norm_bound(False)(x, weight, None, eps),
        backward="rms_norm_backward",
    ),
    _spec(
        "layer_norm_backward",
        "(grad, x, weight=None, eps=1e-05)",
        "xxc",
        19,
        _norm_backward_bound(True),
        outputs=3,
    ),
    _spec(
        "rms_norm_backward",
        "(grad, x, weight=None, eps=1e-05)",
        "xxc",
        15,
        _norm_backward_bound(False),
        outputs=2,
    ),
    _spec(
        "cross_entropy",
        "(logits, targets)",
        "xr",
        17,
        _cross_entropy_bound,
        scalar=True,
        backward="cross_entropy_backward",
    ),
    _spec(
        "cross_entropy_backward",
        "(logits, targets, out=None)",
        "xr",
        19,
        _cross_entropy_backward_bound,
    ),
)
