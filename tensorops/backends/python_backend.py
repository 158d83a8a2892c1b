"""The course's own matrix product: three Python loops over Python numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorops.backends.base import Array, Call, ComputeBackend, only_float_matmul

Rows = list[list[float]]


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
        return only_float_matmul(call)

    def run(
        self, op: str, arrays: Sequence[Array], out: Array, *, variant: str | None = None, **params: Any
    ) -> Array:
        """Compute a product into `out`, one matrix of the batch after the other: see `ComputeBackend`."""
        a, b = arrays
        if a.shape[-1] == 0:
            # A list of no rows has no width to take the columns from.
            out[...] = 0
            return out
        # Too large for float32 is an infinity, as in every other backend, and no warning.
        with np.errstate(over="ignore", invalid="ignore"):
            for item in np.ndindex(out.shape[:-2]):
                product = matmul_lists(a[item].tolist(), b[item].tolist())
                out[item] = np.array(product, dtype=np.float64).reshape(out.shape[-2:])
        return out
