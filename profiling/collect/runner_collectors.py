"""All that is collected while a program runs at its own speed: samples, allocations, operations."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, TypeVar

from .own_code import OwnCode
from .runner_imports import ImportWatch, toolkit_on_path
from .runner_state import write_atomically

if TYPE_CHECKING:
    from .allocations import AllocationCounter
    from .names import NameWatch
    from .operations import OperationCounter
    from .sampler import Sampler


Counter = TypeVar("Counter")

MOST_COUNTING = 0.1
"""Share of the program's processor time that counting operations may take."""

COUNTING_SECONDS = 150e-9
"""What a counted call costs, about."""


class Collectors:
    """The sampler and the two counters, and where their figures go.

    Parameters
    ----------
    folder : Path
        Gets ``samples.jsonl``, or ``sampling.json`` with the reason why there are no samples, and
        ``allocations.json`` and ``operations.json``.
    own : OwnCode
        Whose lines allocations are put down to.
    min_bytes : int
        Smaller buffers are not counted.
    interval : float
        Seconds between two samples of a thread.
    all_operations : bool
        Whether operations are counted to the end however much that slows the program down.
    names : bool
        Whether to note what the names of the user's own code stand for, in ``names.json``.
    """

    def __init__(
        self,
        folder: Path,
        own: OwnCode,
        min_bytes: int,
        interval: float,
        all_operations: bool = False,
        names: bool = False,
    ) -> None:
        self.calls = 1
        self._all_operations = all_operations
        self._counting_since = 0.0
        self._folder = folder
        self._own = own
        self._min_bytes = min_bytes
        self._interval = interval
        self._wants_names = names
        self._names: NameWatch | None = None
        self._sampler: Sampler | None = None
        self._allocations: AllocationCounter | None = None
        self._operations: OperationCounter | None = None
        self._counting = contextlib.ExitStack()
        self._watch = ImportWatch(self._count, None, own)

    def before_imports(self) -> None:
        """Do nothing: what imports allocate is not the function's."""

    def start(self) -> None:
        """Collect everything from now on; the counters as soon as NumPy is loaded."""
        self._watch.install()
        self._sample()

    def measure(self, call: Callable[[], object], seconds: float) -> None:
        """Count in one call, then sample calls for about so many seconds, at least one.

        Parameters
        ----------
        call : callable
            Calls the function.
        seconds : float
            Time to sample.
        """
        self._watch.install()
        try:
            call()
        finally:
            self._end_counting()
        self._sample()
        begin = time.perf_counter()
        self.calls = 0
        try:
            while self.calls == 0 or time.perf_counter() - begin < seconds:
                call()
                self.calls += 1
        finally:
            self._end_sampling()

    def prepare(self, code: CodeType) -> CodeType:
        """Return the code as it is."""
        return code

    def flush(self) -> None:
        """Write what was counted so far; the sampler writes by itself."""
        if self._names is not None:
            self._names.flush()
        if self._allocations is not None:
            self._allocations.flush(self._folder / "allocations.json")
        if self._operations is not None:
            if not self._all_operations:
                self._bound_counting(self._operations)
            self._operations.flush(self._folder / "operations.json")

    def _bound_counting(self, counter: OperationCounter) -> None:
        """End the counting of operations where there are so many that it slows the program down."""
        seconds = time.process_time() - self._counting_since
        calls = counter.calls
        if counter.complete and calls * COUNTING_SECONDS > MOST_COUNTING * seconds:
            counter.end_early(
                f"Counted for the first {seconds:.2g} s of processor time only, {calls:,} calls: so many "
                "small ones that counting them slows the program down. --all-operations counts to the end."
            )

    def stop(self) -> None:
        """Collect no more, and write everything."""
        self._end_sampling()
        self._end_counting()

    def _sample(self) -> None:
        if self._wants_names:
            with toolkit_on_path():
                from .names import NameWatch
            self._names = NameWatch(self._own, self._folder)
            self._names.start()
        from .sampler import Sampler, why_unavailable

        reason = why_unavailable()
        if reason is not None:
            write_atomically(self._folder / "sampling.json", {"reason": reason})
            return
        self._sampler = Sampler(interval=self._interval, spool=self._folder / "samples.jsonl")
        self._sampler.start()

    def _end_sampling(self) -> None:
        if self._names is not None:
            names, self._names = self._names, None
            names.stop()
        if self._sampler is None:
            return
        sampler, self._sampler = self._sampler, None
        sampler.stop()

    def _count(self) -> None:
        """Begin to count; called when NumPy is there."""
        self._counting_since = time.process_time()
        with toolkit_on_path():
            # In this order: what a counter allocates for itself is not counted.
            self._operations = self._entered("operations", self._operation_counter)
            self._allocations = self._entered("allocations", self._allocation_counter)

    def _allocation_counter(self) -> AllocationCounter:
        from .allocations import count_allocations

        return count_allocations(min_bytes=self._min_bytes, lines=self._own)

    def _operation_counter(self) -> OperationCounter:
        from .operations import count_operations

        return count_operations()

    def _entered(
        self, name: str, make: Callable[[], contextlib.AbstractContextManager[Counter]]
    ) -> Counter | None:
        """Enter a counter, or leave the reason why that failed: the program must go on without it."""
        try:
            return self._counting.enter_context(make())
        except Exception as error:
            reason = f"the counter of {name} failed with {type(error).__name__}: {error}"
            write_atomically(self._folder / f"{name}.json", {"reason": reason})
            return None

    def _end_counting(self) -> None:
        self._watch.remove()
        # What is counted to the end is not ended early by the last flush.
        self._all_operations = True
        self._counting.close()
        self.flush()
