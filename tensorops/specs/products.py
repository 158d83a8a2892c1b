"""Matrix products: their sizes, their work and the bound of their error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensorops import reference
from tensorops.precisions import DEFAULT, error_factor
from tensorops.specs.spec import NO_PARAMS, OpSpec, Params, Shape, Sizes


@dataclass(frozen=True, slots=True)
class ProductDims:
    """The sizes of a matrix product, or of a batch of equal ones.

    Attributes
    ----------
    batch : tuple of int
        Leading dimensions of the result, after broadcasting.
    m : int
        Rows of the left matrix; 1 for a vector.
    k : int
        Columns of the left and rows of the right matrix.
    n : int
        Columns of the right matrix; 1 for a vector.
    out : tuple of int
        Shape of the result.

    Examples
    --------
    >>> product_dims([(7,), (2, 3, 7, 4)]).count
    6
    """

    batch: tuple[int, ...]
    m: int
    k: int
    n: int
    out: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of matrices in the batch; 1 without one."""
        return math.prod(self.batch)


def product_dims(shapes: Sequence[Shape]) -> ProductDims:
    """Return the sizes of ``matmul`` on operands of these two shapes.

    Parameters
    ----------
    shapes : sequence of two sequences of int
        The shapes of the left and the right operand, under NumPy's rules for 1-D operands and
        leading dimensions.

    Returns
    -------
    ProductDims
        The sizes.

    Raises
    ------
    ValueError
        If there are not two shapes, or the two do not fit each other.

    Examples
    --------
    >>> product_dims([(5, 64, 784), (784, 128)])
    ProductDims(batch=(5,), m=64, k=784, n=128, out=(5, 64, 128))
    """
    if len(shapes) != 2:
        raise ValueError(f"matmul takes two operands, got {len(shapes)}")
    left, right = (tuple(int(size) for size in shape) for shape in shapes)
    if not left or not right:
        raise ValueError(f"matmul: operands of shapes {left} and {right}: scalars are not allowed")
    if min(left + right) < 0:
        raise ValueError(f"matmul: shapes {left} and {right}: sizes cannot be negative")
    m, k = (1, left[0]) if len(left) == 1 else left[-2:]
    rows, n = (right[0], 1) if len(right) == 1 else right[-2:]
    if k != rows:
        raise ValueError(f"matmul: shapes {left} and {right} do not fit: {k} columns against {rows} rows")
    try:
        # Most products have no batch, and NumPy's check takes longer than all the rest.
        batch = np.broadcast_shapes(left[:-2], right[:-2]) if max(len(left), len(right)) > 2 else ()
    except ValueError:
        raise ValueError(
            f"matmul: the leading dimensions of shapes {left} and {right} do not broadcast"
        ) from None
    out = batch + ((m,) if len(left) > 1 else ()) + ((n,) if len(right) > 1 else ())
    return ProductDims(batch, m, k, n, out)


def _matmul_flops(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> int:
    dims = product_dims(shapes)
    return 2 * dims.count * dims.m * dims.k * dims.n


def _matmul_bytes(shapes: Sequence[Shape], itemsize: int, params: Params = NO_PARAMS) -> int:
    operands = sum(math.prod(int(size) for size in shape) for shape in shapes)
    return itemsize * (operands + math.prod(product_dims(shapes).out))


def _matmul_sizes(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> Sizes:
    dims = product_dims(shapes)
    return dims.m, dims.k, dims.n, dims.count


def _matmul_shapes(sizes: Sequence[int], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
    m, k, n, count = sizes
    batch = (count,) if count != 1 else ()
    return (*batch, m, k), (*batch, k, n)


def _matmul_out_shape(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[int, ...]:
    return product_dims(shapes).out


def _matmul_error_bound(a: ArrayLike, b: ArrayLike, *, precision: str = DEFAULT) -> NDArray[np.float64]:
    left, right = np.asarray(a), np.asarray(b)
    k = product_dims([left.shape, right.shape]).k
    eps = float(np.finfo(np.result_type(left, right)).eps)
    return error_factor(k, eps, precision) * reference.matmul(np.abs(left), np.abs(right))


SPECS: tuple[OpSpec, ...] = (
    OpSpec(
        name="matmul",
        signature="(a, b, /, out=None, *, backend=None, precision=None)",
        cost_class="product",
        flops=_matmul_flops,
        bytes=_matmul_bytes,
        sizes=_matmul_sizes,
        shapes_of=_matmul_shapes,
        out_shape=_matmul_out_shape,
        reference=reference.matmul,
        numpy_twin="matmul",
        error_bound=_matmul_error_bound,
        example_shapes=(((64, 784), (784, 128)), ((512, 512), (512, 512))),
    ),
)
