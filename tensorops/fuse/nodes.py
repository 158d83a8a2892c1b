"""An expression as a graph: every node is computed once, however often its value is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensorops.fuse.errors import FuseError, Place
from tensorops.fuse.whitelist import Operation

MAX_NODES = 1000
MAX_INLINED = 200
LARGEST_WHOLE = 2**53
REAL_CHARACTERS = "?bBhHiIlLqQfd"


@dataclass(frozen=True, slots=True)
class Node:
    """One value of an expression.

    Attributes
    ----------
    number : int
        Its place in the graph; operands have smaller ones.
    operation : Operation or None
        What computes it; None for an argument and a constant.
    operands : tuple of int
        Numbers of the nodes that it is computed from.
    argument : int
        Place among the function's parameters, -1 if it is none.
    value : object
        A constant's value.
    reduced : bool
        Whether it is a reduction's result.
    place : Place or None
        Where it stands in the source.
    """

    number: int
    operation: Operation | None = None
    operands: tuple[int, ...] = ()
    argument: int = -1
    value: Any = None
    reduced: bool = False
    place: Place | None = None

    @property
    def constant(self) -> bool:
        """Whether it is a number of the source."""
        return self.operation is None and self.argument < 0 and not self.reduced


@dataclass(frozen=True, slots=True)
class Reduction:
    """The sum, mean or extreme that ends an expression.

    Attributes
    ----------
    kind : str
        ``"sum"``, ``"mean"``, ``"max"`` or ``"min"``.
    axis : int, tuple of int, or None
        The axes; None for all.
    keepdims : bool
        Whether they stay, with a length of 1.
    node : int
        The node whose elements are reduced.
    number : int
        The node that stands for the result.
    """

    kind: str
    axis: int | tuple[int, ...] | None
    keepdims: bool
    node: int
    number: int


@dataclass(slots=True)
class Graph:
    """All nodes of a function, in an order in which they can be computed.

    Attributes
    ----------
    parameters : tuple of str
        The function's parameters.
    nodes : list of Node
        The arguments first.
    root : int
        The node that is returned.
    reduction : Reduction or None
        At most one.
    grown : list of (int, int, Place)
        Pairs of nodes of which the second must have the first one's shape and dtype.
    inlined : int
        Calls of other fused functions.
    """

    parameters: tuple[str, ...]
    nodes: list[Node] = field(default_factory=list)
    root: int = -1
    reduction: Reduction | None = None
    grown: list[tuple[int, int, Place | None]] = field(default_factory=list)
    inlined: int = 0
    _known: dict[Any, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in range(len(self.parameters)):
            self.nodes.append(Node(number, argument=number))

    def constant(self, value: Any, place: Place | None) -> int:
        """Return the node of a number.

        Parameters
        ----------
        value : int, float or numpy scalar
            The number.
        place : Place or None
            Where it stands.

        Returns
        -------
        int
            The node's number.

        Raises
        ------
        FuseError
            If it is no real number, or a whole one that float64 does not hold.
        """
        if not (
            type(value) in (bool, int, float)
            or (
                (isinstance(value, np.generic) and value.dtype.char in REAL_CHARACTERS)
                and type(value) is value.dtype.type
            )
        ):
            raise FuseError(f"a value of type {type(value).__name__}, where a real number is needed", place)
        if type(value) is int and abs(value) > LARGEST_WHOLE:
            raise FuseError("a whole number that float64 does not hold exactly", place)
        return self._node((type(value), repr(value)), place, value=value)

    def operation(self, operation: Operation, operands: Iterable[int], place: Place | None) -> int:
        """Return the node of an operation; one of numbers alone is computed at once, by Python or NumPy.

        Parameters
        ----------
        operation : Operation
            A row of the whitelist.
        operands : iterable of int
            The operands' nodes.
        place : Place or None
            Where it stands.

        Returns
        -------
        int
            The node's number.

        Raises
        ------
        FuseError
            If numbers cannot be computed with, or the expression is too large.
        """
        numbers = tuple(operands)
        if all(self.nodes[number].constant for number in numbers):
            values = [self.nodes[number].value for number in numbers]
            if operation.name == "power" and abs(values[1]) > 100:
                raise FuseError("too large an exponent of a number", place)
            try:
                value = operation.function(*values)
            except Exception as error:
                raise FuseError(f"{type(error).__name__}: {error}", place) from None
            # A choice among numbers is an array without axes.
            return self.constant(value[()] if isinstance(value, np.ndarray) else value, place)
        return self._node((operation.name, numbers), place, operation=operation, operands=numbers)

    def _node(self, key: Any, place: Place | None, **fields: Any) -> int:
        found = self._known.get(key)
        if found is None:
            if len(self.nodes) >= MAX_NODES:
                raise FuseError(f"an expression of more than {MAX_NODES} operations", place)
            found = self._known[key] = len(self.nodes)
            self.nodes.append(Node(found, place=place, **fields))
        return found

    def reduce(
        self, kind: str, node: int, axis: int | tuple[int, ...] | None, keepdims: bool, place: Place | None
    ) -> int:
        """Return the node of a reduction.

        Parameters
        ----------
        kind : str
            ``"sum"``, ``"mean"``, ``"max"`` or ``"min"``.
        node : int
            What is reduced.
        axis : int, tuple of int, or None
            The axes; None for all.
        keepdims : bool
            Whether they stay.
        place : Place or None
            Where it stands.

        Returns
        -------
        int
            The node's number.

        Raises
        ------
        FuseError
            If there is one already.
        """
        if self.reduction is not None:
            raise FuseError("a second reduction: one sum, mean, max or min ends a fused expression", place)
        number = len(self.nodes)
        self.nodes.append(Node(number, reduced=True, place=place))
        self.reduction = Reduction(kind, axis, keepdims, node, number)
        return number

    def needed(self, roots: Iterable[int], known: Mapping[int, Any]) -> list[int]:
        """Return the nodes that some others are computed from, in order.

        Parameters
        ----------
        roots : iterable of int
            The nodes asked for.
        known : mapping
            Nodes whose values need no computation.

        Returns
        -------
        list of int
            The nodes in between, the roots among them.
        """
        wanted = set(roots) - set(known)
        for number in range(len(self.nodes) - 1, -1, -1):
            if number in wanted:
                wanted |= set(self.nodes[number].operands) - set(known)
        return sorted(wanted)
