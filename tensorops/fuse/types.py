"""Dtypes of an expression's nodes, by NumPy's own rules, and the type in which a kernel computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorops.fuse.errors import FuseError
from tensorops.fuse.nodes import Graph, Node

# A dtype, or the Python type of a number that adapts to the arrays beside it.
Kind = np.dtype[Any] | type
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
BOOL = np.dtype(np.bool_)
INT64 = np.dtype(np.int64)


@dataclass(frozen=True, slots=True)
class Types:
    """The dtypes of one signature of a fused function.

    Attributes
    ----------
    real : dtype
        float32 or float64: the type that the kernel computes in.
    kinds : mapping of int to dtype or type
        Of each node that the kernel computes or reads.
    element : dtype
        Of the elements before a reduction.
    """

    real: np.dtype[Any]
    kinds: Mapping[int, Kind]
    element: np.dtype[Any]


def kind_of(value: Any) -> Kind:
    """Return what decides about the dtype of what a number is computed with.

    Parameters
    ----------
    value : number
        Of Python or NumPy.

    Returns
    -------
    type or dtype
        ``int`` or ``float`` for Python's numbers, a dtype for NumPy's and for bool.

    Examples
    --------
    >>> kind_of(1.5), kind_of(np.float32(1.5))
    (<class 'float'>, dtype('float32'))
    """
    if type(value) in (int, float):
        return type(value)
    return BOOL if type(value) is bool else np.asarray(value).dtype


def infer(graph: Graph, known: Mapping[int, Kind], order: list[int], root: int) -> Types:
    """Return the dtypes of the nodes of a kernel.

    Parameters
    ----------
    graph : Graph
        The expression.
    known : mapping of int to dtype or type
        Of the arguments and numbers that the kernel reads.
    order : list of int
        The nodes that it computes, operands first.
    root : int
        The last of them.

    Returns
    -------
    Types
        All dtypes.

    Raises
    ------
    FuseError
        If NumPy would compute a node in another type than float32, float64 or bool.
    """
    kinds: dict[int, Kind] = dict(known)
    wide = False
    for number in order:
        node = graph.nodes[number]
        if node.operation is None:
            kinds[number] = kind_of(node.value)
            continue
        operands = [kinds[operand] for operand in node.operands]
        kinds[number], double = _result(graph, node, operands)
        wide = wide or double
    for before, after, place in graph.grown:
        if after in kinds and before in kinds and isinstance(kinds[before], np.dtype):
            if kinds[before] != kinds[after]:
                raise FuseError(
                    f"in NumPy this keeps the dtype {kinds[before]}, which cannot be fused", place
                )
    element = kinds[root]
    assert isinstance(element, np.dtype)
    wide = wide or element == FLOATS[1]
    return Types(FLOATS[1] if wide else FLOATS[0], kinds, element)


def _result(graph: Graph, node: Node, operands: list[Kind]) -> tuple[np.dtype[Any], bool]:
    """Return a node's dtype, and whether it must be computed in float64."""
    operation = node.operation
    assert operation is not None
    if operation.rule == "activation":
        result = np.result_type(*[_witness(kind) for kind in operands])
        single = result == FLOATS[0]
        return FLOATS[0 if single else 1], not single
    if operation.rule == "branches":
        result = np.result_type(*[_witness(kind) for kind in operands[1:]])
        _check_branches(graph, node, result)
        return result, result == FLOATS[1]
    try:
        loop = operation.ufunc.resolve_dtypes((*operands, None))
    except TypeError as error:
        raise FuseError(f"NumPy refuses {operation.name} of these types: {error}", node.place) from None
    *inputs, result = loop
    if result in FLOATS and all(kind in FLOATS for kind in inputs):
        return result, result == FLOATS[1]
    if result == BOOL:
        return result, _comparison_needs_double(graph, node, inputs)
    raise FuseError(f"NumPy computes {operation.name} in {result} here, which cannot be fused", node.place)


def _witness(kind: Kind) -> Any:
    """Return something that `result_type` takes for a kind."""
    return kind if isinstance(kind, np.dtype) else kind(0)


def _check_branches(graph: Graph, node: Node, result: np.dtype[Any]) -> None:
    if result in FLOATS or result == BOOL:
        return
    # Whole numbers from the source pass through a float unchanged; those of an array may not.
    for operand in node.operands[1:]:
        branch = graph.nodes[operand]
        small = branch.constant and abs(branch.value) <= 1 << 24
        if not small and not (branch.operation is node.operation and result.kind in "iu"):
            raise FuseError(f"NumPy chooses among values of {result} here, which cannot be fused", node.place)


def _comparison_needs_double(graph: Graph, node: Node, inputs: list[np.dtype[Any]]) -> bool:
    if all(kind in (*FLOATS, BOOL) or (kind.kind in "iu" and kind.itemsize <= 2) for kind in inputs):
        return any(kind == FLOATS[1] for kind in inputs)
    if all(kind in FLOATS or (kind.kind in "iub" and kind.itemsize <= 8) for kind in inputs):
        # Rounding keeps the order, and a small number is met by no other.
        if any(graph.nodes[n].constant and abs(graph.nodes[n].value) <= 1 << 24 for n in node.operands):
            return False
        if all(kind in FLOATS or kind.itemsize <= 4 for kind in inputs):
            return True
    raise FuseError(f"NumPy compares values of {inputs[0]} here, which cannot be fused", node.place)
