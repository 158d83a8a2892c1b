"""Every function of the whitelist against NumPy's in extended precision, and on special values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.fuse.functions import ACTIVATIONS, ROWS, evaluate

Array = np.ndarray[Any, Any]
DTYPES = ["float32", "float64"]
ULPS = 4.0
# Functions that round the true value correctly, as NumPy does: equal to the last bit.
EXACT = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "negative",
    "positive",
    "absolute",
    "fabs",
    "sign",
    "square",
    "reciprocal",
    "sqrt",
    "floor",
    "ceil",
    "trunc",
    "rint",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "equal",
    "not_equal",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "copysign",
    "heaviside",
    "isnan",
    "isinf",
    "isfinite",
    "signbit",
    "logical_and",
    "logical_or",
    "logical_xor",
    "logical_not",
    "fmod",
    "remainder",
    "floor_divide",
]
# Where the others are compared: lowest and highest argument, the second operand's after the first's.
RANGES: dict[str, tuple[tuple[float, float], ...]] = {
    "exp": ((-80, 88),),
    "exp2": ((-120, 127),),
    "expm1": ((-20, 88),),
    "log": ((0, 1e30),),
    "log2": ((0, 1e30),),
    "log10": ((0, 1e30),),
    "log1p": ((-1, 1e4),),
    "sin": ((-11000, 11000),),
    "cos": ((-11000, 11000),),
    "tan": ((-1000, 1000),),
    "arcsin": ((-1, 1),),
    "arccos": ((-1, 1),),
    "arctan": ((-50, 50),),
    "sinh": ((-80, 80),),
    "cosh": ((-80, 80),),
    "tanh": ((-9, 9),),
    "arcsinh": ((-1e3, 1e3),),
    "arccosh": ((1, 1e3),),
    "arctanh": ((-1, 1),),
    "cbrt": ((-1e3, 1e3),),
    "degrees": ((-10, 10),),
    "radians": ((-1e3, 1e3),),
    "rad2deg": ((-10, 10),),
    "deg2rad": ((-1e3, 1e3),),
    "power": ((0, 100), (-15, 15)),
    "arctan2": ((-10, 10), (-10, 10)),
    "hypot": ((-1e3, 1e3), (-1e3, 1e3)),
}
SPECIAL = [
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    1,
    -1,
    2,
    -2,
    0.5,
    -0.5,
    3,
    -3,
    1e-40,
    1e30,
    -1e30,
    2.5,
    20000.0,
]


def arguments(name: str, dtype: str, rng: np.random.Generator) -> list[Array]:
    """Return operands all over a function's range, many near 0, near 1 and near multiples of pi / 2."""
    found = []
    for low, high in RANGES[name]:
        small = np.exp(rng.uniform(np.log(1e-30), np.log(high), 4000)) * rng.choice([-1, 1], 4000)
        near = np.concatenate([np.ones(1000), rng.integers(-6000, 6000, 2000) * np.pi / 2])
        near = near * (1 + rng.standard_normal(3000) * 1e-6)
        values = np.concatenate(
            [rng.uniform(low, high, 8000), rng.uniform(max(low, -2), min(high, 2), 4000), small, near]
        )
        inside = values[(values >= low) & (values <= high)]
        found.append(rng.permutation(np.resize(inside, 16001)).astype(dtype))
    return found


def test_every_row_is_compared() -> None:
    others = {"bitwise_and", "bitwise_or", "bitwise_xor", "invert", "where", "logaddexp"}
    assert {*EXACT, *RANGES, *others} == set(ROWS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RANGES)
def test_error_is_bounded(name: str, dtype: str, rng: np.random.Generator) -> None:
    if dtype == "float64" and np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("this platform has no wider type to compare float64 with")
    operands = arguments(name, dtype, rng)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(*[x.astype(np.longdouble) for x in operands])
        rounded = expected.astype(dtype)
    result = evaluate(name, *operands)
    usual = np.isfinite(rounded)
    assert np.array_equal(result[~usual], rounded[~usual], equal_nan=True)
    unit = np.spacing(np.abs(rounded[usual])).astype(np.longdouble)
    assert np.max(np.abs(result[usual] - expected[usual]) / unit) <= ULPS


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_equal_to_numpy(name: str, dtype: str, rng: np.random.Generator) -> None:
    grid = np.concatenate([np.array(SPECIAL), rng.uniform(-5, 5, 23), rng.integers(-9, 9, 20) / 2]).astype(
        dtype
    )
    operands = np.meshgrid(*[grid] * len(ROWS[name].operands))
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(*[x.ravel() for x in operands]).astype(dtype)
    assert np.array_equal(evaluate(name, *[x.ravel() for x in operands]), expected, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in RANGES if name not in EXACT])
def test_special_values(name: str, dtype: str) -> None:
    operands = [x.ravel() for x in np.meshgrid(*[np.array(SPECIAL, dtype)] * len(ROWS[name].operands))]
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(*operands)
    result = evaluate(name, *operands)
    assert np.allclose(result, expected, rtol=8 * np.finfo(dtype).eps, atol=0, equal_nan=True)
    assert np.array_equal(np.signbit(result[~np.isnan(result)]), np.signbit(expected[~np.isnan(expected)]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sin", "tan"])
def test_the_sign_of_zero_stays_where_all_is_near(name: str, dtype: str) -> None:
    # Beside a NaN or an infinity the whole vector is computed another way.
    result = evaluate(name, np.full(64, -0.0, dtype))
    assert np.all(result == 0)
    assert np.all(np.signbit(result))


@pytest.mark.parametrize("dtype", DTYPES)
def test_logarithm_of_a_sum(dtype: str, rng: np.random.Generator) -> None:
    x, y = (rng.uniform(-50, 50, 5000).astype(dtype) for _ in range(2))
    y[:5] = x[:5] = np.array([np.inf, -np.inf, 0, 1, np.nan])
    with np.errstate(all="ignore"):
        expected = np.logaddexp(x.astype(np.float64), y.astype(np.float64))
    eps = np.finfo(dtype).eps
    bound = eps * (4 * np.abs(expected) + np.abs(x))
    result = evaluate("logaddexp", x, y)
    assert np.all(np.abs(result[5:] - expected[5:]) <= bound[5:])
    assert np.allclose(result[:5], expected[:5], equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_choice_by_a_mask(dtype: str, rng: np.random.Generator) -> None:
    mask, x, y = rng.integers(0, 2, 99).astype(dtype), rng.standard_normal(99), rng.standard_normal(99)
    x, y = x.astype(dtype), y.astype(dtype)
    assert np.array_equal(evaluate("where", mask, x, y), np.where(mask != 0, x, y))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_our_own_functions_are_the_kernels(name: str, dtype: str, rng: np.random.Generator) -> None:
    x = (3 * rng.standard_normal(1001)).astype(dtype)
    eps = np.finfo(dtype).eps
    assert np.allclose(evaluate(name, x), ACTIVATIONS[name].function(x), rtol=4 * eps, atol=eps)
