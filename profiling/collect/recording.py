"""Note which operations a program calls, on which shapes, and how often: what is worth tuning."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from tensorops.backends.base import FLOAT_DTYPES, layout_letter
from tensorops.runtime import openmp
from tensorops.runtime.calls import add_watcher, remove_watcher

from ..cases import Case

NOT_WORK = frozenset({"out", "backend"})
"""Keyword arguments that do not change what is computed."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """Calls that look the same to the dispatcher.

    Attributes
    ----------
    case : Case
        Operation, dtype, shapes, layout and parameters.
    threads : int
        Threads that the calls might use.
    calls : int
        How many there were.
    """

    case: Case
    threads: int
    calls: int

    def to_dict(self) -> dict[str, Any]:
        """Return the calls as JSON-ready values."""
        return {"case": self.case.to_dict(), "threads": self.threads, "calls": self.calls}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RecordedCall:
        """Return the calls that `to_dict` wrote."""
        return cls(Case.from_dict(values["case"]), int(values["threads"]), int(values["calls"]))


class Recording:
    """Notes the library's calls while it is entered, in every thread of the process."""

    def __init__(self) -> None:
        self._counts: dict[tuple[Case, int], int] = {}
        self._lock = threading.Lock()
        self._entered = 0

    def __enter__(self) -> Self:
        if not self._entered:
            add_watcher(self._note)
        self._entered += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        self._entered -= 1
        if not self._entered:
            remove_watcher(self._note)
        return False

    def _note(self, op: str, operands: tuple[Any, ...], parameters: Mapping[str, Any], result: Any) -> None:
        first = result[0] if isinstance(result, tuple) else result
        dtype = getattr(first, "dtype", None)
        if dtype is None or dtype.name not in FLOAT_DTYPES:
            return
        arrays = [np.asarray(operand) for operand in operands if operand is not None]
        if any(0 in array.shape or not array.ndim for array in arrays):
            return
        params = {
            name: value for name, value in parameters.items() if name not in NOT_WORK and _is_noted(value)
        }
        case = Case(
            op,
            dtype.name,
            tuple(array.shape for array in arrays),
            "".join(layout_letter(array) for array in arrays),
            "",
            tuple(sorted(params.items())),
        )
        key = (case, openmp.get_num_threads())
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + 1

    def calls(self) -> list[RecordedCall]:
        """Return what was called so far, the most work first.

        Returns
        -------
        list of RecordedCall
            Calls on empty arrays and of other dtypes are left out: the dispatcher has no choice there.

        Examples
        --------
        >>> import tensorops
        >>> with record() as recording:
        ...     for _ in range(3):
        ...         product = tensorops.matmul(np.ones((2, 3)), np.ones((3, 4)))
        >>> [(entry.case.name, entry.calls) for entry in recording.calls()]
        [('2x3x4 float64', 3)]
        """
        from ..cases import flops

        with self._lock:
            found = [RecordedCall(case, threads, calls) for (case, threads), calls in self._counts.items()]
        return sorted(found, key=lambda entry: -entry.calls * (flops(entry.case) + 1000))

    def to_dict(self) -> dict[str, Any]:
        """Return the recording as JSON-ready values."""
        return {"schema": 1, "kind": "recording", "calls": [entry.to_dict() for entry in self.calls()]}


def _is_noted(value: object) -> bool:
    """Tell whether a parameter can be written down: no array, and nothing that only this process knows."""
    if isinstance(value, tuple):
        return all(type(one) is int for one in value)
    return isinstance(value, str | bool | int | float)


def record() -> Recording:
    """Note the operations and shapes that the library is called with inside a ``with`` block.

    Returns
    -------
    Recording
        A context manager; ``profiling.tune_recorded`` tunes what it has noted.

    Notes
    -----
    All threads of the process are noted. A call takes about two microseconds longer meanwhile.

    Examples
    --------
    >>> import tensorops
    >>> with record() as recording:
    ...     product = tensorops.matmul(np.ones((2, 3), np.float32), np.ones((3, 4), np.float32))
    >>> len(recording.calls())
    1
    """
    return Recording()
