"""Softmax over the rows of a matrix."""

import numpy as np

from profiling.competition.pack import Band, Problem

TEXT = """\
Write the softmax of every row of x into out:

    out[i, j] = exp(x[i, j] - max(x[i])) / sum over k of exp(x[i, k] - max(x[i]))

x and out are C-contiguous float32 matrices of the same shape. Rows may hold large numbers: without the
maximum, exp overflows. The baseline makes five passes over the data with NumPy.
"""


def make(rng, sizes, scale):
    """Return a matrix whose rows have offsets of their own."""
    rows, columns = sizes
    x = rng.standard_normal((rows, columns), np.float32)
    x *= np.float32(scale)
    x += rng.standard_normal((rows, 1), np.float32) * np.float32(4 * scale)
    return (x,)


def oracle(x):
    """Return the softmax in float64."""
    wide = x.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    np.exp(wide, out=wide)
    wide /= wide.sum(axis=1, keepdims=True)
    return wide


PROBLEM = Problem(
    title="Softmax of rows",
    call="kernel(x, out)",
    text=TEXT,
    sizes=("rows", "columns"),
    timed=(
        Band("narrow", ((3900, 4200), (60, 68))),
        Band("middle", ((700, 760), (340, 380))),
        Band("wide", ((120, 136), (1980, 2120))),
        Band("hot", ((250, 270), (980, 1060)), scale=10.0),
    ),
    checked=(
        Band("one value", ((1, 1), (1, 1))),
        Band("one row", ((1, 1), (2, 3000))),
        Band("one column", ((2, 500), (1, 1))),
        Band("odd", ((3, 60), (3, 90))),
        Band("small values", ((20, 40), (20, 200)), scale=0.1),
        Band("large values", ((20, 40), (20, 200)), scale=1000.0),
    ),
    make=make,
    oracle=oracle,
    out_shape=lambda sizes: sizes,
    tolerance=4e-6,
    flops=lambda sizes: 5.0 * sizes[0] * sizes[1],
    bytes=lambda sizes: 8.0 * sizes[0] * sizes[1],
    operation="softmax",
)
