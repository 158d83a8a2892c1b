"""The operation registry: one `OpSpec` per public operation, and all that follows from it.

The kernels' tests, the profiling targets, the roofline, the dispatcher and the documentation read
it; an operation that is not here does not exist for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tensorops import numpy_twins, reference
from tensorops.elementwise_table import ELEMENTWISE, Elementwise

Shape = Sequence[int]
Params = Mapping[str, Any]
Sizes = tuple[int, int, int, int]
NO_PARAMS: Params = MappingProxyType({})


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


def _matmul_error_bound(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    left, right = np.asarray(a), np.asarray(b)
    k = product_dims([left.shape, right.shape]).k
    eps = float(np.finfo(np.result_type(left, right)).eps)
    return (8 * math.sqrt(k) + 16) * eps * reference.matmul(np.abs(left), np.abs(right))


@dataclass(frozen=True, slots=True)
class OpSpec:
    """What the library knows of one operation.

    Attributes
    ----------
    name : str
        Public name, as in ``tensorops.<name>``.
    signature : str
        Parameters of the public function.
    cost_class : str
        "product", "elementwise", "rows" or "optimizer": operations of one class share a cost model.
    flops : callable
        ``flops(shapes, params={}) -> int``: floating-point operations on operands of these shapes.
    bytes : callable
        ``bytes(shapes, itemsize, params={}) -> int``: the least memory traffic, each operand read
        once and the result written once.
    sizes : callable
        ``sizes(shapes, params={})``: the four sizes that the time depends on, the unused ones 1.
        Products: m, k, n and the number of matrices. Elementwise: the elements, and the run length
        of a broadcast operand. Rows: rows and columns.
    shapes_of : callable
        ``shapes_of(sizes, params={})``: shapes of the operands of a call with these sizes.
    out_shape : callable
        ``out_shape(shapes, params={})``: shape of the result.
    reference : callable
        The float64 definition, called with the operands and the parameters.
    numpy_twin : str or None
        Name of NumPy's function with the same meaning, or of one in ``tensorops.numpy_twins``.
    error_bound : callable
        ``error_bound(*operands, **params) -> ndarray``: the largest absolute error allowed in each
        element, for operands of the dtype that is computed in.
    backward : str or None
        Name of the operation that computes the gradients, if the library has one.
    in_place : bool
        Whether the first operand is changed.

    Examples
    --------
    >>> OPERATIONS["matmul"].flops([(64, 784), (784, 128)])
    12845056
    >>> OPERATIONS["matmul"].shapes_of(OPERATIONS["matmul"].sizes([(64, 784), (784, 128)]))
    ((64, 784), (784, 128))
    """

    name: str
    signature: str
    cost_class: str
    flops: Callable[..., int]
    bytes: Callable[..., int]
    sizes: Callable[..., Sizes]
    shapes_of: Callable[..., tuple[tuple[int, ...], ...]]
    out_shape: Callable[..., tuple[int, ...]]
    reference: Callable[..., NDArray[np.float64]]
    numpy_twin: str | None
    error_bound: Callable[..., NDArray[np.float64]]
    backward: str | None = None
    in_place: bool = False

    def numpy_function(self) -> Callable[..., Any] | None:
        """Return the operation as NumPy users write it.

        Returns
        -------
        callable or None
            ``f(*operands, out=None, **params)``: NumPy's own function, or one of
            ``tensorops.numpy_twins``; None where there is neither.

        Examples
        --------
        >>> OPERATIONS["matmul"].numpy_function() is np.matmul
        True
        """
        if self.numpy_twin is None:
            return None
        module = numpy_twins if hasattr(numpy_twins, self.numpy_twin) else np
        twin: Callable[..., Any] = getattr(module, self.numpy_twin)
        return twin


# Operations that go by another name in NumPy, or by that of another operation.
_NUMPY_NAMES = {
    "sub": "subtract",
    "mul": "multiply",
    "div": "divide",
    "bias_add": "add",
    "bias_relu": "add_relu",
}


def _elementwise_out(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> tuple[int, ...]:
    return np.broadcast_shapes(*(tuple(shape) for shape in shapes))


def _elementwise_sizes(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> Sizes:
    out = _elementwise_out(shapes)
    run = 1
    for shape in (tuple(shape) for shape in shapes):
        if shape != out:
            # How many elements lie between two steps of the broadcast operand's leading axes.
            run = max(run, math.prod(shape))
    return math.prod(out), run, 1, 1


def _elementwise_shapes(count: int) -> Callable[..., tuple[tuple[int, ...], ...]]:
    def shapes_of(sizes: Sequence[int], params: Params = NO_PARAMS) -> tuple[tuple[int, ...], ...]:
        elements, run = sizes[0], sizes[1]
        if count == 1 or run <= 1:
            return ((elements,),) * count
        return ((max(1, elements // run), run), *(((run,),) * (count - 1)))

    return shapes_of


def _elementwise_spec(item: Elementwise, form: str) -> OpSpec:
    def flops(shapes: Sequence[Shape], params: Params = NO_PARAMS) -> int:
        return item.flops * math.prod(_elementwise_out(shapes))

    def least_bytes(shapes: Sequence[Shape], itemsize: int, params: Params = NO_PARAMS) -> int:
        return itemsize * (sum(map(math.prod, shapes)) + math.prod(_elementwise_out(shapes)))

    def bound(*operands: ArrayLike, **params: Any) -> NDArray[np.float64]:
        eps = float(np.finfo(np.result_type(*operands)).eps)
        with np.errstate(all="ignore"):
            return item.bound(eps, item.reference(*operands, **params), *operands, **params)

    return OpSpec(
        name=item.name + form,
        signature=item.signature(form),
        cost_class="elementwise",
        flops=flops,
        bytes=least_bytes,
        sizes=_elementwise_sizes,
        shapes_of=_elementwise_shapes(len(item.operands)),
        out_shape=_elementwise_out,
        reference=item.reference,
        numpy_twin=_NUMPY_NAMES.get(item.name, item.name),
        error_bound=bound,
        in_place=form == "_",
    )


OPERATIONS: dict[str, OpSpec] = {
    spec.name: spec
    for spec in (
        OpSpec(
            name="matmul",
            signature="(a, b, /, out=None, *, backend=None)",
            cost_class="product",
            flops=_matmul_flops,
            bytes=_matmul_bytes,
            sizes=_matmul_sizes,
            shapes_of=_matmul_shapes,
            out_shape=_matmul_out_shape,
            reference=reference.matmul,
            numpy_twin="matmul",
            error_bound=_matmul_error_bound,
        ),
        *(_elementwise_spec(item, form) for item in ELEMENTWISE for form in item.forms),
    )
}
