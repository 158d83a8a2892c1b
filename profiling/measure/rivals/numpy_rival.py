"""NumPy: its own functions, and operations as its users write them."""

from __future__ import annotations

from typing import Any

from ...cases import SPECS, Case, Results
from ..libraries import Array, Library, Loop, operation_loop


class NumpyLibrary(Library):
    """NumPy, whose products are computed by its BLAS."""

    name = "numpy"

    def lacks(self, op: str) -> str | None:
        """Return why the library cannot compute an operation, or None."""
        return None if SPECS[op].numpy_twin is not None else f"NumPy has no {op}"

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        threadpool_limits(threads, user_api="blas")

    def loop(self, case: Case, operands: tuple[Array, ...], out: Results) -> Loop:
        """Return ``loop(n)``: n calls whose result is in `out` afterwards, and their elapsed seconds."""
        function: Any = SPECS[case.op].numpy_function()
        if function is None:
            raise ValueError(f"NumPy has no {case.op}")
        return operation_loop(function, case, operands, out, twin=True)
