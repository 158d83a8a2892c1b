"""No call keeps an argument or a result alive, or lets go of one twice."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorops
from tests.boundary.contract import Array


def operands() -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(0)
    return (
        rng.standard_normal((6, 6)).astype(np.float32),
        rng.standard_normal((6, 6)).astype(np.float32),
        np.empty((6, 6), np.float32),
    )


CALLS: dict[str, Callable[[Array, Array, Array], Any]] = {
    "new": lambda a, b, out: tensorops.matmul(a, b),
    "out": lambda a, b, out: tensorops.matmul(a, b, out),
    "out in a tuple": lambda a, b, out: tensorops.matmul(a, b, out=(out,)),
    "overlap": lambda a, b, out: tensorops.matmul(a, out, out=out),
    "vectors": lambda a, b, out: tensorops.matmul(a[0], b[0]),
    "vector and matrix": lambda a, b, out: tensorops.matmul(a[0], b),
    "stack": lambda a, b, out: tensorops.matmul(a[None], b),
    "converted": lambda a, b, out: tensorops.matmul(a, b.astype(float)),
    "list": lambda a, b, out: tensorops.matmul(a, [[1.0]] * 6),
    "integers": lambda a, b, out: tensorops.matmul(a.astype(int), b.astype(int)),
    "naive": lambda a, b, out: tensorops.matmul(a, b, out, backend="naive"),
    "numpy": lambda a, b, out: tensorops.matmul(a, b, backend="numpy"),
    "shapes that do not fit": lambda a, b, out: tensorops.matmul(a, b[:5]),
    "out that does not fit": lambda a, b, out: tensorops.matmul(a, b, out[:5]),
    "unknown backend": lambda a, b, out: tensorops.matmul(a, b, out, backend="nowhere"),
    "no array": lambda a, b, out: tensorops.matmul(a, b, out="out"),
}


def attempt(call: Callable[..., Any], *arguments: Any) -> None:
    try:
        call(*arguments)
    except (TypeError, ValueError):
        pass


@pytest.mark.parametrize("name", CALLS)
def test_references_are_balanced(name: str) -> None:
    a, b, out = operands()
    kinds = [a.dtype, np.dtype(float), np.dtype(int)]
    attempt(CALLS[name], a, b, out)
    before = [sys.getrefcount(x) for x in (a, b, out, *kinds)]
    for _ in range(50):
        attempt(CALLS[name], a, b, out)
    after = [sys.getrefcount(x) for x in (a, b, out, *kinds)]
    # Other objects of the interpreter come and go with a dtype: fifty lost references would show.
    assert max(abs(x - y) for x, y in zip(before, after, strict=True)) < 10


@pytest.mark.parametrize("name", CALLS)
def test_memory_is_given_back(name: str) -> None:
    a, b, out = operands()
    for _ in range(20):
        attempt(CALLS[name], a, b, out)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(300):
            attempt(CALLS[name], a, b, out)
        gc.collect()
        # A result of 144 bytes lost by each call would be 43 kB.
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()


def test_a_result_dies_with_its_last_name() -> None:
    a, b, _ = operands()
    for call in (
        lambda: tensorops.matmul(a, b),
        lambda: tensorops.matmul(a[None], b),
        lambda: tensorops.matmul(a[0], b),
    ):
        result = call()
        gone = weakref.ref(result)
        del result
        assert gone() is None
