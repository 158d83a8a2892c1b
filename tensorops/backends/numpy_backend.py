"""NumPy, and through it the BLAS that NumPy was built with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorops.backends.base import Array, Call, ComputeBackend
from tensorops.operations import OPERATIONS


class NumpyBackend(ComputeBackend):
    """NumPy's function of the same name, for every dtype it knows.

    Examples
    --------
    >>> NumpyBackend().paths()
    ('numpy',)
    """

    name = "numpy"

    def supports(self, call: Call) -> str | None:
        """Return why this backend cannot compute `call`, or None if it can.

        Parameters
        ----------
        call : Call
            The call in question.

        Returns
        -------
        str or None
            None for every operation that has a NumPy twin, whatever the dtype.

        Examples
        --------
        >>> NumpyBackend().supports(Call("matmul", "int64", ((2, 2), (2, 2)))) is None
        True
        """
        spec = OPERATIONS.get(call.op)
        return None if spec is not None and spec.numpy_twin else f"it has no {call.op}"

    def run(
        self, op: str, arrays: Sequence[Array], out: Array, *, variant: str | None = None, **params: Any
    ) -> Array:
        """Compute `op` into `out`.

        Parameters
        ----------
        op : str
            Name of an operation that has a NumPy twin.
        arrays : sequence of ndarray
            The operands.
        out : ndarray
            The result.
        variant : None
            There are none.
        **params : object
            Given to NumPy's function, but for ``threads``: the BLAS has its own setting.

        Returns
        -------
        ndarray
            The object `out`.

        Raises
        ------
        ValueError
            If NumPy has no such operation.

        Examples
        --------
        >>> import numpy as np
        >>> NumpyBackend().run("matmul", [np.eye(2), np.ones((2, 1))], np.empty((2, 1)))
        array([[1.],
               [1.]])
        """
        spec = OPERATIONS.get(op)
        function = spec.numpy_function() if spec is not None else None
        if function is None:
            raise ValueError(f"backend 'numpy' has no {op}")
        params.pop("threads", None)
        function(*arrays, out=out, **params)
        return out
