"""A fixed piece of work that tells how fast the machine is at this moment.

A report stores it before and after what it measures. Two reports of the same machine, made minutes
apart, may differ by a tenth because clocks and neighbours changed: `profiling.commands.compare`
divides that out. The work mixes what user code mixes: bytecode, calls into NumPy on small arrays, and
a product and a pass over memory in compiled code.
"""

from __future__ import annotations

import time

import numpy as np

PIECES = 10
"""Pieces of a sample; each takes about 4 ms on a processor of 2021."""

_INTERPRETER_TURNS = 30_000
_SMALL_CALLS = 1200
_SMALL = 16
_ROWS = 64
_PRODUCTS = 8
_PASSES = 60
_LENGTH = 65_536


def piece() -> float:
    """Run the fixed work once.

    Returns
    -------
    float
        Elapsed seconds.

    Examples
    --------
    >>> piece() > 0
    True
    """
    small = np.ones(_SMALL)
    square = np.ones((_ROWS, _ROWS))
    long = np.ones(_LENGTH)
    start = time.perf_counter()
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
    return time.perf_counter() - start


def sample() -> list[float]:
    """Run the fixed work a few times.

    Returns
    -------
    list of float
        Elapsed seconds of each piece, in the order taken; about 40 ms in all. The first piece, which
        finds cold caches, is run and left out.

    Examples
    --------
    >>> len(sample()) == PIECES
    True
    """
    piece()
    return [piece() for _ in range(PIECES)]
