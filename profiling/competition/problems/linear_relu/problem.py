"""A linear layer with a rectifier."""

import numpy as np

from profiling.competition.pack import Band, Problem, product_scale

TEXT = """\
Multiply, add the bias, and keep what is above zero:

    out[i, j] = max(0, sum over k of x[i, k] * weight[k, j] + bias[j])

x, weight and out are C-contiguous float32 matrices, bias is a float32 vector. The baseline lets NumPy
multiply, and goes over the result twice more.
"""


def make(rng, sizes, scale):
    """Return inputs, weights and biases."""
    rows, inputs, outputs = sizes
    x = rng.standard_normal((rows, inputs), np.float32) * np.float32(scale)
    weight = rng.standard_normal((inputs, outputs), np.float32) / np.float32(np.sqrt(inputs))
    return x, weight, rng.standard_normal(outputs, np.float32)


def oracle(x, weight, bias):
    """Return the result in float64."""
    return np.maximum(x.astype(np.float64) @ weight.astype(np.float64) + bias, 0)


def error_scale(expected, x, weight, bias):
    """Return the largest value that a sum can have."""
    return product_scale(x, weight) + np.abs(bias)


PROBLEM = Problem(
    title="Linear layer with ReLU",
    call="kernel(x, weight, bias, out)",
    text=TEXT,
    sizes=("rows", "inputs", "outputs"),
    timed=(
        Band("wide", ((250, 270), (60, 68), (500, 540))),
        Band("square", ((250, 270), (250, 270), (250, 270))),
        Band("thin sums", ((500, 540), (14, 18), (500, 540))),
        Band("few outputs", ((1900, 2100), (120, 136), (60, 68))),
    ),
    checked=(
        Band("one value", ((1, 1), (1, 1), (1, 1))),
        Band("one row", ((1, 1), (2, 300), (2, 70))),
        Band("one output", ((2, 70), (2, 300), (1, 1))),
        Band("odd", ((1, 70), (1, 70), (1, 70))),
        Band("large values", ((10, 50), (10, 50), (10, 50)), scale=1e4),
    ),
    make=make,
    oracle=oracle,
    out_shape=lambda sizes: (sizes[0], sizes[2]),
    tolerance=2e-6,
    flops=lambda sizes: 2.0 * sizes[0] * sizes[1] * sizes[2] + 2.0 * sizes[0] * sizes[2],
    bytes=lambda sizes: 4.0 * (sizes[0] * sizes[1] + sizes[1] * sizes[2] + sizes[2] + sizes[0] * sizes[2]),
    error_scale=error_scale,
    operation="linear",
)
