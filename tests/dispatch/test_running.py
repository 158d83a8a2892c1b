"""What happens when a registered backend fails, and what when it is forced or excluded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import tensorops
from tensorops.backends import Call, ComputeBackend, register_backend, unregister_backend
from tensorops.backends.base import Array
from tensorops.dispatch import schema, selection, table
from tensorops.dispatch.records import Entry, PathResult, Profile
from tensorops.dispatch.running import BackendWarning
from tensorops.dispatch.selection import choose_path, force_path

SHAPES = ((30, 40), (40, 50))


class Unreliable(ComputeBackend):
    """A backend whose `run` is what a test says."""

    name = "unreliable"
    calls = 0

    def __init__(self, run: Any) -> None:
        self._run = run

    def supports(self, call: Call) -> str | None:
        return None

    def run(
        self, op: str, arrays: Sequence[Array], out: Array, *, variant: str | None = None, **params: Any
    ) -> Array:
        Unreliable.calls += 1
        result: Array = self._run(arrays, out)
        return result


def failing(arrays: Sequence[Array], out: Array) -> Array:
    out[...] = -1
    raise RuntimeError("no more ink")


def wrong_shape(arrays: Sequence[Array], out: Array) -> Array:
    return np.zeros((2, 2), out.dtype)


def right(arrays: Sequence[Array], out: Array) -> Array:
    return np.matmul(*arrays, out=out)


@pytest.fixture
def measured_best(request: pytest.FixtureRequest) -> Iterator[None]:
    """Register a backend, and store a profile in which it wins."""
    register_backend(Unreliable(request.param))
    Unreliable.calls = 0
    paths = {
        "unreliable": PathResult(1e-6, 0.9e-6, 1.1e-6),
        "blocked/small": PathResult(2e-5, 1.9e-5, 2.1e-5),
        "numpy": PathResult(3e-5, 2.9e-5, 3.1e-5),
    }
    shapes = table.representative(SHAPES)
    entries = [Entry("matmul", "float32", shapes, paths=paths, threads=count) for count in (1, 2)]
    schema.save(Profile(schema.fingerprint(), tuple(entries)))
    selection.reload_profile()
    yield
    unregister_backend("unreliable")


def operands() -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    a, b = (rng.integers(-4, 5, shape).astype(np.float32) for shape in SHAPES)
    return a, b


@pytest.mark.parametrize("measured_best", [right], indirect=True)
def test_a_registered_backend_computes_where_it_won(measured_best: None) -> None:
    a, b = operands()
    assert np.array_equal(tensorops.matmul(a, b), a @ b)
    assert Unreliable.calls == 1


@pytest.mark.parametrize("measured_best", [failing, wrong_shape], indirect=True)
def test_a_backend_that_fails_is_replaced_once_and_said_so_once(measured_best: None) -> None:
    a, b = operands()
    with pytest.warns(BackendWarning, match=r"path 'unreliable' is replaced by 'blocked/small': it failed"):
        assert np.array_equal(tensorops.matmul(a, b), a @ b)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(tensorops.matmul(a, b), a @ b)
    assert Unreliable.calls == 1
    candidates = choose_path(Call("matmul", "float32", SHAPES)).candidates
    assert "it failed in this process" in str({item.path: item.excluded_reason for item in candidates})


@pytest.mark.parametrize("measured_best", [failing], indirect=True)
def test_nothing_is_replaced_where_memory_of_the_user_was_written(measured_best: None) -> None:
    a, b = operands()
    out = np.empty((30, 50), np.float32)
    with pytest.raises(RuntimeError, match="no more ink"):
        tensorops.matmul(a, b, out=out)


@pytest.mark.parametrize("measured_best", [failing], indirect=True)
def test_nothing_is_replaced_that_was_asked_for_by_name(measured_best: None) -> None:
    a, b = operands()
    with pytest.raises(RuntimeError, match="no more ink"):
        tensorops.matmul(a, b, backend="unreliable")
    with tensorops.use_backend("unreliable"), pytest.raises(RuntimeError, match="no more ink"):
        tensorops.matmul(a, b)
    with pytest.raises(RuntimeError, match="returned an array of shape"):
        selection.included_again()
        register_backend(Unreliable(wrong_shape), replace=True)
        tensorops.matmul(a, b, backend="unreliable")


@pytest.mark.parametrize("measured_best", [failing], indirect=True)
def test_a_path_that_failed_takes_part_again_when_the_backends_change(measured_best: None) -> None:
    a, b = operands()
    with pytest.warns(BackendWarning):
        tensorops.matmul(a, b)
    register_backend(Unreliable(right), replace=True)
    assert np.array_equal(tensorops.matmul(a, b), a @ b)
    assert Unreliable.calls == 2


def test_a_forced_path_is_taken_by_every_call_and_only_as_long() -> None:
    a, b = operands()
    register_backend(Unreliable(right))
    Unreliable.calls = 0
    try:
        with force_path("unreliable"):
            tensorops.matmul(a, b)
            assert choose_path(Call("matmul", "float32", SHAPES, threads=2)).threads == 2
        tensorops.matmul(a, b)
    finally:
        unregister_backend("unreliable")
    assert Unreliable.calls == 1


@pytest.mark.parametrize("backend", ["blocked", "numpy"])
def test_a_backend_asked_for_is_kept_apart_from_the_choice(backend: str) -> None:
    a, b = operands()
    expected = a @ b
    for _ in range(2):
        with tensorops.use_backend(backend):
            assert np.array_equal(tensorops.matmul(a, b), expected)
        with force_path("naive"):
            assert np.array_equal(tensorops.matmul(a, b), expected)
        assert np.array_equal(tensorops.matmul(a, b), expected)


class EvenOnly(Unreliable):
    """A backend that computes matrices of even sizes only."""

    name = "even_only"

    def supports(self, call: Call) -> str | None:
        if call.op != "matmul":
            return f"it has no {call.op}"
        odd = [size for shape in call.shapes for size in shape if size % 2]
        return f"{odd[0]} is odd" if odd else None


@pytest.fixture
def even_only() -> Iterator[None]:
    register_backend(EvenOnly(right))
    Unreliable.calls = 0
    yield
    unregister_backend("even_only")


# 30, 40, 50 and 31, 41, 51 lie in the same size classes; the middles of these are odd in part.
ODD = ((31, 41), (41, 51))


@pytest.mark.parametrize("by", ["name", "block"])
def test_a_backend_asked_for_is_asked_about_the_call_itself(even_only: None, by: str) -> None:
    def product(a: Array, b: Array, **options: Any) -> Array:
        if by == "name":
            return tensorops.matmul(a, b, backend="even_only", **options)
        with tensorops.use_backend("even_only"):
            return tensorops.matmul(a, b, **options)

    assert table.representative(SHAPES) == table.representative(ODD)
    assert any(size % 2 for shape in table.representative(SHAPES) for size in shape)
    a, b = operands()
    assert np.array_equal(product(a, b), a @ b)
    assert Unreliable.calls == 1
    odd_a, odd_b = (np.ones(shape, np.float32) for shape in ODD)
    out = np.full((31, 51), 7, np.float32)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"backend 'even_only', asked for by .*: 31 is odd"):
            product(odd_a, odd_b, out=out)
    assert (out == 7).all()
    assert np.array_equal(product(a, b), a @ b)


def test_another_operation_than_the_backend_has_is_an_error(even_only: None) -> None:
    x = np.ones(4)
    with tensorops.use_backend("even_only"), pytest.raises(ValueError, match="it has no exp"):
        tensorops.exp(x, out=x)
    assert (x == 1).all()


def test_what_a_backend_chosen_for_a_size_class_cannot_compute_the_next_best_does() -> None:
    middle = table.representative(SHAPES)

    class LikesTheMiddle(EvenOnly):
        def supports(self, call: Call) -> str | None:
            return None if call.shapes in (middle, SHAPES) else "not these"

    register_backend(LikesTheMiddle(right))
    try:
        paths = {"even_only": PathResult(1e-6, 0.9e-6, 1.1e-6), "numpy": PathResult(3e-5, 2.9e-5, 3.1e-5)}
        paths["blocked/small"] = PathResult(2e-5, 1.9e-5, 2.1e-5)
        entries = [Entry("matmul", "float32", middle, paths=paths, threads=count) for count in (1, 2)]
        schema.save(Profile(schema.fingerprint(), tuple(entries)))
        selection.reload_profile()
        Unreliable.calls = 0
        a, b = operands()
        odd_a, odd_b = (np.ones(shape, np.float32) for shape in ODD)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            out = np.empty((31, 51), np.float32)
            assert (tensorops.matmul(odd_a, odd_b, out=out) == 41).all()
            assert Unreliable.calls == 0
            assert np.array_equal(tensorops.matmul(a, b), a @ b)
        assert Unreliable.calls == 1
        found = {
            item.path: item.excluded_reason for item in tensorops.explain("matmul", *ODD).choice.candidates
        }
        assert found["even_only"] == "not these"
        assert tensorops.explain("matmul", *SHAPES).choice.path == "even_only"
    finally:
        unregister_backend("even_only")
