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
        """Return why this backend cannot compute `call`, or None if it can: see `ComputeBackend`."""
        return only_float_matmul(call)

    def run(
        self, op: str, arrays: Sequence[Array], out: Array, *, variant: str | None = None, **params: Any
    ) -> Array:
        """Compute a product into `out`, one matrix of the batch after the other: see `ComputeBackend`."""
        a, b = arrays
        if out.ndim == 2:
            ladder.naive(a, b, out)
            return out
        for item in np.ndindex(out.shape[:-2]):
            ladder.naive(a[item], b[item], out[item])
        return out
