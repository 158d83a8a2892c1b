"""Bias and activation in the product's own pass: every kind of kernel and layout, nothing written beside."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tensorops.activations import ACTIVATIONS
from tensorops.kernels.gemm import family
from tensorops.kernels.gemm.layers import linear_backward_into, linear_into
from tensorops.operations import OPERATIONS
from tests.kernels.operands import (
    DTYPES,
    LAYOUTS,
    OPERAND_LAYOUTS,
    PACKING,
    THREADS,
    Array,
    Framed,
    arrange,
    small_blocks,
    whole_numbers,
)

SPEC = OPERATIONS["linear"]
BACKWARD = OPERATIONS["linear_backward"]
pytestmark = pytest.mark.parametrize("dtype", DTYPES)

# One tile, blocks with edges, dot products, few rows, little depth, no depth; each also turned.
SHAPES = (
    (3, 5, 16),
    (33, 20, 70),
    (40, 30, 1),
    (1, 30, 40),
    (4, 9, 100),
    (100, 9, 4),
    (2, 600, 70),
    (40, 1, 90),
    (5, 0, 7),
    (17, 8, 3),
)


def problem(result: Array, operands: tuple[Array | None, ...], activation: str | None) -> str | None:
    """Return where a layer's result is beyond its bound, or None."""
    expected = SPEC.reference(*operands, activation=activation)
    far = ~(np.abs(result - expected) <= SPEC.error_bound(*operands, activation=activation))
    if not far.any():
        return None
    at = tuple(int(index) for index in np.argwhere(far)[0])
    return f"{activation}: {np.count_nonzero(far)} elements, first {at}: {result[at]} for {expected[at]}"


@pytest.mark.parametrize("pack", PACKING)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_kernel_and_layout(
    dtype: str, shape: tuple[int, int, int], pack: str, rng: np.random.Generator
) -> None:
    m, k, n = shape
    x, weight = whole_numbers(rng, (m, k), dtype), whole_numbers(rng, (k, n), dtype)
    bias = whole_numbers(rng, (n,), dtype)
    exact = x.astype(int) @ weight.astype(int)
    layouts = list(itertools.product(OPERAND_LAYOUTS, OPERAND_LAYOUTS, LAYOUTS))
    cases = itertools.product((None, "relu"), (None, bias), (1, 2))
    # Primes: every layout of each operand comes up with every case.
    for number, (activation, shifts, threads) in enumerate(cases):
        for left, right, result in layouts[number::37]:
            framed = Framed((m, n), dtype, result)
            with small_blocks(dtype):
                linear_into(
                    arrange(x, left), arrange(weight, right), shifts, framed.out, activation, pack, threads
                )
            read = arrange(x, left).astype(int) @ arrange(weight, right).astype(int) if k else exact
            total = read + (0 if shifts is None else shifts.astype(int))
            expected = np.maximum(total, 0) if activation else total
            assert np.array_equal(framed.out, expected), (left, right, result, activation)
            assert framed.stray_writes() == 0


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(dtype: str, activation: str, rng: np.random.Generator) -> None:
    mr, nr = family.tile_shape(dtype)
    shapes = [(mr + 1, 12, nr + 3), (5, 300, 2 * nr), (3, 7, 200), (50, 20, 1), (9, 5, 3), (4, 0, 5)]
    for (m, k, n), layout in itertools.product(shapes, ("C", "strided")):
        x = (2 * rng.standard_normal((m, k)) / np.sqrt(k + 1)).astype(dtype)
        weight = rng.standard_normal((k, n)).astype(dtype)
        bias = rng.standard_normal(n).astype(dtype)
        for shifts in (None, bias):
            framed = Framed((m, n), dtype, layout)
            linear_into(x, weight, shifts, framed.out, activation)
            assert problem(framed.out, (x, weight, shifts), activation) is None
            assert framed.stray_writes() == 0
        wrong = framed.out.copy()
        wrong[-1, -1] += 1e-3
        assert problem(wrong, (x, weight, bias), activation) is not None


def test_large_layers_on_threads_give_the_same_bits(dtype: str, rng: np.random.Generator) -> None:
    for m, k, n in [(130, 300, 200), (8, 700, 900), (900, 700, 1), (950, 1, 900)]:
        x, weight = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        bias = rng.standard_normal(n).astype(dtype)
        results = []
        for threads in THREADS:
            out = np.full((m, n), np.nan, dtype)
            linear_into(x, weight, bias, out, "gelu", "auto", threads)
            results.append(out)
        assert problem(results[0], (x, weight, bias), "gelu") is None
        assert all(np.array_equal(results[0], result) for result in results[1:])


