"""The files of a new pack: a small problem that works, to be changed."""

from __future__ import annotations

import re
from pathlib import Path

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

PROBLEM = '''"""Sums of rows: change this file into your problem."""

import numpy as np

from profiling.competition.pack import Band, Problem

TEXT = """\\
Write the sum of every row of x into out:

    out[i] = sum over k of x[i, k]

x is a C-contiguous float32 matrix, out is a float32 vector.
"""


def make(rng, sizes, scale):
    """Return the operands."""
    return (rng.standard_normal(sizes, np.float32) * np.float32(scale),)


def oracle(x):
    """Return the result in float64."""
    return x.astype(np.float64).sum(axis=1)


def error_scale(expected, x):
    """Return what an error is measured against, for each element of the result."""
    return np.abs(x.astype(np.float64)).sum(axis=1) + 1e-300


PROBLEM = Problem(
    title="Sums of rows",
    call="kernel(x, out)",
    text=TEXT,
    sizes=("rows", "columns"),
    # Narrow ranges: judgings compare, and still nobody knows the sizes before.
    timed=(
        Band("wide", ((480, 520), (2000, 2100))),
        Band("narrow", ((9000, 9400), (60, 68))),
    ),
    # Edges and magnitudes that only have to be right.
    checked=(
        Band("one value", ((1, 1), (1, 1))),
        Band("odd", ((1, 60), (1, 90))),
        Band("large values", ((10, 40), (10, 200)), scale=1e4),
    ),
    make=make,
    oracle=oracle,
    out_shape=lambda sizes: sizes[:1],
    # Four to eight times the baseline's own largest error.
    tolerance=1e-6,
    flops=lambda sizes: 1.0 * sizes[0] * sizes[1],
    bytes=lambda sizes: 4.0 * sizes[0] * (sizes[1] + 1),
    error_scale=error_scale,
)
'''
BASELINE = '''"""What submissions are compared with. It is pinned: a change begins a new board."""

import numpy as np


def kernel(x, out):
    """Write the sum of every row into out."""
    np.sum(x, axis=1, out=out)
'''
STARTER = '''"""A first version with NumPy."""


def kernel(x, out):
    """Write the sum of every row into out."""
    out[:] = x.sum(axis=1)
'''
CYTHON = '''# cython: boundscheck=False, wraparound=False, cdivision=True
"""A first version with loops."""


def kernel(const float[:, ::1] x, float[::1] out):
    """Write the sum of every row into out."""
    cdef Py_ssize_t i, j
    cdef double total
    with nogil:
        for i in range(x.shape[0]):
            total = 0
            for j in range(x.shape[1]):
                total += x[i, j]
            out[i] = <float>total
'''
ZEROS = '''"""Every pack needs submissions that must not be accepted: zeros, for one."""


def kernel(x, out):
    """Write zeros."""
    out[...] = 0
'''
HALF = '''"""Half precision: the tolerance has to tell it from the right result."""

import numpy as np


def kernel(x, out):
    """Sum up with 16 bits."""
    with np.errstate(all="ignore"):
        out[...] = x.astype(np.float16).sum(axis=1)
'''
FILES = {
    "problem.py": PROBLEM,
    "baseline.py": BASELINE,
    "starter.py": STARTER,
    "starter.pyx": CYTHON,
    "must_fail/zeros.py": ZEROS,
    "must_fail/half.py": HALF,
}


def write_pack(name: str, home: Path) -> Path:
    """Write a pack to start from.

    Parameters
    ----------
    name : str
        Small letters, digits and underscores.
    home : Path
        The competition; the pack is ``HOME/problems/NAME``.

    Returns
    -------
    Path
        Its folder.

    Raises
    ------
    ValueError
        For another kind of name, and where there is one of this name.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"a problem's name has small letters, digits and underscores, got {name!r}")
    folder = home / "problems" / name
    if folder.exists():
        raise ValueError(f"{folder} exists; try it with --try, or choose another name")
    for file, text in FILES.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
