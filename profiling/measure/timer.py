"""Calibrated loops, and contenders that take turns.

A contender is anything that can run its call `loops` times and tell the seconds per call: in this
process (`LocalContender`) or in one of its own (`profiling.measure.worker`). Turns go forwards and
then backwards (A B B A), so that a drift of the machine falls on all contenders alike, and every
round starts with the next one, so that none always runs first.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

from .stats import BLOCK

MAX_LOOPS = 1 << 24


class Contender(Protocol):
    """What the interleaving needs of a contender."""

    @property
    def name(self) -> str:
        """Name under which its samples are kept."""

    def sample(self, loops: int) -> float:
        """Run the call `loops` times and return the seconds per call."""


@dataclass(frozen=True, slots=True)
class LocalContender:
    """A contender that runs in this process.

    Attributes
    ----------
    name : str
        Name under which its samples are kept.
    loop : callable
        ``loop(n)`` runs the call n times and returns the elapsed seconds.
    """

    name: str
    loop: Callable[[int], float]

    def sample(self, loops: int) -> float:
        """Run the call `loops` times and return the seconds per call."""
        return self.loop(loops) / loops


def loop_with_out(function: Callable[..., Any], first: Any, second: Any, out: Any) -> Callable[[int], float]:
    """Return a loop over ``function(first, second, out=out)``.

    The call is written out instead of being passed as a closure: a tiny product takes about as long
    as the layer of indirection would.

    Parameters
    ----------
    function : callable
        Takes two operands and the keyword `out`.
    first, second, out : array
        Arguments of every call.

    Returns
    -------
    callable
        ``loop(n) -> float``, elapsed seconds of n calls.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.ones((2, 2))
    >>> loop_with_out(np.matmul, a, a, np.empty((2, 2)))(3) > 0
    True
    """

    def loop(n: int) -> float:
        start = time.perf_counter()
        for _ in repeat(None, n):
            function(first, second, out=out)
        return time.perf_counter() - start

    return loop


def loop_of(call: Callable[[], Any]) -> Callable[[int], float]:
    """Return a loop over a call without arguments, for calls that last microseconds or more.

    Parameters
    ----------
    call : callable
        Its result is dropped.

    Returns
    -------
    callable
        ``loop(n) -> float``, elapsed seconds of n calls.

    Examples
    --------
    >>> loop_of(list)(2) > 0
    True
    """

    def loop(n: int) -> float:
        start = time.perf_counter()
        for _ in repeat(None, n):
            call()
        return time.perf_counter() - start

    return loop


@contextmanager
def garbage_collection_off() -> Iterator[None]:
    """Keep the cyclic garbage collector from running inside a timed loop.

    Yields
    ------
    None
        The previous state is restored at the end.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def calibrate(contender: Contender, target_seconds: float) -> int:
    """Return how many calls make one sample last about `target_seconds`.

    It also warms the contender up: code, caches, worker threads.

    Parameters
    ----------
    contender : Contender
        What is to be measured.
    target_seconds : float
        Wanted length of one sample, in seconds.

    Returns
    -------
    int
        At least 1; exactly 1 for a call that lasts longer than the target.

    Raises
    ------
    ValueError
        If `target_seconds` is not positive.

    Examples
    --------
    >>> calibrate(LocalContender("one millisecond", lambda n: n * 1e-3), 5e-3)
    5
    """
    if not target_seconds > 0:
        raise ValueError(f"target_seconds must be positive, got {target_seconds}")
    contender.sample(1)
    loops = 1
    while True:
        elapsed = max(contender.sample(loops) * loops, 1e-9)
        if elapsed >= target_seconds / 2 or loops >= MAX_LOOPS:
            return max(1, min(MAX_LOOPS, round(loops * target_seconds / elapsed)))
        # Never more than tenfold at once: the first calls are slow, and a guess from them is too low.
        loops = max(loops + 1, min(loops * 10, int(loops * target_seconds / elapsed)))


def turns(count: int, rounds: int) -> Iterator[tuple[int, ...]]:
    """Yield the order of each round: forwards, then backwards, each time from the next start.

    Parameters
    ----------
    count : int
        Number of contenders.
    rounds : int
        Number of rounds; a round gives two samples of every contender.

    Yields
    ------
    tuple of int
        Indices of contenders, each of them twice.

    Examples
    --------
    >>> list(turns(2, 2))
    [(0, 1, 1, 0), (1, 0, 0, 1)]
    >>> list(turns(3, 1))
    [(0, 1, 2, 2, 1, 0)]
    """
    for number in range(rounds):
        start = number % count
        forwards = (*range(start, count), *range(start))
        yield (*forwards, *reversed(forwards))


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long to measure.

    Attributes
    ----------
    sample_seconds : float
        Wanted length of one sample.
    blocks : int
        Blocks of four samples of each contender, if the budget allows.
    min_blocks : int
        Blocks that are taken whatever they cost.
    budget_seconds : float
        No further block is begun after this time.
    """

    sample_seconds: float = 2e-3
    blocks: int = 6
    min_blocks: int = 1
    budget_seconds: float = 10.0

    def __post_init__(self) -> None:
        """Check the counts."""
        if not 1 <= self.min_blocks <= self.blocks:
            raise ValueError(f"need 1 <= min_blocks <= blocks, got {self.min_blocks} and {self.blocks}")


def interleave(
    contenders: Sequence[Contender],
    schedule: Schedule,
    *,
    loops: dict[str, int] | None = None,
    samples: dict[str, list[float]] | None = None,
    between: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """Measure contenders in turns and return their raw samples.

    Parameters
    ----------
    contenders : sequence of Contender
        With different names.
    schedule : Schedule
        How long to measure.
    loops : dict, optional
        Calls per sample of each contender, from an earlier calibration; calibrated and filled in
        where a name is missing.
    samples : dict, optional
        Where to put the samples: a caller that is interrupted still has what was taken.
    between : callable
        Called after each round; its time counts for nobody.

    Returns
    -------
    dict of str to list of float
        Seconds per call in the order taken; equally many of every contender, a multiple of four.

    Raises
    ------
    ValueError
        For no contender, or two of the same name.

    Examples
    --------
    >>> slow = LocalContender("slow", lambda n: n * 2e-3)
    >>> fast = LocalContender("fast", lambda n: n * 1e-3)
    >>> interleave([slow, fast], Schedule(blocks=1))
    {'slow': [0.002, 0.002, 0.002, 0.002], 'fast': [0.001, 0.001, 0.001, 0.001]}
    """
    names = [contender.name for contender in contenders]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"contenders need names that differ, got {names}")
    loops = {} if loops is None else loops
    samples = {} if samples is None else samples
    samples.update({name: [] for name in names})
    rounds_per_block = BLOCK // 2
    with garbage_collection_off():
        for contender in contenders:
            if contender.name not in loops:
                loops[contender.name] = calibrate(contender, schedule.sample_seconds)
        start = time.perf_counter()
        for number, order in enumerate(turns(len(names), schedule.blocks * rounds_per_block)):
            done, inside = divmod(number, rounds_per_block)
            late = time.perf_counter() - start > schedule.budget_seconds
            if inside == 0 and done >= schedule.min_blocks and late:
                break
            for index in order:
                contender = contenders[index]
                samples[contender.name].append(contender.sample(loops[contender.name]))
            between()
    return samples
