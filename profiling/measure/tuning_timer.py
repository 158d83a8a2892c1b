"""Time every path of a call at several numbers of threads, taking turns, longer where it is close.

Everything that uses one thread runs in one process; what uses more has a process for each path and number of
threads, stopped outside its turn (see `profiling.measure.worker`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np

from tensorops.backends.base import PRODUCTS
from tensorops.dispatch import policy
from tensorops.dispatch.schema import Entry, PathResult
from tensorops.operations import OPERATIONS

from ..cases import Case, flops
from ..targets import profile_paths
from .paths import PREFIX, entry_of
from .stats import student_quantile
from .timer import Contender, calibrate, garbage_collection_off, turns
from .tuning_space import cost_class
from .worker import RemoteContender, Worker

SAMPLE_SECONDS = 6e-4
LONG_CALL = 4e-3
"""A call from here on is sampled twice a block instead of four times."""

MOST_BLOCKS = 6
POINT_SECONDS = 0.35
CLEAR = 1.4
"""A path this many times slower than the best is measured in one block only."""

EQUAL = 0.015
"""Two paths whose difference and intervals are below this are equal: either may be taken."""

LEAST_WIDTH = 0.004
ONE_BLOCK_WIDTH = 0.05
WIDEST = 0.3
"""Half widths of intervals, relative: the least, of a single block, and the most."""

ONE_THREAD = frozenset({"blocked/small", "naive", "python"})
"""Paths that use one thread however many they are given."""

LOOPS_FLOPS = 2 * 8**3
VECTOR_WORK = 1 << 12
SMALL_FLOPS = 1e5
"""What a call allocates may change here, where kernels begin to pack."""

Key = tuple[str, int]
"""A path and its number of threads."""


@dataclass(frozen=True, slots=True)
class Timed:
    """What was measured of one problem.

    Attributes
    ----------
    case : Case
        The problem.
    entries : tuple of Entry
        One per number of threads.
    errors : mapping of str to str
        Paths that failed or gave a wrong result, and what was wrong.
    """

    case: Case
    entries: tuple[Entry, ...]
    errors: Mapping[str, str] = field(default_factory=dict)


def uses_threads(path: str, op: str) -> bool:
    """Tell whether a path may run on more than one thread.

    Parameters
    ----------
    path : str
        A path of the dispatcher.
    op : str
        What it computes.

    Returns
    -------
    bool
        NumPy does in products only, by its BLAS.

    Examples
    --------
    >>> uses_threads("blocked/small", "matmul"), uses_threads("numpy", "matmul")
    (False, True)
    """
    if path in ONE_THREAD:
        return False
    return path != "numpy" or cost_class(op) == "product"


def tuned_paths(case: Case, threads: int) -> tuple[str, ...]:
    """Return the paths that a tune measures on a case.

    Parameters
    ----------
    case : Case
        The problem.
    threads : int
        Threads that it may use.

    Returns
    -------
    tuple of str
        Those that may win somewhere: plain compiled loops on the smallest problems only.

    Examples
    --------
    >>> from .tuning_space import case_of
    >>> "naive" in tuned_paths(case_of("matmul", "float32", (40, 40, 40, 1)), 1)
    False
    """
    slow = {"python"} if flops(case) <= LOOPS_FLOPS else {"python", "naive"}
    return tuple(path for path in profile_paths(case, threads) if path not in slow)


def threads_matter(case: Case) -> bool:
    """Tell whether any path may use more than one thread for a call.

    Parameters
    ----------
    case : Case
        The problem.

    Returns
    -------
    bool
        False below the dispatcher's own threshold, but for products with a vector: libraries of linear
        algebra use threads for those sooner.

    Examples
    --------
    >>> from .tuning_space import case_of
    >>> [threads_matter(case_of("matmul", "float32", (64, 64, n, 1))) for n in (1, 64, 256)]
    [True, False, True]
    """
    if cost_class(case.op) == PRODUCTS:
        m, k, n, _ = OPERATIONS[case.op].sizes(case.shapes, dict(case.params))
        if min(m, n) == 1 and m * k * n >= VECTOR_WORK:
            return True
    return policy.threads_matter(case.call(1))


class PathTimer:
    """Keeps the measuring processes; a context manager.

    Parameters
    ----------
    threads : sequence of int
        Numbers of threads to measure with.
    seed : int
        Seed of the operands.
    """

    def __init__(self, threads: Sequence[int], seed: int = 0) -> None:
        self.threads = tuple(sorted(set(threads)))
        self._seed = seed
        self._workers: dict[Key, Worker] = {}
        self._without: set[tuple[Key, object]] = set()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._workers.clear()
        self._stack.close()

    def measure(self, case: Case, seconds: float = POINT_SECONDS) -> Timed:
        """Measure every path of a case that is worth it.

        Parameters
        ----------
        case : Case
            The problem.
        seconds : float
            No further block is begun after this time.

        Returns
        -------
        Timed
            Entries without the paths that were wrong.

        Raises
        ------
        WorkerError
            If a measuring process ends.
        """
        contenders, groups, errors = self._opened(case)
        allocations = {key: self._allocations(key, case) for key in contenders}
        samples = take(contenders, list(groups.values()), seconds)
        estimated = estimate(samples)
        entries = []
        for count, keys in groups.items():
            results = {}
            for key in keys:
                if key in estimated:
                    middle, low, high = estimated[key]
                    buffers, size = allocations[key]
                    n = sum(len(block) for block in samples[key])
                    results[key[0]] = PathResult(middle, low, high, n=n, allocations=buffers, bytes=size)
            if results:
                entries.append(entry_of(case, count, results))
        return Timed(case, tuple(entries), errors)

    def _allocations(self, key: Key, case: Case) -> tuple[int, int]:
        """Count what a path allocates; for a path that allocates nothing, once for each kind of call."""
        kind = (case.op, case.dtype, case.layout, case.params, len(case.shapes[0]), flops(case) > SMALL_FLOPS)
        if (key, kind) not in self._without:
            found = self._worker(key, case).allocations(PREFIX + key[0])
            if found != (0, 0):
                return found
            self._without.add((key, kind))
        return 0, 0

    def samples(self, case: Case, seconds: float, blocks: int) -> dict[Key, list[list[float]]]:
        """Return equally many blocks of samples of every path, taken in turns.

        Parameters
        ----------
        case : Case
            The problem.
        seconds : float
            No further block is begun after this time, but two are taken whatever they cost.
        blocks : int
            How many to take.

        Returns
        -------
        dict of Key to list of list of float
            Blocks of seconds per call of the paths that gave the right result.
        """
        contenders, _, _ = self._opened(case, self.threads)
        return take(contenders, [], seconds, least=2, most=blocks)

    def _opened(
        self, case: Case, counts: Sequence[int] = ()
    ) -> tuple[dict[Key, Contender], dict[int, list[Key]], dict[str, str]]:
        """Prepare a case in all processes; return contenders, candidates by threads, and errors."""
        counts = counts or [count for count in self.threads if count == 1 or threads_matter(case)]
        groups = {
            count: [contender_key(path, count, case) for path in tuned_paths(case, count)]
            for count in counts or self.threads[:1]
        }
        keys = list(dict.fromkeys(key for group in groups.values() for key in group))
        for key in keys:
            # All of them first: one that is missing may replace a process.
            self._worker(key, case)
        by_worker: dict[Worker, list[Key]] = {}
        for key in keys:
            by_worker.setdefault(self._worker(key, case), []).append(key)
        errors: dict[str, str] = {}
        for worker, own in by_worker.items():
            wrong = worker.open(case, self._seed, [PREFIX + path for path, _ in own], lenient=True)
            errors |= {name.removeprefix(PREFIX): text for name, text in wrong.items()}
        contenders: dict[Key, Contender] = {
            key: RemoteContender(self._worker(key, case), PREFIX + key[0])
            for key in keys
            if key[0] not in errors
        }
        return contenders, groups, errors

    def _worker(self, key: Key, case: Case) -> Worker:
        path, count = key
        shared: Key = ("", 1) if count == 1 else key
        if shared == ("", 1):
            known = self._workers.get(shared)
            if known is None or PREFIX + path not in known.libraries:
                # A path of another operation: a process that knows them all takes the place of this one.
                if known is not None:
                    known.close()
                libraries = dict.fromkeys((*(known.libraries if known else ()), PREFIX + path))
                libraries |= {PREFIX + one: None for one in tuned_paths(case, 1)}
                self._workers[shared] = self._stack.enter_context(Worker(list(libraries), 1, frozen=False))
        elif shared not in self._workers:
            self._workers[shared] = self._stack.enter_context(Worker([PREFIX + path], count, frozen=True))
        return self._workers[shared]


def contender_key(path: str, threads: int, case: Case) -> Key:
    """Return the contender that a path at a number of threads is.

    Parameters
    ----------
    path : str
        A path of the dispatcher.
    threads : int
        Threads that it is given.
    case : Case
        What it computes.

    Returns
    -------
    Key
        The path with the threads that it uses.

    Examples
    --------
    >>> from .tuning_space import case_of
    >>> contender_key("blocked/small", 2, case_of("matmul", "float32", (4, 4, 4, 1)))
    ('blocked/small', 1)
    """
    return (path, threads if uses_threads(path, case.op) else 1)


def take(
    contenders: Mapping[Key, Contender],
    groups: Sequence[Sequence[Key]],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
    *,
    least: int = 1,
    most: int = MOST_BLOCKS,
) -> dict[Key, list[list[float]]]:
    """Take blocks of samples in turns until the best of every group is clear.

    Parameters
    ----------
    contenders : mapping of Key to Contender
        What is measured.
    groups : sequence of sequence of Key
        Contenders that the dispatcher chooses among; none, if all are to be in every block.
    seconds : float
        No further block is begun after this time.
    clock : callable
        Tells the time.
    least, most : int
        Blocks that are taken whatever they cost, and at most.

    Returns
    -------
    dict of Key to list of list of float
        Blocks of seconds per call. All contenders are in the first block, later on those that may be the best
        of their group.
    """
    start = clock()
    blocks: dict[Key, list[list[float]]] = {key: [] for key in contenders}
    if not contenders:
        return blocks
    with garbage_collection_off():
        loops = {key: calibrate(contender, SAMPLE_SECONDS) for key, contender in contenders.items()}
        running = list(contenders)
        rounds = 2
        for number in range(most):
            taken: dict[Key, list[float]] = {key: [] for key in running}
            for order in turns(len(running), rounds):
                for index in order:
                    key = running[index]
                    taken[key].append(contenders[key].sample(loops[key]))
                if number == 0 and max(map(min, taken.values())) > LONG_CALL:
                    rounds = 1
                    break
            for key, values in taken.items():
                blocks[key].append(values)
            if groups and number <= 1:
                # What runs on several cores is disturbed by anything else: it gets a second chance.
                running = [
                    key for key in running if (number == 0 and key[1] > 1) or _may_win(key, blocks, groups)
                ]
            enough = clock() - start > seconds or (groups and _settled(blocks, groups, number + 1))
            if enough and number + 1 >= least:
                break
            # None always runs first.
            running = running[1:] + running[:1]
    return blocks


def _may_win(key: Key, blocks: Mapping[Key, list[list[float]]], groups: Sequence[Sequence[Key]]) -> bool:
    own = min(map(min, blocks[key]))
    return any(
        own <= CLEAR * min(min(map(min, blocks[other])) for other in group if other in blocks)
        for group in groups
        if key in group
    )


def _settled(blocks: Mapping[Key, list[list[float]]], groups: Sequence[Sequence[Key]], taken: int) -> bool:
    estimated = estimate(blocks)
    for group in groups:
        ranked = sorted((estimated[key] for key in group if key in estimated), key=lambda item: item[0])
        if len(ranked) < 2:
            continue
        if taken == 1 and ranked[1][0] < CLEAR * ranked[0][0]:
            return False
        close = ranked[1][0] <= (1 + EQUAL) * ranked[0][0]
        narrow = all(high <= (1 + EQUAL) * low for _, low, high in ranked[:2])
        if ranked[1][1] <= ranked[0][2] and not (close and narrow):
            return False
    return True


def estimate(samples: Mapping[Key, Sequence[Sequence[float]]]) -> dict[Key, tuple[float, ...]]:
    """Return the seconds of each contender with an interval in which it is compared with the others.

    Parameters
    ----------
    samples : mapping of Key to sequence of blocks
        As `take` returns them.

    Returns
    -------
    dict of Key to (seconds, low, high)
        What all contenders of a block have in common, the state of the machine, does not widen the intervals.

    Examples
    --------
    >>> drifting = {("a", 1): [[1.0], [2.0]], ("b", 1): [[2.0], [4.0]]}
    >>> [round(high / low, 3) for _, low, high in estimate(drifting).values()]
    [1.008, 1.008]
    """
    minima = {key: np.log([min(block) for block in blocks]) for key, blocks in samples.items() if blocks}
    if not minima:
        return {}
    most = max(len(values) for values in minima.values())
    full = [values for values in minima.values() if len(values) == most]
    level = np.mean(full, axis=0)
    middle = float(np.median(level))
    found: dict[Key, tuple[float, ...]] = {}
    for key, values in minima.items():
        relative = values - level[: len(values)]
        # What disturbs a call makes it slower, never faster.
        centre = middle + float(np.median(relative) if len(values) < 3 else np.sort(relative)[:2].mean())
        width = ONE_BLOCK_WIDTH
        if len(values) > 1:
            error = float(np.std(relative, ddof=1)) / math.sqrt(len(values))
            width = min(WIDEST, max(LEAST_WIDTH, student_quantile(0.975, len(values) - 1) * error))
        found[key] = tuple(float(f"{math.exp(centre + side):.4g}") for side in (0, -width, width))
    return found
