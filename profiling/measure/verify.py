"""Check results: against the reference where it can be afforded, else without a second product.

Freivalds' check: ``C t == A (B t)`` for a random integer vector t costs three matrix-vector products
and shares no code with any kernel. The operands of `profiling.cases` hold small integers, so both
sides are exact in float64 and the comparison is ``==``. No multiplier is 0: a single wrong element is
always caught, other errors but for about one in a million.

References
----------
.. [1] R. Freivalds, "Probabilistic machines can use less running time", IFIP Congress 1977.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorops.operations import OPERATIONS

from ..cases import Case, flops, result_shape

AFFORDABLE_FLOPS = 2**21
"""Up to here the reference, plain and in float64, is quick enough to be asked."""

LARGEST_MULTIPLIER = 2**20
"""Wide, because an error that many rows share (a lost term) is missed if the vector is orthogonal to
it. With operands of at most 8 both sides stay exact as long as K * N is at most 2**27."""


def check_product(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], seed: int = 1) -> str | None:
    """Tell what is wrong with ``c = a @ b``, or return None.

    Parameters
    ----------
    a, b : ndarray of shape (..., m, k) and (..., k, n)
        Operands that hold small integers.
    c : ndarray of shape (..., m, n)
        The result in question.
    seed : int
        Seed of the random vector.

    Returns
    -------
    str or None
        A sentence for people, or None if the product is right.

    Examples
    --------
    >>> a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    >>> check_product(a, b, a @ b) is None
    True
    >>> check_product(a, b, a @ b + np.eye(2, 4))
    'wrong result in 2 of 2 rows'
    """
    expected_shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    if c.shape != expected_shape:
        return f"wrong shape {c.shape}, expected {expected_shape}"
    rng = np.random.default_rng(seed)
    width = (b.shape[-1],)
    sizes = rng.integers(1, LARGEST_MULTIPLIER, size=width, endpoint=True)
    vector = (sizes * rng.choice([-1, 1], size=width)).astype(np.float64)
    inner = _times_vector(b, vector)
    expected = (a * inner[..., None, :]).sum(axis=-1, dtype=np.float64)
    wrong = int(np.count_nonzero(_times_vector(c, vector) != expected))
    return f"wrong result in {wrong} of {expected.size} rows" if wrong else None


def check_result(case: Case, operands: tuple[NDArray[Any], ...], result: NDArray[Any]) -> str | None:
    """Tell what is wrong with the result of any operation, or return None.

    Parameters
    ----------
    case : Case
        What was computed.
    operands : tuple of ndarray
        Operands, as they were before the call.
    result : ndarray
        The result in question.

    Returns
    -------
    str or None
        A sentence for people, or None if it is right: a plain product by Freivalds' check, anything else by
        the reference within the stated error, or by NumPy where the reference would take too long.

    Examples
    --------
    >>> case = Case("matmul", "float32", ((2, 3), (3, 4)))
    >>> a, b = case.operands()
    >>> check_result(case, (a, b), a @ b) is None
    True
    """
    if case.op == "matmul":
        first, second = operands
        if result.shape != result_shape(case):
            return f"wrong shape {result.shape}, expected {result_shape(case)}"
        rows = first[None] if first.ndim == 1 else first
        columns = second[:, None] if second.ndim == 1 else second
        batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
        return check_product(rows, columns, result.reshape(*batch, rows.shape[-2], columns.shape[-1]))
    spec, params = OPERATIONS[case.op], dict(case.params)
    if flops(case) <= AFFORDABLE_FLOPS:
        expected = spec.reference(*operands, **params)
        bound: Any = spec.error_bound(*operands, **params)
    else:
        twin = spec.numpy_function()
        if twin is None:
            return None
        expected = twin(*operands, **params)
        # Two roundings of one sum: sums of a thousand terms differ by a few hundred units at most.
        bound = 1e3 * np.finfo(case.dtype).eps * max(1.0, float(np.abs(expected).max(initial=0.0)))
    if result.shape != expected.shape:
        return f"wrong shape {result.shape}, expected {expected.shape}"
    right = (np.abs(result - expected) <= bound) | (result == expected)
    right |= np.isnan(result) & np.isnan(expected)
    wrong = int(np.count_nonzero(~right))
    return f"wrong result in {wrong} of {expected.size} elements" if wrong else None


def check_equal(result: NDArray[Any], expected: NDArray[Any]) -> str | None:
    """Tell how a result differs from the exact one, or return None.

    Parameters
    ----------
    result, expected : ndarray
        Arrays of the same shape; the values of `expected` fit the dtype of `result` exactly.

    Returns
    -------
    str or None
        A sentence for people, or None if all elements are equal.

    Examples
    --------
    >>> check_equal(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    'wrong result in 1 of 2 elements'
    """
    if result.shape != expected.shape:
        return f"wrong shape {result.shape}, expected {expected.shape}"
    wrong = int(np.count_nonzero(result != expected))
    return f"wrong result in {wrong} of {expected.size} elements" if wrong else None


def _times_vector(matrix: NDArray[Any], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return matrix @ vector in float64, without a BLAS."""
    product: NDArray[np.float64] = (matrix * vector).sum(axis=-1)
    return product
