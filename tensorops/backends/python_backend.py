"""The course's own loops, over Python numbers: the matrix product, and an element at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from tensorops.backends.base import FLOAT_DTYPES, Array, Call, ComputeBackend, only_float_matmul
from tensorops.elementwise_table import ELEMENTWISE
from tensorops.operations import OPERATIONS

Rows = list[list[float]]
Formula = Callable[..., float]

_ELEMENTWISE = frozenset(item.name + form for item in ELEMENTWISE for form in item.forms)


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _relu(x: float) -> float:
    # A NaN compares with nothing, and stays.
    return 0.0 if x <= 0 else x


def _div(x: float, y: float) -> float:
    if y:
        return x / y
    return math.nan if x == 0 or x != x else math.copysign(math.inf, x) * math.copysign(1.0, y)


FORMULAS: Mapping[str, Formula] = MappingProxyType(
    {
        "relu": _relu,
        "leaky_relu": lambda x, slope=0.01: x if x > 0 else slope * x,
        "exp": _exp,
        "tanh": math.tanh,
        "sigmoid": lambda x: 1 / (1 + _exp(-x)),
        "add": lambda x, y: x + y,
        "sub": lambda x, y: x - y,
        "mul": lambda x, y: x * y,
        "div": _div,
        "axpy": lambda y, x, alpha: y + alpha * x,
        "scale_shift": lambda x, scale, shift: x * scale + shift,
        "bias_add": lambda x, b: x + b,
        "bias_relu": lambda x, b: _relu(x + b),
        "add_relu": lambda x, y: _relu(x + y),
        "relu_backward": lambda grad, y: 0.0 if y <= 0 else grad,
        "sigmoid_backward": lambda grad, y: grad * y * (1 - y),
        "tanh_backward": lambda grad, y: grad * (1 - y * y),
    }
)
"""What a line of Python says as exactly as the definition. The others call the definition itself."""


def matmul_lists(a: Rows, b: Rows) -> Rows:
    """Return the product of two matrices given as lists of rows.

    Parameters
    ----------
    a : list of list of float, M rows of K
        The left matrix.
    b : list of list of float, K rows of N
        The right matrix.

    Returns
    -------
    list of list of float, M rows of N
        The product; summed in double precision, as Python's numbers are.

    Examples
    --------
    >>> matmul_lists([[1.0, 2.0], [3.0, 4.0]], [[10.0], [1.0]])
    [[12.0], [34.0]]
    """
    product = []
    for i in range(len(a)):
        row = []
        for j in range(len(b[0]) if b else 0):
            total = 0.0
            for p in range(len(b)):
                total += a[i][p] * b[p][j]
            row.append(total)
        product.append(row)
    return product


def formula_of(op: str) -> Formula:
    """Return an elementwise operation on Python numbers.

    Parameters
    ----------
    op : str
        Name in the operation registry.

    Returns
    -------
    callable
        ``f(*numbers, **params) -> float``.

    Examples
    --------
    >>> formula_of("relu_")(-2.0)
    0.0
    """
    known = FORMULAS.get(op.removesuffix("_"))
    if known is not None:
        return known
    reference = OPERATIONS[op].reference
    return lambda *numbers, **params: float(reference(*numbers, **params))


class PythonBackend(ComputeBackend):
    """Pure Python, the learner's starting point and the slow end of every ladder.

    Examples
    --------
    >>> PythonBackend().paths()
    ('python',)
    """

    name = "python"

    def supports(self, call: Call) -> str | None:
        """Return why this backend cannot compute `call`, or None if it can: see `ComputeBackend`."""
        if call.op not in _ELEMENTWISE:
            return only_float_matmul(call)
        if call.dtype not in FLOAT_DTYPES:
            return f"dtype {call.dtype} is not {' or '.join(FLOAT_DTYPES)}"
        return None

    def run(
        self, op: str, arrays: Sequence[Array], out: Array, *, variant: str | None = None, **params: Any
    ) -> Array:
        """Compute into `out`, one matrix or one element after the other: see `ComputeBackend`."""
        params.pop("threads", None)
        # Too large for float32 is an infinity, as in every other backend, and no warning.
        with np.errstate(all="ignore"):
            if op in _ELEMENTWISE:
                self._elements(formula_of(op), arrays, out, params)
            else:
                self._products(arrays[0], arrays[1], out)
        return out

    def _elements(
        self, formula: Formula, arrays: Sequence[Array], out: Array, params: Mapping[str, Any]
    ) -> None:
        operands = [np.broadcast_to(x, out.shape).ravel().tolist() for x in arrays]
        results = [formula(*numbers, **params) for numbers in zip(*operands, strict=True)]
        out[...] = np.array(results, dtype=np.float64).reshape(out.shape)

    def _products(self, a: Array, b: Array, out: Array) -> None:
        if a.shape[-1] == 0:
            # A list of no rows has no width to take the columns from.
            out[...] = 0
            return
        for item in np.ndindex(out.shape[:-2]):
            product = matmul_lists(a[item].tolist(), b[item].tolist())
            out[item] = np.array(product, dtype=np.float64).reshape(out.shape[-2:])
