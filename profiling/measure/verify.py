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

from ..cases import SPECS, Case, Results, flops, result_shape

AFFORDABLE_FLOPS = 2**21
"""Up to here the reference, plain and in float64, is quick enough to be asked."""

ROUNDINGS = 1e3
"""Two roundings of one sum: sums of a thousand terms differ by a few hundred units at most."""

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


def check_result(case: Case, operands: tuple[NDArray[Any], ...], result: Results) -> str | None:
    """Tell what is wrong with the result of any operation, or return None.

    Parameters
    ----------
    case : Case
        What was computed.
    operands : tuple of ndarray
        Operands, as they were before the call.
    result : ndarray or tuple of ndarray
        The result in question.

    Returns
    -------
    str or None
        As `Check.problem`.

    Examples
    --------
    >>> case = Case("matmul", "float32", ((2, 3), (3, 4)))
    >>> a, b = case.operands()
    >>> check_result(case, (a, b), a @ b) is None
    True
    """
    return Check(case, operands).problem(result)


class Check:
    """The check of several results of one case; what is expected is computed once.

    Parameters
    ----------
    case : Case
        What is computed.
    operands : tuple of ndarray
        Operands, as they were before the call.
    """

    def __init__(self, case: Case, operands: tuple[NDArray[Any], ...]) -> None:
        self.case = case
        self.operands = operands
        self._expected: list[tuple[NDArray[Any], Any]] | None = None

    def problem(self, result: Results, *, own_bounds: bool = True) -> str | None:
        """Tell what is wrong with a result, or return None.

        Parameters
        ----------
        result : ndarray or tuple of ndarray
            As `Case.results`.
        own_bounds : bool
            Whether it must keep the error that this library states; another's need only be right within
            what rounding explains.

        Returns
        -------
        str or None
            A sentence for people, or None if it is right: a plain product by Freivalds' check, anything else
            by the reference within the stated error, or by NumPy's form in float64 where the reference would
            take too long.
        """
        if self.case.op == "matmul":
            assert isinstance(result, np.ndarray)
            return _check_matmul(self.case, self.operands, result)
        if self._expected is None:
            self._expected = self._find_expected()
        parts = result if isinstance(result, tuple) else (result,)
        unit = 0.0 if own_bounds else ROUNDINGS * float(np.finfo(self.case.dtype).eps)
        problems = [
            _difference(part, expected, bound + unit * _size(expected))
            for part, (expected, bound) in zip(parts, self._expected, strict=False)
        ]
        return next((text for text in problems if text), None)

    def _find_expected(self) -> list[tuple[NDArray[Any], Any]]:
        case = self.case
        spec, params = SPECS[case.op], dict(case.params)
        if flops(case) <= AFFORDABLE_FLOPS:
            expected = spec.reference(*self.operands, **params)
            bounds = spec.error_bound(*self.operands, **params)
            return list(zip(expected, bounds, strict=True)) if spec.outputs > 1 else [(expected, bounds)]
        twin = spec.numpy_function()
        if twin is None:
            return []
        # A twin of an operation in place may write into its operands.
        wide = [np.array(x, x.dtype if x.dtype.kind == "i" else np.float64) for x in self.operands]
        found = twin(*wide, **params)
        share = ROUNDINGS * np.finfo(case.dtype).eps
        return [
            (part, share * _size(part))
            for part in (found if isinstance(found, tuple) else (found,))
            if part is not None
        ]


def _check_matmul(case: Case, operands: tuple[NDArray[Any], ...], result: NDArray[Any]) -> str | None:
    first, second = operands
    if result.shape != result_shape(case):
        return f"wrong shape {result.shape}, expected {result_shape(case)}"
    rows = first[None] if first.ndim == 1 else first
    columns = second[:, None] if second.ndim == 1 else second
    batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    return check_product(rows, columns, result.reshape(*batch, rows.shape[-2], columns.shape[-1]))


def _difference(result: NDArray[Any], expected: Any, bound: Any) -> str | None:
    expected = np.asarray(expected)
    if result.shape != expected.shape:
        return f"wrong shape {result.shape}, expected {expected.shape}"
    with np.errstate(invalid="ignore"):
        right = (np.abs(result - expected) <= bound) | (result == expected)
    right |= np.isnan(result) & np.isnan(expected)
    wrong = int(np.count_nonzero(~right))
    return f"wrong result in {wrong} of {expected.size} elements" if wrong else None


def _size(values: Any) -> float:
    """Return the size of an array's largest element that is finite."""
    return float(np.abs(values).max(initial=0.0, where=np.isfinite(values)))


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
