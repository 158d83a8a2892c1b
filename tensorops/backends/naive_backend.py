"""The compiled triple loop without any other idea: what compilation alone is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorops.backends.base import Array, Call, ComputeBackend, only_float_matmul
from tensorops.kernels import ladder


class NaiveBackend(ComputeBackend):
    """The i, j, k loops of the ladder, compiled, on one thread.

    Examples
    --------
    >>> NaiveBackend().paths()
    ('naive',)
    """

    name = "naive"

    def supports(self, call: Call) -> str | None:
        """Return why this backend cannot compute `call`, or None if it can.

        Parameters
        ----------
        call : Call
            The call in question.

        Returns
        -------
        str or None
            None for float32 and float64 products.

        Examples
        --------
        >>> NaiveBackend().supports(Call("matmul", "float64", ((2, 2), (2, 2)))) is None
        True
        """
        return only_float_matmul(call)

    def run(
        self, op: str, arrays: Sequence[Array], out: Array, *, variant: str | None = None, **params: Any
    ) -> Array:
        """Compute a product into `out`, one matrix of the batch after the other.

        Parameters
        ----------
        op : str
            ``"matmul"``.
        arrays : sequence of ndarray
            The two operands, of shapes (..., M, K) and (..., K, N).
        out : ndarray of shape (..., M, N)
            The result.
        variant : None
            There are none.
        **params : object
            Ignored.

        Returns
        -------
        ndarray
            The object `out`.

        Examples
        --------
        >>> NaiveBackend().run("matmul", [np.eye(2), np.ones((2, 1))], np.empty((2, 1)))
        array([[1.],
               [1.]])
        """
        a, b = arrays
        for item in np.ndindex(out.shape[:-2]):
            ladder.naive(a[item], b[item], out[item])
        return out
