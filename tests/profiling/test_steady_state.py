"""Operations with ``out=`` or in place allocate nothing once they have run: no array, no work memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import tensorops
from profiling import count_allocations
from tensorops.operations import OPERATIONS, OpSpec
from tensorops.runtime import workspace

DTYPES = ("float32", "float64")
# Examples with more elements than this take longer than they tell.
LARGEST = 1 << 18


def into_memory_of_the_caller() -> list[str]:
    """Return the operations whose results can all be written where the caller says."""
    return [name for name, spec in OPERATIONS.items() if spec.changed or "out=None" in spec.signature]


def operands_of(
    spec: OpSpec, shapes: tuple[tuple[int, ...], ...], dtype: str, params: Mapping[str, Any]
) -> Any:
    rng = np.random.default_rng(5)
    if spec.operands is not None:
        return spec.operands(shapes, dtype, rng, params)
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in shapes)


def allocated(op: str, operands: Any, params: Mapping[str, Any]) -> tuple[int, int]:
    """Return the buffers that one call allocates after two others: of NumPy, and of work memory."""
    function = getattr(tensorops, op)
    for _ in range(2):
        function(*operands, **params)
    before = workspace.statistics()["count"]
    with count_allocations() as counter:
        function(*operands, **params)
    return counter.count, workspace.statistics()["count"] - before


def test_most_operations_are_among_them() -> None:
    names = into_memory_of_the_caller()
    assert {"matmul", "linear", "conv2d", "attention", "softmax", "layer_norm", "gelu", "gelu_"} <= set(names)
    assert {"adam_step_", "bias_relu_", "axpy_", "log_softmax", "softmax_backward"} <= set(names)


@pytest.mark.parametrize("op", into_memory_of_the_caller())
def test_the_third_call_allocates_nothing(op: str) -> None:
    spec = OPERATIONS[op]
    for dtype in DTYPES:
        for shapes in spec.example_shapes:
            if sum(np.prod(shape, dtype=np.int64) for shape in shapes) > LARGEST:
                continue
            for params in spec.example_params:
                operands = operands_of(spec, shapes, dtype, params)
                given = dict(params)
                if not spec.changed:
                    given["out"] = np.empty(spec.out_shape(shapes, params), dtype)
                found = allocated(op, operands, given)
                assert found == (0, 0), f"{shapes} {dtype} {params}: {found}"


def test_what_does_allocate_is_counted() -> None:
    a = np.ones((40, 40))
    assert allocated("matmul", (a, a), {}) == (1, 0)
