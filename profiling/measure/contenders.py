"""The libraries that are measured beside each other, each behind the same small face.

A library is imported when it is first asked for, never before: two OpenMP runtimes in one process
disturb each other, and PyTorch takes a second to load.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import ClassVar

from ..cases import Case, Results
from ..cases.steps import STEPS, tensorops_step
from .libraries import Array, Library, Loop, operation_loop
from .rivals import RIVALS, NumpyLibrary
from .timer import loop_of


class TensoropsLibrary(Library):
    """The library itself, through its public functions."""

    name = "tensorops"
    own_bounds: ClassVar[bool] = True

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""
        importlib.import_module(self.name).set_num_threads(threads)

    def loop(self, case: Case, operands: tuple[Array, ...], out: Results) -> Loop:
        """Return ``loop(n)``: n calls that write `out`, and their elapsed seconds."""
        module = importlib.import_module(self.name)
        function = tensorops_step if case.op in STEPS else getattr(module, case.op)
        return operation_loop(function, case, operands, out)


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

    def loop(self, case: Case, operands: tuple[Array, ...], out: Results) -> Loop:
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

    def loop(self, case: Case, operands: tuple[Array, ...], out: Results) -> Loop:
        """Return ``loop(n)``: n calls that write `out`, and their elapsed seconds."""
        function = getattr(importlib.import_module("tensorops.kernels.ladder"), self.function)
        return loop_of(partial(function, *operands, out))


OURS = "tensorops"
LIBRARIES: dict[str, Library] = {OURS: TensoropsLibrary(), **RIVALS}
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
