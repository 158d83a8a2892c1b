"""The kernels of this library: packed panels and a register-blocked micro-kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorops.backends.base import Array, Call, ComputeBackend, only_float_matmul
from tensorops.kernels.gemm import batched

# Packing and the most threads (0: as many as the caller allows) of each variant, as the boundary has
# them: what is measured here must be what ``tensorops.matmul`` runs.
_PLANS = {"small": ("never", 1), "packed": ("auto", 0)}


class BlockedBackend(ComputeBackend):
    """The register-blocked kernels.

    "small" reads the operands in place, on one thread; "packed" copies panels of them and uses
    threads, each where it pays.

    Examples
    --------
    >>> BlockedBackend().paths()
    ('blocked/small', 'blocked/packed')
    """

    name = "blocked"
    variants = ("small", "packed")

    def supports(self, call: Call) -> str | None:
        """Return why this backend cannot compute `call`, or None if it can: see `ComputeBackend`."""
        return only_float_matmul(call)

    def run(
        self, op: str, arrays: Sequence[Array], out: Array, *, variant: str | None = None, **params: Any
    ) -> Array:
        """Compute a product into `out`.

        Parameters
        ----------
        op : str
            ``"matmul"``.
        arrays : sequence of ndarray
            The two operands, of shapes (..., M, K) and (..., K, N), float32 or float64.
        out : ndarray of shape (..., M, N)
            The result.
        variant : {"small", "packed"}
            In place on one thread, or packed panels and threads.
        **params : object
            ``threads``: int, 0 for as many as the library may use.

        Returns
        -------
        ndarray
            The object `out`.

        Raises
        ------
        ValueError
            If `variant` is not one of the two.

        Examples
        --------
        >>> import numpy as np
        >>> BlockedBackend().run("matmul", [np.eye(2), np.ones((2, 1))], np.empty((2, 1)), variant="small")
        array([[1.],
               [1.]])
        """
        if variant not in _PLANS:
            raise ValueError(f"backend 'blocked' has no variant {variant!r}; known: {', '.join(_PLANS)}")
        a, b = arrays
        pack, threads = _PLANS[variant]
        batched.matmul_into(a, b, out, pack, threads or params.get("threads", 0))
        return out
