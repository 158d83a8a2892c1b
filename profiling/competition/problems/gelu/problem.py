"""The Gaussian error linear unit, in its tanh form."""

import numpy as np

from profiling.competition.pack import Band, Problem

TEXT = """\
Write the GELU of every element of x into out, in the form with tanh:

    out[i] = 0.5 * x[i] * (1 + tanh(sqrt(2 / pi) * (x[i] + 0.044715 * x[i]**3)))

x and out are float32 vectors. The baseline takes seven passes with NumPy, in place.
"""
FACTOR = np.sqrt(2 / np.pi)


def make(rng, sizes, scale):
    """Return a vector."""
    return (rng.standard_normal(sizes[0], np.float32) * np.float32(scale),)


def oracle(x):
    """Return the result in float64, without cancellation: 1 + tanh(u) is 2 / (1 + exp(-2 u))."""
    wide = x.astype(np.float64)
    with np.errstate(over="ignore"):
        return wide / (1 + np.exp(-2 * FACTOR * (wide + 0.044715 * wide * wide * wide)))


def error_scale(expected, x):
    """Return the value itself, but at least a thousandth of x: far below zero only smallness counts."""
    return np.maximum(np.abs(expected), 2.0**-10 * np.abs(x.astype(np.float64))) + 1e-300


PROBLEM = Problem(
    title="GELU, tanh form",
    call="kernel(x, out)",
    text=TEXT,
    sizes=("elements",),
    timed=(
        Band("in cache", ((95_000, 105_000),)),
        Band("in the second cache", ((190_000, 210_000),)),
        Band("small values", ((140_000, 155_000),), scale=0.1),
        Band("large values", ((140_000, 155_000),), scale=6.0),
    ),
    checked=(
        Band("one", ((1, 1),)),
        Band("few", ((2, 40),)),
        Band("odd", ((41, 3000),)),
        Band("huge values", ((100, 3000),), scale=1e4),
        Band("tiny values", ((100, 3000),), scale=1e-5),
    ),
    make=make,
    oracle=oracle,
    out_shape=lambda sizes: sizes,
    tolerance=2e-4,
    flops=lambda sizes: 12.0 * sizes[0],
    bytes=lambda sizes: 8.0 * sizes[0],
    error_scale=error_scale,
    operation="gelu",
)
