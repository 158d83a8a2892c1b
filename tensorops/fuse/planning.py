"""What is computed where: numbers by Python, arrays by a kernel, what follows a reduction by NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorops.fuse.errors import FuseError
from tensorops.fuse.nodes import Graph
from tensorops.fuse.types import FLOATS, INT64, Kind, Types, infer, kind_of

# Elements for each thread of a kernel of one instruction an element, and the fewest for any.
GRAIN, FINEST_GRAIN, CHEAP = 1 << 15, 1 << 12, 16
MAX_NUMBERS = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """How calls are computed whose arrays stand in the same places.

    Attributes
    ----------
    graph : Graph
        The expression.
    arrays : tuple of int
        Arguments that are arrays and are read by the kernel.
    before : tuple of int
        Nodes that Python computes first, from numbers alone.
    numbers : tuple of int
        Those, and arguments, that the kernel reads as numbers.
    order : tuple of int
        Nodes that the kernel computes.
    root : int
        The last of them.
    after : tuple of int
        Nodes that NumPy computes from the reduction's result.
    """

    graph: Graph
    arrays: tuple[int, ...]
    before: tuple[int, ...]
    numbers: tuple[int, ...]
    order: tuple[int, ...]
    root: int
    after: tuple[int, ...]

    @property
    def grain(self) -> int:
        """Elements for each thread."""
        cost = sum(node.operation.cost for node in self._computed() if node.operation)
        return int(max(FINEST_GRAIN, GRAIN * CHEAP // max(cost, CHEAP)))

    @property
    def passes(self) -> int:
        """Passes over whole arrays that NumPy makes."""
        return sum(node.operation is not None for node in self._computed()) + (
            self.graph.reduction is not None
        )

    @property
    def before_kernel(self) -> bool:
        """Whether Python computes something from the numbers of a call."""
        return any(self.graph.nodes[number].operation is not None for number in self.before)

    def _computed(self) -> list[Any]:
        return [self.graph.nodes[number] for number in self.order]

    def evaluate(self, arguments: Sequence[Any]) -> dict[int, Any]:
        """Return the values of the numbers.

        Parameters
        ----------
        arguments : sequence
            All of the call.

        Returns
        -------
        dict of int to number
            By node.
        """
        values: dict[int, Any] = {
            number: arguments[number] for number in self.numbers if number < len(arguments)
        }
        self._compute(self.before, values, arguments)
        return values

    def finish(self, arguments: Sequence[Any], reduced: Any) -> Any:
        """Return what follows from a reduction's result.

        Parameters
        ----------
        arguments : sequence
            All of the call.
        reduced : ndarray or number
            The result.

        Returns
        -------
        ndarray or number
            The function's result.
        """
        assert self.graph.reduction is not None
        values = {self.graph.reduction.number: reduced}
        self._compute(self.after, values, arguments)
        return values[self.graph.root]

    def _compute(self, numbers: tuple[int, ...], values: dict[int, Any], arguments: Sequence[Any]) -> None:
        for number in numbers:
            node = self.graph.nodes[number]
            if number in values:
                continue
            if node.operation is None:
                values[number] = node.value if node.argument < 0 else arguments[node.argument]
            else:
                values[number] = node.operation.function(*[values[operand] for operand in node.operands])

    def types(self, arguments: Sequence[Any], values: dict[int, Any]) -> Types:
        """Return the dtypes of a call.

        Parameters
        ----------
        arguments : sequence
            All of the call.
        values : dict of int to number
            What `evaluate` returned.

        Returns
        -------
        Types
            Of all nodes.
        """
        known: dict[int, Kind] = {number: arguments[number].dtype for number in self.arrays}
        known |= {number: kind_of(values[number]) for number in self.numbers}
        return infer(self.graph, known, list(self.order), self.root)

    def result_dtype(self, element: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype of the elements, or of their reduction.

        Parameters
        ----------
        element : dtype
            Before the reduction.

        Returns
        -------
        dtype
            NumPy's.
        """
        kind = self.graph.reduction.kind if self.graph.reduction else ""
        if element in FLOATS or kind in ("", "max", "min"):
            return element
        return FLOATS[1] if kind == "mean" else INT64


def make_plan(graph: Graph, is_array: Sequence[bool]) -> Plan:
    """Return how to compute calls with arrays in given places.

    Parameters
    ----------
    graph : Graph
        The expression.
    is_array : sequence of bool
        Of each argument.

    Returns
    -------
    Plan
        What is computed where.

    Raises
    ------
    FuseError
        If arrays are needed after the reduction.
    """
    varies = [False] * len(graph.nodes)
    follows = [False] * len(graph.nodes)
    for node in graph.nodes:
        follows[node.number] = node.reduced or any(follows[operand] for operand in node.operands)
        varies[node.number] = (
            is_array[node.argument]
            if node.argument >= 0
            else any(varies[operand] for operand in node.operands)
        )
        if follows[node.number] and varies[node.number]:
            raise FuseError(
                "a sum, mean, max or min ends a fused expression: here arrays follow it", node.place
            )
    root = graph.reduction.node if graph.reduction else graph.root
    order = [
        number for number in graph.needed([root], {}) if varies[number] and graph.nodes[number].operation
    ]
    arrays, outside = [], set()
    for number in order if order else [root]:
        for operand in graph.nodes[number].operands or (root,):
            if graph.nodes[operand].argument >= 0 and varies[operand]:
                arrays.append(operand)
            elif not varies[operand]:
                outside.add(operand)
    constants = sorted(number for number in outside if graph.nodes[number].constant)
    numbers = sorted(outside - set(constants))
    if len(numbers) > MAX_NUMBERS:
        raise FuseError(f"more than {MAX_NUMBERS} numbers beside the arrays")
    before = graph.needed(numbers, {})
    after = graph.needed([graph.root], {graph.reduction.number: None}) if graph.reduction else []
    return Plan(
        graph,
        tuple(sorted(set(arrays))),
        tuple(before),
        tuple(numbers),
        (*constants, *order),
        root,
        tuple(after),
    )
