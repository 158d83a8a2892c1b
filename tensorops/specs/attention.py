"""Attention: its sizes, its work and the bound of its error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensorops import reference
from tensorops.numpy_twins import attention as numpy_twins
from tensorops.reference.attention import attention_weights, usual_scale
from tensorops.specs.spec import NO_PARAMS, OpSpec, Params, Shape, Sizes

Floats = NDArray[np.float64]

# Heads, and queries, keys and length of each vector.
_LAYERS = ((2, 20, 30, 16), (8, 128, 128, 64), (8, 512, 512, 64))


@dataclass(frozen=True, slots=True)
class AttentionDims:
    """The sizes of attention.

    Attributes
    ----------
    heads : tuple of int
        Leading dimensions of the result, after broadcasting.
    queries, keys : int
        Rows of q, and of k and v.
    depth, width : int
        Columns of q and k, and of v and the result.

    Examples
    --------
    >>> attention_dims("attention", [(8, 5, 64), (8, 7, 64), (7, 32)]).out
    (8, 5, 32)
    """

    heads: tuple[int, ...]
    queries: int
    keys: int
    depth: int
    width: int

    @property
    def out(self) -> tuple[int, ...]:
        """Shape of the result."""
        return *self.heads, self.queries, self.width

    @property
    def count(self) -> int:
        """Number of heads."""
        return math.prod(self.heads)

    def seen(self, causal: bool) -> int:
        """Return how many keys all queries of a head see together.

        Parameters
        ----------
        causal : bool
            Whether a query sees the keys up to its own place only.

        Returns
        -------
        int
            Scores that count.

        Examples
        --------
        >>> attention_dims("attention", [(4, 8), (3, 8), (3, 8)]).seen(True)
        9
        """
        if not causal:
            return self.queries * self.keys
        side = min(self.queries, self.keys)
        return side * (side + 1) // 2 + (self.queries - side) * self.keys


def attention_dims(op: str, shapes: Sequence[Shape]) -> AttentionDims:
    """Return the sizes of attention on operands of these shapes.

    Parameters
    ----------
    op : str
        The operation, for the messages.
    shapes : sequence of three sequences of int
        Of queries, keys and values.

    Returns
    -------
    AttentionDims
        The sizes.

    Raises
    ------
    ValueError
        If the shapes do not fit each other.

    Examples
    --------
    >>> attention_dims("attention", [(5, 64), (7, 64), (7, 32)]).keys
    7
    """
    if len(shapes) != 3:
        raise ValueError(f"{op} takes queries, keys and values, got {len(shapes)} operands")
    q, k, v = (tuple(int(size) for size in shape) for shape in shapes)
    said = f"{op}: shapes {q}, {k} and {v}"
    if min(len(q), len(k), len(v)) < 2:
        raise ValueError(f"{said}: they must be (..., L, D), (..., S, D) and (..., S, E)")
    if q[-1] != k[-1] or k[-2] != v[-2]:
        raise ValueError(
            f"{said}: queries and keys must be of one length, and there must be as many values as keys"
        )
    try:
        heads = np.broadcast_shapes(q[:-2], k[:-2], v[:-2])
    except ValueError:
        raise ValueError(f"{said}: the leading dimensions do not broadcast") from None
    return AttentionDims(heads, q[-2], k[-2], q[-1], v[-1])


def _flops(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> int:
    dims = attention_dims("attention", shapes)
    # Two products, and of each score the scale, the maximum, the power and the sum.
    return dims.count * dims.seen(bool(params.get("causal"))) * (2 * dims.depth + 2 * dims.width + 4)


def _bytes(shapes: Sequence[Shape], itemsize: int, params: Params = NO_PARAMS) -> int:
    return itemsize * (sum(map(math.prod, shapes)) + math.prod(attention_dims("attention", shapes).out))


def _sizes_of(dims: AttentionDims) -> Sizes:
    return dims.queries, dims.keys, max(dims.depth, dims.width), dims.count


def _sizes(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> Sizes:
    return _sizes_of(attention_dims("attention", shapes))


def _shapes_of(sizes: Sequence[int], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
    queries, keys, depth, count = sizes
    heads = (count,) if count != 1 else ()
    return (*heads, queries, depth), (*heads, keys, depth), (*heads, keys, depth)


def _out_shape(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[int, ...]:
    return attention_dims("attention", shapes).out


def _factor(eps: float, terms: int) -> float:
    return (8 * math.sqrt(terms) + 16) * eps


def _weights_and_errors(
    q: NDArray[Any], k: NDArray[Any], eps: float, causal: bool, scale: float | None
) -> tuple[Floats, Floats]:
    """Return the weights, and a bound of their relative errors: of those of two scores, as powers of e."""
    factor = usual_scale(q.shape[-1]) if scale is None else scale
    weights = attention_weights(q, k, causal=causal, scale=factor)
    sizes = np.einsum("...ld,...sd->...ls", np.abs(q).astype(float), np.abs(k).astype(float)) * abs(factor)
    if causal:
        sizes = np.where(np.tri(*sizes.shape[-2:], dtype=np.bool_), sizes, 0)
    largest = np.max(sizes, axis=-1, keepdims=True, initial=0)
    return weights, np.expm1(2 * _factor(eps, q.shape[-1]) * largest) + _factor(eps, k.shape[-2])


def _error_bound(
    q: ArrayLike, k: ArrayLike, v: ArrayLike, *, causal: bool = False, scale: float | None = None
) -> Floats:
    queries, keys, values = (np.asarray(x) for x in (q, k, v))
    eps = float(np.finfo(np.result_type(queries, keys, values)).eps)
    weights, errors = _weights_and_errors(queries, keys, eps, causal, scale)
    means = np.einsum("...ls,...se->...le", weights, np.abs(values).astype(float))
    return np.asarray(2 * errors * means)


def backward_dims(shapes: Sequence[Shape]) -> AttentionDims:
    """Return the sizes of the attention whose gradients are asked for.

    Parameters
    ----------
    shapes : sequence of five sequences of int
        Of the gradient, queries, keys, values and the result.

    Returns
    -------
    AttentionDims
        The sizes.

    Raises
    ------
    ValueError
        If the shapes do not fit each other, or the leading dimensions differ: they do not broadcast here.

    Examples
    --------
    >>> backward_dims([(5, 32), (5, 64), (7, 64), (7, 32), (5, 32)]).keys
    7
    """
    grad, q, k, v, out = (tuple(int(size) for size in shape) for shape in shapes)
    dims = attention_dims("attention_backward", (q, k, v))
    if not q[:-2] == k[:-2] == v[:-2]:
        raise ValueError(f"attention_backward: shapes {q}, {k} and {v} differ in their leading dimensions")
    if grad != dims.out or out != dims.out:
        raise ValueError(
            f"attention_backward: gradient and result have the shapes {grad} and {out}, but attention of "
            f"{q}, {k} and {v} gives {dims.out}"
        )
    return dims


def _backward_flops(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> int:
    dims = backward_dims(shapes)
    # Five products, and of each score the scale, the power, and the gradient of the softmax.
    each = 6 * dims.depth + 4 * dims.width + 7
    return dims.count * (dims.seen(bool(params.get("causal"))) * each + 2 * dims.queries * dims.width)


def _backward_bytes(shapes: Sequence[Shape], itemsize: int, params: Params = NO_PARAMS) -> int:
    return itemsize * (sum(map(math.prod, shapes)) + sum(map(math.prod, shapes[1:4])))


def _backward_sizes(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> Sizes:
    return _sizes_of(backward_dims(shapes))


def _backward_shapes_of(sizes: Sequence[int], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
    q, k, v = _shapes_of(sizes)
    return q, q, k, v, q


def _backward_out(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
    return tuple(shapes[1]), tuple(shapes[2]), tuple(shapes[3])


def _backward_operands(
    shapes: Sequence[Shape], dtype: str, rng: np.random.Generator, params: Params = NO_PARAMS
) -> tuple[NDArray[Any], ...]:
    """Return operands of which the last is the result of attention on those before it."""
    grad, q, k, v = (rng.standard_normal(shape).astype(dtype) for shape in shapes[:4])
    return grad, q, k, v, reference.attention(q, k, v, **params).astype(dtype)


def _backward_bound(
    grad: ArrayLike,
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    out: ArrayLike,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> tuple[Floats, Floats, Floats]:
    arrays = [np.asarray(x) for x in (grad, q, k, v, out)]
    eps = float(np.finfo(np.result_type(*arrays)).eps)
    upper, queries, keys, values, result = (np.abs(x).astype(float) for x in arrays)
    weights, errors = _weights_and_errors(arrays[1], arrays[2], eps, causal, scale)
    errors = errors + _factor(eps, upper.shape[-1]) + _factor(eps, queries.shape[-2])
    factor = abs(usual_scale(queries.shape[-1]) if scale is None else scale)
    shares = np.einsum("...le,...se->...ls", upper, values) + np.sum(upper * result, axis=-1, keepdims=True)
    # What is smaller than the dtype's least number becomes zero, a weight as well as a result.
    least = float(np.finfo(np.result_type(*arrays)).tiny)
    lost = weights * errors + least
    dscores = lost * shares * factor
    return (
        4 * np.einsum("...ls,...sd->...ld", dscores, keys) + least,
        4 * np.einsum("...ls,...ld->...sd", dscores, queries) + least,
        4 * np.einsum("...ls,...le->...se", lost, upper) + least,
    )


SPECS: tuple[OpSpec, ...] = (
    OpSpec(
        name="attention",
        signature="(q, k, v, *, causal=False, scale=None, out=None)",
        cost_class="attention",
        flops=_flops,
        bytes=_bytes,
        sizes=_sizes,
        shapes_of=_shapes_of,
        out_shape=_out_shape,
        reference=reference.attention,
        numpy_twin=numpy_twins.attention,
        error_bound=_error_bound,
        backward="attention_backward",
        example_shapes=tuple(_shapes_of((*sizes[1:], sizes[0])) for sizes in _LAYERS),
        example_params=({"causal": True}, NO_PARAMS, {"scale": 0.3}),
        path_params={"causal": False},
    ),
    OpSpec(
        name="attention_backward",
        signature="(grad, q, k, v, out, *, causal=False, scale=None)",
        cost_class="attention",
        flops=_backward_flops,
        bytes=_backward_bytes,
        sizes=_backward_sizes,
        shapes_of=_backward_shapes_of,
        out_shape=_backward_out,
        reference=reference.attention_backward,
        numpy_twin=numpy_twins.attention_backward,
        error_bound=_backward_bound,
        outputs=3,
        operands=_backward_operands,
        example_shapes=tuple(_backward_shapes_of((*sizes[1:], sizes[0])) for sizes in _LAYERS),
        example_params=({"causal": True}, NO_PARAMS),
        path_params={"causal": False},
    ),
)
