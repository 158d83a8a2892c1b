"""What fusing an expression saves: passes, bytes and temporary arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorops.fuse.planning import Plan
from tensorops.fuse.types import Types


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a call of a fused function is computed.

    Attributes
    ----------
    reason : str
        Why NumPy runs it; empty if it is fused.
    numpy_passes : int
        Passes over whole arrays that NumPy makes; fused, there is one.
    numpy_bytes, fused_bytes : int
        Bytes read and written by each.
    temporaries : int
        Arrays that NumPy allocates for values in between.
    temporary_bytes : int
        What they take.
    computes_in : str
        The kernel's dtype.
    elements : int
        Elements of the result before a reduction.
    """

    reason: str = ""
    numpy_passes: int = 0
    numpy_bytes: int = 0
    fused_bytes: int = 0
    temporaries: int = 0
    temporary_bytes: int = 0
    computes_in: str = ""
    elements: int = 0

    @property
    def fused(self) -> bool:
        """Whether it is computed in one pass."""
        return not self.reason

    def __str__(self) -> str:
        if self.reason:
            return f"NumPy runs it: {self.reason}"
        return (
            f"fused, in {self.computes_in}, {self.elements} elements\n"
            f"  passes over the data   {self.numpy_passes} -> 1\n"
            f"  bytes read or written  {self.numpy_bytes} -> {self.fused_bytes}\n"
            f"  temporary arrays       {self.temporaries} ({self.temporary_bytes} bytes) -> 0"
        )


def explain_call(plan: Plan, arguments: Sequence[Any], types: Types) -> Explanation:
    """Return what fusing saves in a call.

    Parameters
    ----------
    plan : Plan
        What is computed.
    arguments : sequence
        All of the call.
    types : Types
        The dtypes.

    Returns
    -------
    Explanation
        Counts for NumPy, which computes one node after the other, and for the kernel.
    """
    sizes = {number: _elements(arguments[number].shape) for number in plan.arrays}
    shapes: dict[int, tuple[int, ...]] = {number: arguments[number].shape for number in plan.arrays}
    passes = moved = temporaries = held = 0
    for number in plan.order:
        node = plan.graph.nodes[number]
        if node.operation is None:
            continue
        varying = [operand for operand in node.operands if operand in shapes]
        shapes[number] = np.broadcast_shapes(*[shapes[operand] for operand in varying])
        size = {
            operand: _elements(shapes[operand]) * _itemsize(types, operand) for operand in (*varying, number)
        }
        passes += 1
        moved += sum(size[operand] for operand in varying) + size[number]
        if number != plan.root or plan.graph.reduction is not None:
            temporaries += 1
            held += size[number]
    elements = _elements(shapes[plan.root])
    fused = sum(sizes[number] * _itemsize(types, number) for number in plan.arrays)
    last = elements * types.element.itemsize
    if plan.graph.reduction is not None:
        passes += 1
        moved += last
    else:
        fused += last
    return Explanation("", passes, moved, fused, temporaries, held, types.real.name, elements)


def _elements(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _itemsize(types: Types, number: int) -> int:
    kind = types.kinds[number]
    return kind.itemsize if isinstance(kind, np.dtype) else 8
