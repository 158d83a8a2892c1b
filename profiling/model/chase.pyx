"""Pointer chasing: each load needs the one before, so that its time is the latency of a cache level."""

import time

cimport cython


@cython.boundscheck(False)
@cython.wraparound(False)
cdef Py_ssize_t last_of(const Py_ssize_t[::1] following, Py_ssize_t steps) noexcept nogil:
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t _step
    for _step in range(steps):
        at = following[at]
    return at


def chase(const Py_ssize_t[::1] following, Py_ssize_t steps) -> float:
    """Follow a chain of places and return the time.

    Parameters
    ----------
    following : ndarray of intp, shape (n,)
        For each place the next one; the chain begins at 0.
    steps : int
        How far to go.

    Returns
    -------
    float
        Seconds a step.

    Raises
    ------
    ValueError
        If there is no place, a step leads out of the array, or `steps` is less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> chase(np.array([1, 2, 0]), 1000) > 0
    True
    """
    cdef Py_ssize_t n = following.shape[0]
    cdef Py_ssize_t place, last
    if n == 0 or steps < 1:
        raise ValueError(f"a chain needs at least one place and at least one step, got {n} and {steps}")
    for place in range(n):
        if not 0 <= following[place] < n:
            raise ValueError(f"place {place} leads to {following[place]}, outside of the {n} places")
    start = time.perf_counter()
    with nogil:
        last = last_of(following, steps)
    end = time.perf_counter()
    # Nothing may be left out because nobody looks at it.
    assert last >= 0
    return (end - start) / steps
