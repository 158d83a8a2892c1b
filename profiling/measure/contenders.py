"""The libraries that are measured beside each other, each behind the same small face.

A library is imported when it is first asked for, never before: two OpenMP runtimes in one process
disturb each other, and PyTorch takes a second to load.
"""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cases import Case
from .timer import loop_with_out

Array = NDArray[Any]


class Library(ABC):
    """One library that computes the cases.

    Attributes
    ----------
    name : str
        Name in tables and on the command line.
    """

    name: str

    def unavailable(self) -> str | None:
        """Return why the library cannot be used here, or None."""
        if importlib.util.find_spec(self.name) is None:
            return f"{self.name} is not installed"
        return None

    def version(self) -> str:
        """Return the library's version."""
        return str(importlib.import_module(self.name).__version__)

    @abstractmethod
    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""

    @abstractmethod
    def loop(self, case: Case, operands: tuple[Array, ...], out: Array) -> Callable[[int], float]:
        """Return ``loop(n)``: n calls that write `out`, and their elapsed seconds."""


class TensoropsLibrary(Library):
    """The library itself, through its public functions."""

    name = "tensorops"

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""
        importlib.import_module(self.name).set_num_threads(threads)

    def loop(self, case: Case, operands: tuple[Array, ...], out: Array) -> Callable[[int], float]:
        """Return ``loop(n)``: n calls that write `out`, and their elapsed seconds."""
        function = getattr(importlib.import_module(self.name), case.op)
        first, second = operands
        return loop_with_out(function, first, second, out)


class NumpyLibrary(Library):
    """NumPy, whose products are computed by its BLAS."""

    name = "numpy"

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        threadpool_limits(threads, user_api="blas")

    def loop(self, case: Case, operands: tuple[Array, ...], out: Array) -> Callable[[int], float]:
        """Return ``loop(n)``: n calls that write `out`, and their elapsed seconds."""
        first, second = operands
        return loop_with_out(getattr(np, case.op), first, second, out)


class TorchLibrary(Library):
    """PyTorch's CPU build, on tensors that share the arrays' memory."""

    name = "torch"

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""
        importlib.import_module(self.name).set_num_threads(threads)

    def loop(self, case: Case, operands: tuple[Array, ...], out: Array) -> Callable[[int], float]:
        """Return ``loop(n)``: n calls that write `out`, and their elapsed seconds."""
        torch = importlib.import_module(self.name)
        # Users of PyTorch who want inference speed switch gradients off; it is the fair comparison.
        torch.set_grad_enabled(False)
        first, second, result = (torch.from_numpy(array) for array in (*operands, out))
        return loop_with_out(getattr(torch, case.op), first, second, result)


LIBRARIES: dict[str, Library] = {
    library.name: library for library in (TensoropsLibrary(), NumpyLibrary(), TorchLibrary())
}
OURS = "tensorops"
