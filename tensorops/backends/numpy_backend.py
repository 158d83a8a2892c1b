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
        """Return why this backend cannot compute `call`, or None if it can: see `ComputeBackend`."""
        spec = OPERATIONS.get(call.op)
        return None if spec is not None and spec.numpy_twin else f"it has no {call.op}"

    def run(
        self, op: str, arrays: Sequence[Array], out: Array, *, variant: str | None = None, **params: Any
    ) -> Array:
        """Compute `op` into `out`: see `ComputeBackend`."""
        spec = OPERATIONS.get(op)
        function = spec.numpy_function() if spec is not None else None
        if function is None:
            raise ValueError(f"backend 'numpy' has no {op}")
        params.pop("threads", None)
        function(*arrays, out=out, **params)
        return out
