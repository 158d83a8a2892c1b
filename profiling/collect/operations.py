"""What a piece of code computes: calls, floating-point operations and bytes of each operation."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self

from tensorops.runtime.calls import set_listener

from .allocation_records import function_name, wanted_files, write_whole
from .call_hooks import Counter
from .conventions import FAILED
from .library_costs import watch_library
from .numpy_calls import REGISTRY
from .operation_records import LineOperations, OperationCount

NOT_SEEN = (
    "calls on single numbers (np.float64 * np.float64)",
    "indexing and assignment (x[index] = y)",
    "making arrays (np.array, np.zeros, np.arange) and random numbers",
    "other libraries (SciPy, PyTorch), compiled code, functions made by np.frompyfunc",
    "other processes, and threads that were running before the count began",
)
"""What no count holds, in words; a report names it beside its figures."""

Lines = bool | str | os.PathLike[str] | Callable[[str], bool]


class OperationCounter:
    """Counts operations while it is entered; made by `count_operations`.

    Parameters
    ----------
    numpy : bool
        Whether NumPy's calls are counted beside the library's.
    lines : bool, path or callable
        As `count_operations` takes it.
    """

    # A signal's handler may end a counter that is just being entered.
    _lock = threading.RLock()
    _users = 0

    def __init__(self, numpy: bool = True, lines: Lines = False) -> None:
        self._numpy = bool(numpy)
        self._wanted = wanted_files(lines)
        self._counter: Counter | None = None
        self._ended_early = ""

    def __enter__(self) -> Self:
        with self._lock:
            if self._counter is not None and self._counter.active:
                raise RuntimeError("this counter is entered already; make another one to count inside it")
            if not OperationCounter._users:
                watch_library()
            if self._numpy:
                REGISTRY.watch_numpy()
            counter = Counter(self._numpy, self._wanted)
            counter.start()
            self._counter = counter
            self._ended_early = ""
            OperationCounter._users += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        with self._lock:
            if self._counter is not None and self._counter.active:
                self._counter.stop()
                OperationCounter._users -= 1
                if not OperationCounter._users:
                    set_listener(None)
        return False

    def end_early(self, reason: str) -> None:
        """Count no more from now on, though the block goes on; may be called from any thread.

        Parameters
        ----------
        reason : str
            A sentence for people; it becomes the first of `gaps`.

        Examples
        --------
        >>> import numpy as np
        >>> x = np.ones(4)
        >>> with count_operations() as counter:
        ...     y = x + x
        ...     counter.end_early("Counted in the first line only.")
        ...     y = x + x
        >>> counter.calls, counter.complete, counter.gaps()[0]
        (1, False, 'Counted in the first line only.')
        """
        self.__exit__(None, None, None)
        self._ended_early = reason

    def operations(self) -> list[OperationCount]:
        """Return the count of each operation so far, the one with the most FLOPs first.

        Returns
        -------
        list of OperationCount
            Those without known FLOPs come last, the one with the most bytes first. Safe to ask for from
            any thread while the counting goes on.

        Examples
        --------
        >>> import numpy as np
        >>> x = np.ones((4, 8))
        >>> with count_operations() as counter:
        ...     y = x @ x.T + 1.0
        >>> [(entry.name, entry.calls, entry.flops, entry.bytes) for entry in counter.operations()]
        [('matmul', 1, 256, 640), ('add', 1, 16, 256)]
        """
        if self._counter is None:
            return []
        counts = []
        for row, state, calls, flops, size in self._counter.figures():
            library, name, reason = REGISTRY.rows[row]
            counts.append(
                OperationCount(
                    name,
                    library,
                    calls,
                    flops if state == 0 else None,
                    size if state < 2 else None,
                    (None, reason, FAILED)[state],
                )
            )
        return sorted(
            counts, key=lambda entry: (entry.flops is None, -(entry.flops or 0), -(entry.bytes or 0))
        )

    def lines(self) -> list[LineOperations]:
        """Return what each line of the wanted files computed, in the order of files and lines.

        Returns
        -------
        list of LineOperations
            Empty unless `lines` was given.

        Examples
        --------
        >>> import numpy as np
        >>> with count_operations() as counter:
        ...     y = np.ones(4) + 1.0
        >>> counter.lines()
        []
        """
        if self._counter is None:
            return []
        found: dict[tuple[str, int, str], list[int]] = {}
        for filename, function, line, _, state, calls, flops, size in self._counter.figures_of_lines():
            figures = found.setdefault((filename, line, function_name(function)), [0, 0, 0, 0])
            for place, amount in enumerate((calls, flops, size, calls if state else 0)):
                figures[place] += amount
        return [
            LineOperations(filename, function, line, *figures)
            for (filename, line, function), figures in sorted(found.items())
        ]

    @property
    def complete(self) -> bool:
        """Whether the count was not ended before its block."""
        return not self._ended_early

    @property
    def calls(self) -> int:
        """Calls of all operations."""
        return sum(entry.calls for entry in self.operations())

    @property
    def flops(self) -> int:
        """Floating-point operations of all calls whose number is known."""
        return sum(entry.flops or 0 for entry in self.operations())

    @property
    def bytes(self) -> int:
        """Bytes of all calls whose number is known."""
        return sum(entry.bytes or 0 for entry in self.operations())

    def gaps(self) -> list[str]:
        """Return in sentences what the count does not hold.

        Returns
        -------
        list of str
            For a note beside the figures.

        Examples
        --------
        >>> count_operations(numpy=False).gaps()
        ["Only tensorops' own calls were counted, as asked."]
        """
        sentences = [self._ended_early] if self._ended_early else []
        if not self._numpy:
            return [*sentences, "Only tensorops' own calls were counted, as asked."]
        sentences += [f"Not counted: {'; '.join(NOT_SEEN)}."]
        by_reason: dict[str, list[str]] = {}
        for name, reason in REGISTRY.unseen.items():
            by_reason.setdefault(reason, []).append(name)
        sentences += [f"Not counted: {', '.join(names)}: {reason}." for reason, names in by_reason.items()]
        return sentences

    def to_dict(self) -> dict[str, Any]:
        """Return the count as JSON-ready values.

        Returns
        -------
        dict
            ``operations`` and ``lines`` as lists of dicts, ``calls``, ``flops`` and ``bytes`` in all,
            whether it is ``complete``, and the ``gaps``.

        Examples
        --------
        >>> sorted(count_operations().to_dict())
        ['bytes', 'calls', 'complete', 'flops', 'gaps', 'lines', 'operations']
        """
        return {
            "operations": [entry.to_dict() for entry in self.operations()],
            "lines": [entry.to_dict() for entry in self.lines()],
            "calls": self.calls,
            "flops": self.flops,
            "bytes": self.bytes,
            "complete": self.complete,
            "gaps": self.gaps(),
        }

    def flush(self, path: str | os.PathLike[str]) -> None:
        """Write what is counted so far to a JSON file, whole or not at all.

        Parameters
        ----------
        path : path-like
            The file; one that is there is replaced.

        Raises
        ------
        OSError
            If it cannot be written; a file that is there stays as it was.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     count_operations().flush(Path(folder, "operations.json"))
        ...     json.loads(Path(folder, "operations.json").read_text())["calls"]
        0
        """
        write_whole(path, json.dumps(self.to_dict()))


def count_operations(*, numpy: bool = True, lines: Lines = False) -> OperationCounter:
    """Count the operations that run inside a ``with`` block: calls, FLOPs and bytes.

    Parameters
    ----------
    numpy : bool, optional
        Whether calls of NumPy are counted beside those of tensorops: operators of arrays (``a + b``),
        functions (``np.exp(x)``) and methods (``x.sum()``).
    lines : bool, path or callable, optional
        Also put each call down to a line: the one that runs in the innermost frame of a wanted file. True
        wants every file, a path this one, a callable decides by the file's name as the running code
        has it.

    Returns
    -------
    OperationCounter
        A context manager; its figures can be read inside the block and after it.

    Raises
    ------
    TypeError
        If `lines` is none of these.

    See Also
    --------
    profiling.collect.allocations.count_allocations : The same for memory.

    Notes
    -----
    Counted are the calls of the context (``contextvars``) that entered the counter, of copies of it, and
    of threads that began while it was entered. A call that raises is not counted. Of calls inside one
    another, within a thread, the outermost that is counted counts: ``np.mean`` is not also a sum. A
    function of NumPy's without a convention (``np.cov``) is not counted itself, but what it calls is.
    Operands that decide for themselves (``__array_ufunc__``) are left to do so, and what they call
    counts.

    While a counter is entered, the addresses of NumPy's C functions are exchanged in place, for the
    whole process; afterwards they are what they were. No name is replaced. Outside a counter nothing
    is added to any call of NumPy's, and one branch to a call of tensorops'.

    FLOPs of tensorops' operations are those of ``tensorops.operations``. For NumPy, each element that
    an operation computes counts 1, whatever it costs: an addition, a comparison, an exponential; 2 for
    ``divmod`` and for both bounds of ``clip``; for complex numbers 2 for an addition and 6 for a
    multiplication. Arithmetic on integers and booleans counts 0, so do copies, selections and logic.
    A product counts 2 for each pair that is multiplied and added, a sum of n numbers n - 1, a mean n,
    a variance 4 n. Sorting, linear algebra and Fourier transforms have no number: None. Python numbers
    and lists have no bytes; ``where=`` leaves out the FLOPs of elements that are not selected, not
    the bytes.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.ones(1000)
    >>> with count_operations() as counter:
    ...     y = np.exp(x) * 2.0
    ...     y += x
    >>> for entry in counter.operations():
    ...     print(entry.name, entry.calls, entry.flops, entry.bytes, round(entry.intensity, 3))
    add 1 1000 24000 0.042
    exp 1 1000 16000 0.062
    multiply 1 1000 16000 0.062
    """
    return OperationCounter(numpy, lines)


def _renew_lock() -> None:
    """Give a forked child a lock of its own: another thread may have held the parent's."""
    OperationCounter._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