def test_special_values_pass(dtype: str) -> None:
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -1.0, 90.0, -90.0], dtype)
    weight = np.eye(1, dtype=dtype)
    for activation in (None, *ACTIVATIONS):
        out = np.empty((9, 1), dtype)
        linear_into(special[:, None], weight, None, out, activation)
        expected = SPEC.reference(special[:, None], weight, activation=activation)
        assert np.array_equal(np.isnan(out), np.isnan(expected)), activation
        finite = np.isfinite(expected)
        assert np.array_equal(out[~finite & ~np.isnan(expected)], expected[~finite & ~np.isnan(expected)])
        assert np.allclose(out[finite], expected[finite], rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("threads", (1, 2))
@pytest.mark.parametrize("pack", PACKING)
@pytest.mark.parametrize("shape", [(7, 9, 5), (40, 33, 70), (1, 20, 130), (0, 3, 4), (6, 4, 1)], ids=str)
def test_gradients(
    dtype: str, shape: tuple[int, int, int], pack: str, threads: int, rng: np.random.Generator
) -> None:
    m, k, n = shape
    whole = [whole_numbers(rng, size, dtype) for size in ((m, n), (m, k), (k, n))]
    expected = BACKWARD.reference(*whole)
    for layouts in zip(LAYOUTS, list(LAYOUTS)[3:] + list(LAYOUTS)[:3], list(LAYOUTS)[::-1], strict=True):
        grad, x, weight = (arrange(array, layout) for array, layout in zip(whole, layouts, strict=True))
        results = [Framed((m, k), dtype, layouts[0]), Framed((k, n), dtype, layouts[1])]
        dbias = Framed((1, n), dtype, "C with gaps")
        with small_blocks(dtype):
            linear_backward_into(grad, x, weight, results[0].out, results[1].out, dbias.out[0], pack, threads)
        for framed, part in zip([*results, dbias], expected, strict=True):
            assert np.array_equal(framed.out.reshape(part.shape), part)
            assert framed.stray_writes() == 0


def test_a_gradient_of_many_rows_is_within_the_bound(dtype: str, rng: np.random.Generator) -> None:
    operands = [rng.standard_normal(size).astype(dtype) for size in ((5000, 70), (5000, 3), (3, 70))]
    results = (np.empty((5000, 3), dtype), np.empty((3, 70), dtype), np.empty(70, dtype))
    linear_backward_into(*operands, *results)
    for part, expected, bound in zip(
        results, BACKWARD.reference(*operands), BACKWARD.error_bound(*operands), strict=True
    ):
        assert np.all(np.abs(part - expected) <= bound)
    results[2][:] = 7
    linear_backward_into(*operands, *results[:2], None)
    assert np.all(results[2] == 7)


def test_wrong_arguments_are_refused(dtype: str) -> None:
    x, weight, bias, out = (np.ones(size, dtype) for size in ((2, 3), (3, 4), (4,), (2, 4)))
    other = "float32" if dtype == "float64" else "float64"
    for error, arguments, said in (
        (ValueError, (x, weight, bias, out, "swish"), "activation must be one of relu, gelu"),
        (ValueError, (x, weight, bias, out, None, "sometimes"), "pack must be one of"),
        (ValueError, (x, weight, bias[:3], out), "have the shapes"),
        (ValueError, (x, weight.T, bias, out), "have the shapes"),
        (ValueError, (x, bias, bias, out), "weight two"),
        (TypeError, (x, weight.astype(other), bias, out), "one dtype"),
        (TypeError, (x.astype("int32"), weight, bias, out), "one dtype"),
    ):
        with pytest.raises(error, match=said):
            linear_into(*arguments)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        linear_into(x, weight, bias, out)
    dx, dweight = np.empty_like(x), np.empty_like(weight)
    with pytest.raises(ValueError, match="have the shapes"):
        linear_backward_into(x, x, weight, dx, dweight, bias)
    with pytest.raises(ValueError, match="two dimensions"):
        linear_backward_into(out, bias, weight, dx, dweight, bias)
    dx.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        linear_backward_into(out, x, weight, dx, dweight, bias)
