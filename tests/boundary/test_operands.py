"""Operands that are no plain arrays: sequences, scalars, subclasses, other people's array types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorops
from tests.boundary.contract import Array, difference

A = np.arange(6, dtype=np.float32).reshape(2, 3)
B = np.arange(12, dtype=np.float32).reshape(3, 4)


class Overriding(np.ndarray):
    """A subclass that takes part in NumPy's protocol."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> object:
        return "overridden", ufunc.__name__, method


class Marked(np.ndarray):
    """A subclass that carries something along."""

    def __array_finalize__(self, source: object) -> None:
        self.mark = getattr(source, "mark", None)


class Duck:
    """No array at all, but it answers for ufuncs."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> object:
        return "duck", ufunc.__name__, method


class Refusing:
    """Takes no part in ufuncs."""

    __array_ufunc__ = None


class Convertible:
    """Becomes an array."""

    def __array__(self, dtype: object = None, copy: object = None) -> Array:
        return A


class Wrapping(Convertible):
    """Becomes an array, and has results turned into its like."""

    def __array_wrap__(self, array: Array, context: object = None, return_scalar: bool = False) -> object:
        return "wrapped", array.tolist()


def marked(array: Array) -> Array:
    view = array.view(Marked)
    view.mark = "mine"
    return view


OPERANDS = {
    "list": A.tolist(),
    "nested tuple": tuple(map(tuple, A.tolist())),
    "list of arrays": [A[0], A[1]],
    "integers": [[1, 2, 3], [4, 5, 6]],
    "booleans": [[True, False, True]],
    "flat list": [1.0, 2.0, 3.0],
    "empty list": [],
    "empty rows": [[], []],
    "range": range(3),
    "ragged": [[1.0, 2.0], [3.0]],
    "text": "abc",
    "list of text": [["a", "b", "c"]],
    "None": None,
    "number": 3.0,
    "NumPy's number": np.float32(3),
    "array of no dimension": np.array(3.0),
    "complex list": [[1j, 2, 3]],
    "large integers": [[2**70, 1, 2]],
    "memoryview": memoryview(A),
    "matrix": A.view(np.matrix),
    "masked": np.ma.masked_array(A, A > 3),
    "masked square": np.ma.masked_array(np.eye(3, dtype=np.float32), np.eye(3)),
    "record array": A.view(np.recarray),
    "marked": marked(A),
    "overriding": A.view(Overriding),
    "memory map's class": np.ndarray.__new__(np.memmap, A.shape, A.dtype, A.tobytes()),
    "duck": Duck(),
    "refusing": Refusing(),
    "convertible": Convertible(),
    "wrapping": Wrapping(),
    "object": object(),
    "dictionary": {1: 2},
}


@pytest.mark.parametrize("name", OPERANDS)
def test_left_and_right(name: str) -> None:
    operand = OPERANDS[name]
    for other in (B, np.eye(3), np.eye(3, dtype=int), np.eye(3).tolist(), operand):
        assert difference(lambda matmul, other=other: matmul(operand, other)) is None
        assert difference(lambda matmul, other=other: matmul(other, operand)) is None


@pytest.mark.parametrize("name", OPERANDS)
def test_with_a_result_given(name: str) -> None:
    operand = OPERANDS[name]
    assert difference(lambda matmul: matmul(operand, B, out=np.zeros((2, 4), np.float32))) is None


@pytest.mark.parametrize("kind", [np.matrix, np.ma.MaskedArray, Marked, np.recarray, Overriding])
def test_results_of_a_subclass(kind: type[Array]) -> None:
    def call(matmul: Any) -> object:
        out = np.zeros((2, 4), np.float32).view(kind)
        result = matmul(A, B, out=out)
        assert isinstance(result, tuple) or result is out
        return result

    assert difference(call) is None


def test_a_subclass_keeps_what_it_carries() -> None:
    result = tensorops.matmul(marked(A), B)
    assert type(result) is Marked
    assert result.mark == "mine"


def test_a_result_that_answers_for_ufuncs() -> None:
    assert difference(lambda matmul: matmul(A, B, out=Duck())) is None


def test_operands_are_converted_once() -> None:
    class Counting(Convertible):
        count = 0

        def __array__(self, dtype: object = None, copy: object = None) -> Array:
            type(self).count += 1
            return A

    tensorops.matmul(Counting(), B)
    assert Counting.count == 1


def test_an_error_of_an_operand_is_passed_on() -> None:
    class Broken:
        def __array__(self, dtype: object = None, copy: object = None) -> Array:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tensorops.matmul(Broken(), B)
