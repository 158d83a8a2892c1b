"""NumPy, and through it the BLAS that NumPy was built with."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from tensorops.backends.base import Array, Call, ComputeBackend
from tensorops.operations import OPERATIONS

INEXACT = MappingProxyType(
    {
        ("gelu", "tanh"): "1 + tanh(x) cancels where x is negative",
        ("gelu", "sigmoid"): "the rounded argument of exp(x) weighs more the larger it is",
        ("gelu_backward", "tanh"): "the rounded argument of exp(x) weighs more the larger it is",
    }
)
"""What NumPy's functions compute, but not within the bounds that every backend keeps."""


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
        if spec is None or not spec.numpy_twin:
            return f"it has no {call.op}"
        approximate = str(dict(call.params).get("approximate", "none"))
        why = INEXACT.get((call.op.removesuffix("_"), approximate))
        return why and f"its {call.op} with approximate={approximate!r} is beyond the error bound: {why}"

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
