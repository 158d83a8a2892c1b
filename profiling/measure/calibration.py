"""A fixed piece of work that tells how fast the machine is at this moment.

A report stores it before and after what it measures. Two reports of the same machine, made minutes
apart, may differ by a tenth because clocks and neighbours changed: `profiling.commands.compare`
divides that out. The work mixes what user code mixes: bytecode, calls into NumPy on small arrays, and
a product and a pass over memory in compiled code. It is timed in processor time where the system counts
that finely: a neighbour who takes turns on the core is not a slower machine, and sampled lines do not
count his turns either.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

PIECES = 40
"""Pieces of a sample; each takes about 1 ms on a processor of 2021. Short, so that on a busy machine some
of them fall between two interruptions."""

FINEST_USE = 1e-5
"""Coarsest resolution, in seconds, at which processor time serves."""

_INTERPRETER_TURNS = 7_500
_SMALL_CALLS = 300
_SMALL = 16
_ROWS = 64
_PRODUCTS = 2
_PASSES = 120
_LENGTH = 8_192
"""64 KiB: what just fits into a second-level cache is fast or slow by the luck of its pages."""


def _clock() -> Callable[[], float]:
    fine = time.get_clock_info("thread_time").resolution <= FINEST_USE
    return time.thread_time if fine else time.perf_counter


def piece() -> float:
    """Run the fixed work once.

    Returns
    -------
    float
        Seconds of processor time; elapsed seconds where the system counts it in ticks.

    Examples
    --------
    >>> piece() > 0
    True
    """
    small = np.ones(_SMALL)
    square = np.ones((_ROWS, _ROWS))
    long = np.ones(_LENGTH)
    clock = _clock()
    start = clock()
    total = 0
    for turn in range(_INTERPRETER_TURNS):
        total += turn & 7
    for _ in range(_SMALL_CALLS):
        np.add(small, small, out=small)
        small.fill(1.0)
    for _ in range(_PRODUCTS):
        # einsum without `optimize` computes by itself: no BLAS, which would start threads.
        np.einsum("ij,kj->i", square, square)
    for _ in range(_PASSES):
        np.multiply(long, 1.0, out=long)
    return clock() - start


def sample() -> list[float]:
    """Run the fixed work a few times.

    Returns
    -------
    list of float
        Seconds of each piece, in the order taken; about 40 ms in all. The first piece, which
        finds cold caches, is run and left out.

    Examples
    --------
    >>> len(sample()) == PIECES
    True
    """
    piece()
    return [piece() for _ in range(PIECES)]
