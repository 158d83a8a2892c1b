"""The product of two matrices."""

import numpy as np

from profiling.competition.pack import Band, Problem, product_scale

TEXT = """\
Write the matrix product of a and b into out:

    out[i, j] = sum over k of a[i, k] * b[k, j]

All three are C-contiguous float32 matrices. The baseline cuts the product into blocks of 48 rows, columns and
steps, and lets NumPy multiply the blocks: much faster than loops in Python, and far from what is possible.
"""


def make(rng, sizes, scale):
    """Return two matrices."""
    rows, inner, columns = sizes
    a = rng.standard_normal((rows, inner), np.float32) * np.float32(scale)
    return a, rng.standard_normal((inner, columns), np.float32)


def oracle(a, b):
    """Return the product in float64."""
    return a.astype(np.float64) @ b.astype(np.float64)


def error_scale(expected, a, b):
    """Return the largest value that a sum can have."""
    return product_scale(a, b)


PROBLEM = Problem(
    title="Matrix product",
    call="kernel(a, b, out)",
    text=TEXT,
    sizes=("rows", "steps", "columns"),
    timed=(
        Band("square", ((182, 200), (182, 200), (182, 200))),
        Band("flat", ((60, 66), (380, 410), (250, 270))),
        Band("narrow", ((380, 410), (180, 200), (60, 66))),
        Band("long sums", ((90, 100), (740, 800), (90, 100))),
    ),
    checked=(
        Band("one value", ((1, 1), (1, 1), (1, 1))),
        Band("one step", ((2, 70), (1, 1), (2, 70))),
        Band("one row", ((1, 1), (2, 300), (2, 70))),
        Band("one column", ((2, 70), (2, 300), (1, 1))),
        Band("odd", ((1, 70), (1, 70), (1, 70))),
        Band("large values", ((10, 50), (10, 50), (10, 50)), scale=1e4),
    ),
    make=make,
    oracle=oracle,
    out_shape=lambda sizes: (sizes[0], sizes[2]),
    tolerance=2e-6,
    flops=lambda sizes: 2.0 * sizes[0] * sizes[1] * sizes[2],
    bytes=lambda sizes: 4.0 * (sizes[0] * sizes[1] + sizes[1] * sizes[2] + sizes[0] * sizes[2]),
    error_scale=error_scale,
    operation="matmul",
)
