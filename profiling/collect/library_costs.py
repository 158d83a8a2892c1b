"""What a call of tensorops' own counts for: FLOPs and bytes by the library's registry."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tensorops.operations import OPERATIONS
from tensorops.runtime.calls import set_listener

from .call_hooks import library_called, set_library
from .conventions import OTHER_TYPES, Cost
from .numpy_calls import REGISTRY


def watch_library() -> None:
    """Have the library's calls told to the counters, until ``set_listener(None)``."""
    set_library(_library_rows(), _library_cost)
    set_listener(library_called)


@functools.cache
def _library_rows() -> dict[str, int]:
    return {name: REGISTRY.row("tensorops", name, OTHER_TYPES) for name in OPERATIONS}


def _library_cost(op: str, operands: tuple[Any, ...], result: Any) -> Cost:
    """Return FLOPs and bytes of a call of the library's, by its registry."""
    shapes = []
    dtype = getattr(result, "dtype", None)
    for operand in operands:
        if isinstance(operand, np.ndarray):
            shapes.append(operand.shape)
            dtype = dtype or operand.dtype
        elif operand is not None:
            shapes.append(np.shape(operand))
    return _registry_cost(op, tuple(shapes), np.dtype(dtype))


@functools.lru_cache(maxsize=4096)
def _registry_cost(op: str, shapes: tuple[tuple[int, ...], ...], dtype: np.dtype[Any]) -> Cost:
    spec = OPERATIONS[op]
    size = spec.bytes(shapes, dtype.itemsize)
    if dtype.kind == "f":
        return spec.flops(shapes), size
    return (0 if dtype.kind in "iub" else None), size
