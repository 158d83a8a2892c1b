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
