"""One step of Adam."""

import numpy as np

from profiling.competition.pack import Band, Problem

TEXT = """\
Take the tenth step of Adam. From parameters p, gradients g, and the running means m and v, write the new
parameters into out[0], the new m into out[1] and the new v into out[2]:

    m1 = 0.9 * m + 0.1 * g

    v1 = 0.999 * v + 0.001 * g**2

    p1 = p - 0.001 * (m1 / (1 - 0.9**10)) / (sqrt(v1 / (1 - 0.999**10)) + 1e-8)

p, g, m and v are float32 vectors of n elements, out is a C-contiguous float32 matrix of 3 rows and n columns.
No element of v is below zero. The baseline takes some twelve passes with NumPy.
"""


def make(rng, sizes, scale):
    """Return parameters, gradients and the two means."""
    n = sizes[0]
    p = rng.standard_normal(n, np.float32)
    g = rng.standard_normal(n, np.float32) * np.float32(scale)
    m = rng.standard_normal(n, np.float32) * np.float32(0.3 * scale)
    v = np.square(rng.standard_normal(n, np.float32) * np.float32(scale)) + np.float32(1e-12)
    return p, g, m, v


def oracle(p, g, m, v):
    """Return the three rows in float64."""
    p, g, m, v = (array.astype(np.float64) for array in (p, g, m, v))
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    step = (m / (1 - 0.9**10)) / (np.sqrt(v / (1 - 0.999**10)) + 1e-8)
    return np.stack([p - 0.001 * step, m, v])


def error_scale(expected, p, g, m, v):
    """Return what a step of the parameters, and the sums of the means, are made of."""
    p, g, m, v = (np.abs(array.astype(np.float64)) for array in (p, g, m, v))
    step = np.abs(expected[0] - p)
    scale = np.empty_like(expected)
    # A step is small beside its parameter, and has to be right all the same.
    scale[0] = np.maximum(np.minimum(step, 0.01), 0.0005) + 0.01 * np.abs(p)
    scale[1] = 0.9 * m + 0.1 * g + 1e-300
    scale[2] = 0.999 * v + 0.001 * g * g + 1e-300
    return scale


PROBLEM = Problem(
    title="One step of Adam",
    call="kernel(p, g, m, v, out)",
    text=TEXT,
    sizes=("elements",),
    timed=(
        Band("in cache", ((47_000, 52_000),)),
        Band("in the second cache", ((95_000, 105_000),)),
        Band("larger", ((190_000, 210_000),)),
        Band("small gradients", ((95_000, 105_000),), scale=1e-3),
    ),
    checked=(
        Band("one", ((1, 1),)),
        Band("few", ((2, 40),)),
        Band("odd", ((41, 3000),)),
        Band("large gradients", ((100, 3000),), scale=100.0),
        Band("tiny gradients", ((100, 3000),), scale=1e-6),
    ),
    make=make,
    oracle=oracle,
    out_shape=lambda sizes: (3, sizes[0]),
    tolerance=4e-5,
    flops=lambda sizes: 14.0 * sizes[0],
    bytes=lambda sizes: 28.0 * sizes[0],
    error_scale=error_scale,
    operation="adam_step_",
)
