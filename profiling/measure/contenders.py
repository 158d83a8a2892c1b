"""The libraries that are measured beside each other, each behind the same small face.

A library is imported when it is first asked for, never before: two OpenMP runtimes in one process
disturb each other, and PyTorch takes a second to load.
"""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorops.operations import OPERATIONS

from ..cases import Case
from .timer import loop_of, loop_with_out

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
        return operation_loop(getattr(importlib.import_module(self.name), case.op), case, operands, out)


class NumpyLibrary(Library):
    """NumPy, whose products are computed by its BLAS."""

    name = "numpy"

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        threadpool_limits(threads, user_api="blas")

    def loop(self, case: Case, operands: tuple[Array, ...], out: Array) -> Callable[[int], float]:
        """Return ``loop(n)``: n calls that write `out`, and their elapsed seconds."""
        function = OPERATIONS[case.op].numpy_function()
        if function is None:
            raise ValueError(f"NumPy has no {case.op}")
        return operation_loop(function, case, operands, out)


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


def operation_loop(
    function: Callable[..., Any], case: Case, operands: tuple[Array, ...], out: Array
) -> Callable[[int], float]:
    """Return a loop over the calls of an operation on fixed operands.

    Parameters
    ----------
    function : callable
        The operation: takes the operands, ``out=`` unless it works in place, and the case's parameters.
    case : Case
        What is computed.
    operands : tuple of ndarray
        Its operands.
    out : ndarray
        The result. What an operation in place changes, its first operand, starts each loop as it was.

    Returns
    -------
    callable
        ``loop(n) -> float``, elapsed seconds of n calls.

    Examples
    --------
    >>> case = Case("matmul", "float64", ((2, 2), (2, 2)))
    >>> out = np.empty((2, 2))
    >>> operation_loop(np.matmul, case, (np.eye(2), np.eye(2)), out)(1) > 0
    True
    """
    if not OPERATIONS[case.op].in_place:
        if len(operands) == 2 and not case.params:
            return loop_with_out(function, *operands, out)
        return loop_of(partial(function, *operands, out=out, **dict(case.params)))
    changed = operands[0].copy(order="K")
    inner = loop_of(partial(function, changed, *operands[1:], **dict(case.params)))

    def loop(n: int) -> float:
        np.copyto(changed, operands[0])
        elapsed = inner(n)
        out[...] = changed
        return elapsed

    return loop


@contextmanager
def forced_path(path: str) -> Iterator[None]:
    """Have the dispatcher take one path for every call of this process.

    A path is measured through the public function, because that is what a caller pays: the kernels
    are reached without the interpreter, another backend is not.

    Parameters
    ----------
    path : str
        As ``tensorops.backends.run_path`` knows it.

    Yields
    ------
    None
        The dispatcher chooses by itself again at the end.
    """
    selection = importlib.import_module("tensorops.dispatch.selection")
    with selection.force_path(path):
        yield


class PathLibrary(TensoropsLibrary):
    """One path of the dispatcher, whatever it would choose itself.

    Parameters
    ----------
    path : str
        As ``tensorops.backends.run_path`` knows it.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the kernels and of NumPy's BLAS in this process."""
        super().set_threads(threads)
        NumpyLibrary().set_threads(threads)

    def loop(self, case: Case, operands: tuple[Array, ...], out: Array) -> Callable[[int], float]:
        """Return ``loop(n)``: n calls that write `out`, and their elapsed seconds."""
        inner = super().loop(case, operands, out)

        def loop(n: int) -> float:
            with forced_path(self.path):
                if n > 1:
                    # The first call asks for the path, which takes longer than a tiny product.
                    inner(1)
                return inner(n)

        return loop


class LadderLibrary(TensoropsLibrary):
    """One rung of the ladder: a function of ``tensorops.kernels.ladder``.

    Parameters
    ----------
    function : str
        Its name.
    """

    def __init__(self, function: str) -> None:
        self.function = function

    def loop(self, case: Case, operands: tuple[Array, ...], out: Array) -> Callable[[int], float]:
        """Return ``loop(n)``: n calls that write `out`, and their elapsed seconds."""
        function = getattr(importlib.import_module("tensorops.kernels.ladder"), self.function)
        return loop_of(partial(function, *operands, out))


LIBRARIES: dict[str, Library] = {
    library.name: library for library in (TensoropsLibrary(), NumpyLibrary(), TorchLibrary())
}
OURS = "tensorops"
PARTS: dict[str, Callable[[str], Library]] = {"path": PathLibrary, "ladder": LadderLibrary}


def get_library(name: str) -> Library:
    """Return what a contender's name stands for.

    Parameters
    ----------
    name : str
        A library, ``path:<path of the dispatcher>`` or ``ladder:<function>``.

    Returns
    -------
    Library
        Not yet imported.

    Raises
    ------
    ValueError
        For an unknown name.

    Examples
    --------
    >>> get_library("path:blocked/packed").name
    'tensorops'
    """
    kind, _, part = name.partition(":")
    if part and kind in PARTS:
        return PARTS[kind](part)
    if name not in LIBRARIES:
        raise ValueError(f"unknown contender {name!r}; known: {', '.join(LIBRARIES)}, path:..., ladder:...")
    return LIBRARIES[name]
