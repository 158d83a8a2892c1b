"""The names that a course's tests look for, on arrays and on a course's tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from profiling import course_names
from profiling.benchmark import BenchResult
from profiling.course_competition import standings
from profiling.measure.run import Launch
from tests.adapters.course.tensor import Tensor

PRODUCTS = [
    course_names.matmul_naive,
    course_names.matmul_blocked,
    course_names.matmul_numpy,
    course_names.optimized_matmul,
    course_names.matmul,
    course_names.Accelerator().optimized_matmul,
    course_names.NaiveBackend().matmul,
    course_names.OptimizedBackend().matmul,
]
each_product = pytest.mark.parametrize("product", PRODUCTS, ids=lambda f: getattr(f, "__qualname__", "f"))


@pytest.fixture(autouse=True)
def backend_is_restored() -> Iterator[None]:
    yield
    course_names.set_backend("optimized")


def operands(dtype: Any) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    return rng.integers(-5, 6, (7, 9)).astype(dtype), rng.integers(-5, 6, (9, 4)).astype(dtype)


@each_product
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_products_are_exact_on_integers(product: Any, dtype: str) -> None:
    a, b = operands(dtype)
    # Strided on purpose: a transposed right operand.
    np.testing.assert_array_equal(product(a, np.asfortranarray(b)), a @ b)


@each_product
def test_tensors_come_back_as_tensors(product: Any) -> None:
    a, b = operands("float32")
    result = product(Tensor(a), Tensor(b))
    assert type(result) is Tensor
    np.testing.assert_array_equal(result.data, a @ b)


@pytest.mark.parametrize("product", [course_names.matmul_naive, course_names.matmul_blocked])
def test_shapes_and_dtypes_that_do_not_fit_are_refused(product: Any) -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(4, 5\)"):
        product(np.ones((2, 3)), np.ones((4, 5)))
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3,\)"):
        product(np.ones((2, 3)), np.ones(3))
    with pytest.raises(TypeError, match="complex128"):
        product(np.ones((2, 2), complex), np.ones((2, 2)))


def test_a_block_has_at_least_one_row() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        course_names.matmul_blocked(np.ones((2, 2)), np.ones((2, 2)), block_size=0)


def test_elementwise_names() -> None:
    x = np.array([[-1.0, 2.0]], np.float32)
    accelerator = course_names.Accelerator()
    for add in (course_names.vectorized_add, accelerator.vectorized_add):
        np.testing.assert_array_equal(add(x, [[1.0], [2.0]]), [[0.0, 3.0], [1.0, 4.0]])
    for relu in (course_names.optimized_relu, accelerator.optimized_relu):
        np.testing.assert_array_equal(relu(x), [[0.0, 2.0]])
        assert type(relu(Tensor(x))) is Tensor


def test_a_backend_is_chosen_by_name_or_object() -> None:
    class Mine(course_names.ComputeBackend):
        name = "mine"

        def matmul(self, a: Any, b: Any) -> Any:
            return "mine"

    a, b = operands("float32")
    for name, kind in (("naive", course_names.NaiveBackend), ("optimized", course_names.OptimizedBackend)):
        course_names.set_backend(name)
        assert type(course_names.get_backend()) is kind
        np.testing.assert_array_equal(course_names.matmul(a, b), a @ b)
    course_names.set_backend(Mine())
    assert course_names.matmul(a, b) == "mine"
    with pytest.raises(ValueError, match="known: naive, optimized"):
        course_names.set_backend("fast")
    with pytest.raises(TypeError, match="got int"):
        course_names.set_backend(3)  # type: ignore[arg-type]
    assert course_names.get_backend().name == "mine"


def test_operations_are_dispatched_by_name() -> None:
    backend = course_names.OptimizedBackend()
    x = np.ones((1, 1, 3, 3), np.float32)
    assert backend.dispatch("conv2d", x, x, padding=1).shape == (1, 1, 3, 3)
    np.testing.assert_array_equal(backend.dispatch("add", [1.0], [2.0]), [3.0])
    for op in ("softplus", "_private", "dispatch", "name"):
        with pytest.raises(NotImplementedError, match=repr(op)):
            backend.dispatch(op)


def test_a_competition_ranks_by_time_and_refuses_wrong_results() -> None:
    competition = course_names.AccelerationCompetition(*operands("float32"))
    with pytest.raises(ValueError, match="nothing was submitted"):
        competition.leaderboard()
    with pytest.raises(TypeError, match="expected a callable"):
        competition.submit("ann", 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'baseline' cannot be"):
        competition.submit("baseline", np.matmul)
    competition.submit("loops", course_names.matmul_naive)
    competition.submit("wrong", lambda a, b: a @ b + 1)
    board = competition.leaderboard(budget_seconds=0.2)
    # Thousands of times apart: no noise turns them round.
    assert [entry.name for entry in board] == ["baseline", "loops", "wrong"]
    assert [entry.rank for entry in board] == [1, 2, None]
    assert [bool(entry.wrong) for entry in board] == [False, False, True]
    assert board[1].low <= board[1].speedup <= board[1].high < 1


def test_the_default_operands_are_two_matrices() -> None:
    operands = course_names.AccelerationCompetition().operands
    assert [(operand.shape, operand.dtype.name) for operand in operands] == [((128, 128), "float32")] * 2


def test_entries_that_cannot_be_told_apart_share_a_rank() -> None:
    rng = np.random.default_rng(5)
    times = {"baseline": 3.0, "slow": 6.0, "one": 1.0, "other": 1.001}
    samples = {name: seconds * rng.uniform(1, 1.1, 128) for name, seconds in times.items()}
    found = BenchResult("baseline", (Launch.of(samples, dict.fromkeys(times, 1)),))
    board = standings(found)
    assert {entry.name: entry.rank for entry in board} == {"one": 1, "other": 1, "baseline": 3, "slow": 4}
    assert board[0].speedup == pytest.approx(3, rel=0.05)
