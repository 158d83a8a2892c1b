"""Every path computes the same product, whatever the strides, the batch or the values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tensorops.backends import ComputeBackend, backends, get_backend, run_path
from tensorops.backends.base import layout_letter
from tensorops.backends.python_backend import matmul_lists
from tensorops.operations import OPERATIONS

Array = np.ndarray[Any, Any]

SPEC = OPERATIONS["matmul"]
# The files of the package decide which backends there are.
PATHS = [path for name, reason in backends().items() if reason is None for path in get_backend(name).paths()]
DTYPES = ["float32", "float64"]
SHAPES = [
    ((1, 1), (1, 1)),
    ((1, 7), (7, 1)),
    ((5, 1), (1, 3)),
    ((3, 5), (5, 7)),
    ((17, 9), (9, 33)),
    ((4, 3, 5), (4, 5, 2)),
    ((2, 3, 4, 5), (2, 3, 5, 6)),
    ((1, 40), (40, 19)),
]
EMPTY = [((0, 3), (3, 4)), ((2, 3), (3, 0)), ((2, 0), (0, 3)), ((0, 2, 3), (0, 3, 2)), ((2, 2, 0), (2, 0, 2))]

LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "C": np.ascontiguousarray,
    "F": lambda x: np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2),
    "gaps": lambda x: np.repeat(np.repeat(x, 2, axis=-1), 3, axis=-2)[..., ::3, ::2],
    "reversed": lambda x: np.ascontiguousarray(x[..., ::-1, ::-1])[..., ::-1, ::-1],
}


def product_shape(shapes: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return (*shapes[0][:-1], shapes[1][-1])


def whole_numbers(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> Array:
    """Return numbers whose products and sums are exact, so that one lost term shows."""
    return rng.integers(-9, 10, size=shape).astype(dtype)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_whole_numbers_are_exact(
    path: str, dtype: str, shapes: Sequence[tuple[int, ...]], rng: np.random.Generator
) -> None:
    a, b = (whole_numbers(rng, shape, dtype) for shape in shapes)
    out = np.full(product_shape(shapes), np.nan, dtype=dtype)
    assert run_path(path, "matmul", [a, b], out) is out
    assert np.array_equal(out, SPEC.reference(a, b))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout_c", LAYOUTS)
@pytest.mark.parametrize("layout_b", LAYOUTS)
@pytest.mark.parametrize("layout_a", LAYOUTS)
def test_strides_do_not_matter(
    path: str, dtype: str, layout_a: str, layout_b: str, layout_c: str, rng: np.random.Generator
) -> None:
    a = LAYOUTS[layout_a](rng.standard_normal((2, 9, 6)).astype(dtype))
    b = LAYOUTS[layout_b](rng.standard_normal((2, 6, 11)).astype(dtype))
    out = LAYOUTS[layout_c](np.full((2, 9, 11), np.nan, dtype=dtype))
    before = a.copy(), b.copy()
    run_path(path, "matmul", [a, b], out)
    assert np.all(np.abs(out - SPEC.reference(a, b)) <= SPEC.error_bound(a, b))
    assert np.array_equal(a, before[0])
    assert np.array_equal(b, before[1])


@pytest.mark.parametrize("path", PATHS)
def test_broadcast_and_read_only_operands(path: str, rng: np.random.Generator) -> None:
    a = np.broadcast_to(whole_numbers(rng, (4, 5), "float32"), (3, 4, 5))
    b = whole_numbers(rng, (3, 5, 6), "float32")
    b.flags.writeable = False
    out = np.empty((3, 4, 6), dtype=np.float32)
    run_path(path, "matmul", [a, b], out)
    assert np.array_equal(out, SPEC.reference(a, b))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("shapes", EMPTY, ids=str)
def test_empty_dimensions(path: str, shapes: Sequence[tuple[int, ...]]) -> None:
    a, b = (np.ones(shape, dtype=np.float32) for shape in shapes)
    out = np.full(product_shape(shapes), np.nan, dtype=np.float32)
    run_path(path, "matmul", [a, b], out)
    assert np.array_equal(out, SPEC.reference(a, b))


# Some kernels of NumPy's BLAS raise the flag for the zeros with which they fill up a register.
@pytest.mark.filterwarnings("ignore:invalid value encountered in matmul:RuntimeWarning")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_and_nan_stay_where_they_belong(path: str, dtype: str) -> None:
    a = np.ones((3, 4), dtype=dtype)
    a[0, 1], a[1, 2] = np.inf, np.nan
    b = np.ones((4, 5), dtype=dtype)
    out = np.zeros((3, 5), dtype=dtype)
    # Some BLAS kernels raise the processor's flag for it, some do not, and NumPy warns then.
    with np.errstate(invalid="ignore"):
        run_path(path, "matmul", [a, b], out)
    assert np.all(np.isposinf(out[0]))
    assert np.all(np.isnan(out[1]))
    assert np.all(out[2] == 4)


def test_too_large_for_float32_is_an_infinity_and_no_warning() -> None:
    big = np.full((2, 2), 3e38, dtype=np.float32)
    out = np.empty((2, 2), dtype=np.float32)
    get_backend("python").run("matmul", [big, big], out)
    assert np.all(np.isposinf(out))


def test_the_checks_of_this_file_notice_a_lost_term(rng: np.random.Generator) -> None:
    a, b = whole_numbers(rng, (5, 6), "float32"), whole_numbers(rng, (6, 7), "float32")
    b[-1] = 1
    a[:, -1] = 1
    wrong = a[:, :-1] @ b[:-1]
    assert not np.array_equal(wrong, SPEC.reference(a, b))
    assert not np.all(np.abs(wrong - SPEC.reference(a, b)) <= SPEC.error_bound(a, b))


@pytest.mark.parametrize("variant", [None, "fast"])
def test_blocked_needs_one_of_its_variants(variant: str | None) -> None:
    with pytest.raises(ValueError, match=r"no variant .*; known: small, packed"):
        get_backend("blocked").run("matmul", [np.eye(2), np.eye(2)], np.empty((2, 2)), variant=variant)


def test_numpy_names_an_operation_it_does_not_have() -> None:
    with pytest.raises(ValueError, match="'numpy' has no exq"):
        get_backend("numpy").run("exq", [np.eye(2)], np.empty((2, 2)))


def test_numpy_computes_every_dtype() -> None:
    out = np.empty((2, 2), dtype=np.complex128)
    get_backend("numpy").run("matmul", [1j * np.eye(2), np.eye(2)], out, threads=2)
    assert np.array_equal(out, 1j * np.eye(2))


def test_the_loops_of_the_course() -> None:
    assert matmul_lists([[1.0, 2.0]], [[3.0], [4.0]]) == [[11.0]]
    assert matmul_lists([], [[1.0]]) == []
    assert matmul_lists([[]], []) == [[]]


def test_a_backend_without_variants_is_its_own_path() -> None:
    class Plain(ComputeBackend):
        name = "plain"

        def supports(self, call: object) -> str | None:
            return None

        def run(self, op: str, arrays: Any, out: Array, **params: Any) -> Array:  # type: ignore[override]
            return out

    assert Plain().paths() == ("plain",)
    assert Plain().available() is None


@pytest.mark.parametrize(
    ("array", "letter"),
    [
        (np.zeros((3, 4)), "C"),
        (np.zeros((3, 4)).T, "F"),
        (np.zeros((6, 8))[::2, :4], "C"),
        (np.zeros((6, 8))[::2, :4].T, "F"),
        (np.zeros((6, 8))[:, ::2], "S"),
        (np.zeros((6, 8))[:, ::-1], "S"),
        (np.zeros((2, 3, 4)).transpose(1, 0, 2), "C"),
        (np.zeros((2, 3, 4)).transpose(0, 2, 1), "F"),
        (np.zeros((2, 3, 4)).transpose(2, 1, 0), "S"),
        (np.zeros(4), "C"),
        (np.zeros(8)[::2], "S"),
        (np.zeros((5, 1)), "C"),
        (np.zeros(()), "C"),
    ],
)
def test_layout_letters(array: Array, letter: str) -> None:
    assert layout_letter(array) == letter
