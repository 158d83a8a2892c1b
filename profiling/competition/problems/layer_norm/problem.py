"""Layer normalisation of rows."""

import numpy as np

from profiling.competition.pack import Band, Problem

TEXT = """\
Normalise every row of x, then scale and shift its columns:

    out[i, j] = (x[i, j] - mean(x[i])) / sqrt(variance(x[i]) + 1e-5) * weight[j] + bias[j]

The variance is the mean of the squared distances from the mean. x and out are C-contiguous float32 matrices,
weight and bias are float32 vectors. The mean of a row may be far larger than its spread: a variance computed
as the mean of squares less the square of the mean has no digits left then.
"""


def make(rng, sizes, scale):
    """Return a matrix whose rows have means of their own, weights and biases."""
    rows, columns = sizes
    x = rng.standard_normal((rows, columns), np.float32)
    x += rng.standard_normal((rows, 1), np.float32) * np.float32(scale)
    weight = rng.standard_normal(columns, np.float32) * np.float32(0.2) + np.float32(1)
    return x, weight, rng.standard_normal(columns, np.float32)


def oracle(x, weight, bias):
    """Return the result in float64."""
    wide = x.astype(np.float64)
    wide -= wide.mean(axis=1, keepdims=True)
    wide /= np.sqrt(np.square(wide).mean(axis=1, keepdims=True) + 1e-5)
    return wide * weight + bias


def error_scale(expected, x, weight, bias):
    """Return the largest value of the row: its mean is subtracted, which leaves absolute errors."""
    return np.abs(expected).max(axis=1, keepdims=True) + 1.0


PROBLEM = Problem(
    title="Layer normalisation",
    call="kernel(x, weight, bias, out)",
    text=TEXT,
    sizes=("rows", "columns"),
    timed=(
        Band("narrow", ((1900, 2100), (60, 68))),
        Band("middle", ((370, 400), (500, 540))),
        Band("wide", ((95, 105), (2000, 2100))),
        Band("far from zero", ((240, 260), (760, 800)), scale=20.0),
    ),
    checked=(
        Band("two columns", ((2, 90), (2, 2))),
        Band("one row", ((1, 1), (3, 900))),
        Band("odd", ((3, 60), (3, 90))),
        Band("very far from zero", ((10, 40), (50, 200)), scale=300.0),
    ),
    make=make,
    oracle=oracle,
    out_shape=lambda sizes: sizes,
    tolerance=2e-4,
    flops=lambda sizes: 8.0 * sizes[0] * sizes[1],
    bytes=lambda sizes: 8.0 * sizes[0] * sizes[1],
    error_scale=error_scale,
    operation="layer_norm",
)
