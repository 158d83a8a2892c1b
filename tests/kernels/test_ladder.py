"""Every rung of the ladder, as built for speed and as built with line tracing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from tensorops._traced import ladder as traced
from tensorops.kernels import ladder
from tests.kernels.operands import DTYPES, LAYOUTS, OPERAND_LAYOUTS, Array, Framed, arrange, whole_numbers
from tests.kernels.oracles import failure, too_far

NAMES = sorted(
    name
    for name, value in vars(ladder).items()
    if not name.startswith("_") and hasattr(value, "__signatures__")
)
# These show what the order of the loops does to contiguous rows, and take nothing else.
CONTIGUOUS = {"reordered", "blocked"}

Rung = Callable[..., None]


@pytest.fixture(params=[ladder, traced], ids=["plain", "traced"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    built: ModuleType = request.param
    return built


@pytest.fixture(params=NAMES)
def rung(request: pytest.FixtureRequest, module: ModuleType) -> Rung:
    function: Rung = getattr(module, request.param)
    return function


def accepts(rung: Rung, layout: str) -> bool:
    return rung.__name__ not in CONTIGUOUS or layout == "C"


def test_there_are_rungs() -> None:
    assert set(NAMES) >= {"naive", *CONTIGUOUS}
    assert [name for name in NAMES if not hasattr(traced, name)] == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_sizes(rung: Rung, dtype: str, rng: np.random.Generator) -> None:
    layouts = itertools.cycle(OPERAND_LAYOUTS)
    for m, k, n in itertools.product((1, 2, 3, 9, 17), repeat=3):
        a, b = whole_numbers(rng, (m, k), dtype), whole_numbers(rng, (k, n), dtype)
        assert failure(rung, a, b, (next(layouts), "C", "C")) is None


@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts(rung: Rung, dtype: str, rng: np.random.Generator) -> None:
    a, b = whole_numbers(rng, (5, 6), dtype), whole_numbers(rng, (6, 7), dtype)
    for layouts in itertools.product(OPERAND_LAYOUTS, OPERAND_LAYOUTS, LAYOUTS):
        if accepts(rung, layouts[1]) and accepts(rung, layouts[2]):
            assert failure(rung, a, b, layouts) is None
        else:
            framed = Framed((5, 7), dtype, layouts[2])
            with pytest.raises(ValueError, match="not C-contiguous"):
                rung(arrange(a, layouts[0]), arrange(b, layouts[1]), framed.out)
            assert np.isnan(framed.out).all()


@pytest.mark.parametrize("block", [1, 2, 5, 6, 64])
@pytest.mark.parametrize("dtype", DTYPES)
def test_blocks_of_any_size(module: ModuleType, dtype: str, block: int, rng: np.random.Generator) -> None:
    def rung(a: Array, b: Array, c: Array) -> None:
        module.blocked(a, b, c, block=block)

    for m, k, n in itertools.product((1, 5, 11), (1, 5, 6, 13), (1, 8, 17, 50)):
        a, b = whole_numbers(rng, (m, k), dtype), whole_numbers(rng, (k, n), dtype)
        assert failure(rung, a, b, ("C", "C", "C")) is None


@pytest.mark.parametrize("dtype", DTYPES)
def test_error_of_real_numbers(rung: Rung, dtype: str, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((9, 200)).astype(dtype), rng.standard_normal((200, 11)).astype(dtype)
    out = np.full((9, 11), np.nan, dtype)
    rung(a, b, out)
    assert too_far(out, a, b) is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dims", [(0, 3, 2), (3, 0, 2), (3, 2, 0), (0, 0, 0)], ids=str)
def test_empty_dimensions(rung: Rung, dtype: str, dims: tuple[int, int, int]) -> None:
    m, k, n = dims
    out = np.full((m, n), np.nan, dtype)
    rung(np.ones((m, k), dtype), np.ones((k, n), dtype), out)
    assert np.array_equal(out, np.zeros((m, n)))


def test_special_values(rung: Rung) -> None:
    a, b = np.ones((3, 4), np.float32), np.ones((4, 5), np.float32)
    a[0, 1], a[1, 2], b[3, 4] = np.inf, np.nan, -np.inf
    out = np.zeros((3, 5), np.float32)
    rung(a, b, out)
    with np.errstate(invalid="ignore"):
        assert np.array_equal(out, np.matmul(a, b), equal_nan=True)


def test_read_only_operands(rung: Rung) -> None:
    a, b = np.eye(3), np.arange(9.0).reshape(3, 3)
    a.flags.writeable = b.flags.writeable = False
    out = np.empty((3, 3))
    rung(a, b, out)
    assert np.array_equal(out, b)


@pytest.mark.parametrize(
    ("a", "b", "c"),
    [
        ((2, 3), (4, 5), (2, 5)),
        ((2, 3), (3, 5), (2, 4)),
        ((2, 3), (3, 5), (3, 5)),
        ((2, 3), (3, 5), (5, 2)),
    ],
    ids=str,
)
def test_shapes_that_do_not_fit(
    rung: Rung, a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]
) -> None:
    out = np.full(c, np.nan)
    with pytest.raises(ValueError, match=r"shape"):
        rung(np.ones(a), np.ones(b), out)
    assert np.isnan(out).all()


def test_dtypes_that_do_not_fit(rung: Rung) -> None:
    out = np.full((2, 2), np.nan)
    for a, b in [(np.eye(2, dtype=np.float32), np.eye(2)), (np.eye(2, dtype=int), np.eye(2, dtype=int))]:
        with pytest.raises((TypeError, ValueError)):
            rung(a, b, out)
    assert np.isnan(out).all()


def test_a_result_that_is_read_only(rung: Rung) -> None:
    out = np.zeros((2, 2))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        rung(np.eye(2), np.eye(2), out)


@pytest.mark.parametrize("block", [0, -1])
def test_blocks_of_no_size(module: ModuleType, block: int) -> None:
    out = np.full((2, 2), np.nan)
    with pytest.raises(ValueError, match="block must be at least 1"):
        module.blocked(np.eye(2), np.eye(2), out, block=block)
    assert np.isnan(out).all()
