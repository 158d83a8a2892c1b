"""The libraries that are measured beside each other, each behind the same small face.

A library is imported when it is first asked for, never before: two OpenMP runtimes in one process
disturb each other, and PyTorch takes a second to load.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorops.operations import OPERATIONS

from ..cases import Case, Results
from .timer import loop_of, loop_with_out

Array = NDArray[Any]

RESTORED_AFTER = 8
"""Calls in place after which the operands get their first values again."""


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

    def lacks(self, op: str) -> str | None:
        """Return why the library cannot compute an operation, or None."""
        return None

    def version(self) -> str:
        """Return the library's version."""
        return str(importlib.import_module(self.name).__version__)

    @abstractmethod
    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""

    @abstractmethod
    def loop(self, case: Case, operands: tuple[Array, ...], out: Results) -> Callable[[int], float]:
        """Return ``loop(n)``: n calls that write `out`, and their elapsed seconds."""


class TensoropsLibrary(Library):
    """The library itself, through its public functions."""

    name = "tensorops"

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""
        importlib.import_module(self.name).set_num_threads(threads)

    def loop(self, case: Case, operands: tuple[Array, ...], out: Results) -> Callable[[int], float]:
        """Return ``loop(n)``: n calls that write `out`, and their elapsed seconds."""
        return operation_loop(getattr(importlib.import_module(self.name), case.op), case, operands, out)


class NumpyLibrary(Library):
    """NumPy, whose products are computed by its BLAS."""

    name = "numpy"

    def lacks(self, op: str) -> str | None:
        """Return why the library cannot compute an operation, or None."""
        return None if OPERATIONS[op].numpy_twin is not None else f"NumPy has no {op}"

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        threadpool_limits(threads, user_api="blas")

    def loop(self, case: Case, operands: tuple[Array, ...], out: Results) -> Callable[[int], float]:
        """Return ``loop(n)``: n calls that write `out`, and their elapsed seconds."""
        function = OPERATIONS[case.op].numpy_function()
        if function is None:
            raise ValueError(f"NumPy has no {case.op}")
        return operation_loop(function, case, operands, out, twin=True)


def torch_functions() -> Mapping[str, Callable[..., None]]:
    """Return what the backend ``torch`` has: see ``tensorops.backends.torch_backend.FUNCTIONS``."""
    found: Mapping[str, Callable[..., None]] = importlib.import_module(
        "tensorops.backends.torch_backend"
    ).FUNCTIONS
    return found


class _Tensors(dict[int, Any]):
    """Tensors on the memory of arrays, made when they are first asked for."""

    def __init__(self, torch: Any) -> None:
        super().__init__()
        self.torch = torch
        self.arrays: dict[int, Array] = {}

    def of(self, array: Array) -> Any:
        """Return the tensor of an array."""
        if id(array) not in self:
            self.arrays[id(array)] = array
            self[id(array)] = self.torch.from_numpy(array)
        return self[id(array)]


class TorchLibrary(Library):
    """PyTorch's CPU build, on tensors that share the arrays' memory."""

    name = "torch"

    def lacks(self, op: str) -> str | None:
        """Return why the library cannot compute an operation, or None."""
        has = op.removesuffix("_") in torch_functions()
        return None if has else f"torch has no {op} within the bounds of error"

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""
        importlib.import_module(self.name).set_num_threads(threads)

    def loop(self, case: Case, operands: tuple[Array, ...], out: Results) -> Callable[[int], float]:
        """Return ``loop(n)``: n calls that write `out`, and their elapsed seconds."""
        torch = importlib.import_module(self.name)
        # Users of PyTorch who want inference speed switch gradients off; it is the fair comparison.
        torch.set_grad_enabled(False)
        if case.op == "matmul":
            first, second, result = (torch.from_numpy(array) for array in (*operands, out))
            return loop_with_out(torch.matmul, first, second, result)
        reason = self.lacks(case.op)
        if reason is not None:
            raise ValueError(reason)
        function = torch_functions()[case.op.removesuffix("_")]
        # The backend's function on tensors made once: what a user of PyTorch would write.
        spec = OPERATIONS[case.op]
        if spec.in_place:

            def change(*arrays: Array, **params: Any) -> None:
                function(torch, tensors.of(arrays[0]), *map(tensors.of, arrays), **params)

            tensors = _Tensors(torch)
            return operation_loop(change, case, operands, out)
        given, result = [torch.from_numpy(array) for array in operands], torch.from_numpy(out)
        return loop_of(partial(function, torch, result, *given, **dict(case.params)))


def operation_loop(
    function: Callable[..., Any], case: Case, operands: tuple[Array, ...], out: Results, *, twin: bool = False
) -> Callable[[int], float]:
    """Return a loop over the calls of an operation on fixed operands.

    Parameters
    ----------
    function : callable
        The operation: takes the operands, ``out=`` where the registry says so, and the case's parameters.
    case : Case
        What is computed.
    operands : tuple of ndarray
        Its operands.
    out : ndarray or tuple of ndarray
        The result, as `Case.results` makes it. What an operation in place changes is a copy.
    twin : bool
        Whether it is NumPy's form, which takes ``out=`` for an operation in place too.

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
    spec, params = OPERATIONS[case.op], dict(case.params)
    if spec.in_place:
        return _in_place_loop(function, case, operands, out, twin)
    if "out=" not in spec.signature:
        return _returning_loop(partial(function, *operands, **params), out)
    if len(operands) == 2 and not params:
        return loop_with_out(function, *operands, out)
    return loop_of(partial(function, *operands, out=out, **params))


def _returning_loop(call: Callable[[], Any], out: Results) -> Callable[[int], float]:
    def loop(n: int) -> float:
        result = None
        start = time.perf_counter()
        for _ in repeat(None, n):
            result = call()
        elapsed = time.perf_counter() - start
        _store(result, out)
        return elapsed

    return loop


def _in_place_loop(
    function: Callable[..., Any], case: Case, operands: tuple[Array, ...], out: Results, twin: bool
) -> Callable[[int], float]:
    changed = OPERATIONS[case.op].changed
    arguments = [x.copy(order="K") if place in changed else x for place, x in enumerate(operands)]
    written = [arguments[place] for place in changed]
    options: dict[str, Any] = dict(case.params)
    if twin:
        options["out"] = written[0] if len(written) == 1 else tuple(written)
    call = partial(function, *arguments, **options)

    def loop(n: int) -> float:
        elapsed, left = 0.0, n
        while left > 0:
            # Values that shrink or grow from call to call must not reach the slow ends of the range.
            count = min(left, RESTORED_AFTER)
            for place, array in zip(changed, written, strict=True):
                np.copyto(array, operands[place])
            # One exponential of another overflows, and NumPy would say so.
            with np.errstate(all="ignore"):
                start = time.perf_counter()
                for _ in repeat(None, count):
                    call()
                elapsed += time.perf_counter() - start
            left -= count
        _store(written[0] if isinstance(out, np.ndarray) else written, out)
        return elapsed

    return loop


def _store(result: Any, out: Results) -> None:
    if isinstance(out, np.ndarray):
        out[...] = result
    else:
        for part, target in zip(result, out, strict=False):
            target[...] = part


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

    def loop(self, case: Case, operands: tuple[Array, ...], out: Results) -> Callable[[int], float]:
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

    def loop(self, case: Case, operands: tuple[Array, ...], out: Results) -> Callable[[int], float]:
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
