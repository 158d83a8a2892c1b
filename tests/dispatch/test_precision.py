"""The precision of products: asked for by call, by thread or task, or by block; and what ``explain`` says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorops
from tensorops.operations import OPERATIONS
from tensorops.precisions import DEFAULT, PRECISIONS

PRODUCTS: dict[str, Callable[..., Any]] = {
    "matmul": lambda **asked: tensorops.matmul(np.eye(3, dtype=np.float32), np.ones((3, 2)), **asked),
    "matmul of matrices": lambda **asked: tensorops.matmul(np.eye(3), np.ones((3, 2)), **asked),
    "linear": lambda **asked: tensorops.linear(np.eye(3), np.ones((3, 2)), **asked),
    "linear_backward": lambda **asked: tensorops.linear_backward(
        np.ones((3, 2)), np.eye(3), np.ones((3, 2)), **asked
    )[0],
}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_block_sets_it_and_takes_it_back(precision: str) -> None:
    with tensorops.set_matmul_precision(precision):
        assert tensorops.get_matmul_precision() == precision
        with tensorops.set_matmul_precision("medium"):
            assert tensorops.get_matmul_precision() == "medium"
        assert tensorops.get_matmul_precision() == precision
    assert tensorops.get_matmul_precision() == DEFAULT == "highest"


def test_without_a_block_it_stays() -> None:
    before = tensorops.set_matmul_precision("high")
    assert tensorops.get_matmul_precision() == "high"
    before.__exit__(None, None, None)
    assert tensorops.get_matmul_precision() == DEFAULT


def test_an_error_inside_the_block_takes_it_back() -> None:
    with pytest.raises(ArithmeticError), tensorops.set_matmul_precision("medium"):
        raise ArithmeticError
    assert tensorops.get_matmul_precision() == DEFAULT


def test_other_threads_do_not_see_it() -> None:
    seen: list[str] = []
    with tensorops.set_matmul_precision("medium"):
        thread = threading.Thread(target=lambda: seen.append(tensorops.get_matmul_precision()))
        thread.start()
        thread.join()
    assert seen == [DEFAULT]


def test_tasks_do_not_see_each_other_s() -> None:
    async def task(precision: str) -> list[str]:
        with tensorops.set_matmul_precision(precision):
            await asyncio.sleep(0)
            inside = tensorops.get_matmul_precision()
            await asyncio.sleep(0)
        return [inside, tensorops.get_matmul_precision()]

    async def both() -> list[list[str]]:
        return await asyncio.gather(task("high"), task("medium"))

    assert asyncio.run(both()) == [["high", DEFAULT], ["medium", DEFAULT]]


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("precision", [None, *PRECISIONS])
def test_every_product_takes_it(name: str, precision: str | None) -> None:
    # So few whole numbers are exact in every precision.
    assert np.array_equal(PRODUCTS[name](precision=precision), PRODUCTS[name]())


@pytest.mark.parametrize("unknown", ["highst", "HIGH", "", 1, True, ("high",), ["high"]])
def test_an_unknown_one_is_an_error_that_lists_the_known(unknown: Any) -> None:
    known = "known: 'highest', 'high', 'medium'"
    with pytest.raises(ValueError, match=f"set_matmul_precision: unknown precision .*; {known}"):
        tensorops.set_matmul_precision(unknown)
    for name, product in PRODUCTS.items():
        with pytest.raises(ValueError, match=f"{name.split()[0]}: unknown precision .*; {known}"):
            product(precision=unknown)
    with pytest.raises(ValueError, match=known):
        tensorops.explain("matmul", (2, 2), (2, 2), precision=unknown)
    assert tensorops.get_matmul_precision() == DEFAULT


def test_nothing_is_written_where_it_is_unknown() -> None:
    out = np.full((2, 2), 7.0)
    for call in (tensorops.matmul, tensorops.linear):
        with pytest.raises(ValueError, match="unknown precision"):
            call(np.eye(2), np.eye(2), out=out, precision="low")
    assert (out == 7).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_is_explained_with_the_bound_that_holds(precision: str, dtype: str) -> None:
    shapes = ((64, 784), (784, 128))
    found = tensorops.explain("matmul", *shapes, dtype=dtype, precision=precision)
    with tensorops.set_matmul_precision(precision):
        assert tensorops.explain("matmul", *shapes, dtype=dtype) == found
    ones = [np.ones(shape, dtype) for shape in shapes]
    bound = OPERATIONS["matmul"].error_bound(*ones)[0, 0] / 784
    assert found.error_factor == pytest.approx(bound)
    assert f"precision {precision}" in str(found)
    assert f"error at most {bound:.2g}" in str(found)
    document = found.to_dict()
    assert (document["precision"], document["error_factor"]) == (precision, found.error_factor)
    assert json.loads(json.dumps(document)) == document


def test_a_layer_s_gradients_are_bounded_by_their_longest_sums() -> None:
    for rows, k, n in ((900, 20, 30), (20, 900, 30), (20, 30, 900)):
        shapes = ((rows, n), (rows, k), (k, n))
        bounds = OPERATIONS["linear_backward"].error_bound(*(np.ones(shape) for shape in shapes))
        largest = max(
            float(np.max(bound / length)) for bound, length in zip(bounds, (n, rows, rows), strict=True)
        )
        found = tensorops.explain("linear_backward", *shapes, dtype="float64").error_factor
        assert found == pytest.approx(largest)


def test_other_operations_have_none() -> None:
    found = tensorops.explain("softmax", (8, 8))
    assert found.precision is None
    assert found.error_factor is None
    assert "precision" not in str(found)
    assert tensorops.explain("matmul", (2, 2), (2, 2), dtype="int64").precision is None


@pytest.mark.parametrize("op", ["matmul", "linear"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_bound_of_an_operation_follows_it(op: str, precision: str) -> None:
    operands = np.ones((3, 16), np.float32), np.ones((16, 2), np.float32)
    eps = 2.0**-23
    factor = 48 * eps + {"highest": 0, "high": 2**-14, "medium": 2**-7 + 2**-14}[precision]
    assert np.allclose(OPERATIONS[op].error_bound(*operands, precision=precision), 16 * factor, rtol=1e-12)
