"""What a formula computes, found out by computing it: how it is written does not matter then."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorops.operations import OPERATIONS

from ..candidates import Site
from ..trees import ELEMENTWISE, Tree, compute

CLOSE = 1e-6
"""Formulas that differ by more on probes are different; by less, the trial decides."""


@functools.cache
def line_probe() -> NDArray[np.float64]:
    """Return numbers that tell elementwise functions apart, the far ends included."""
    near = np.linspace(-7.9, 7.7, 53)
    return np.concatenate([near, [0.0, -20.0, 20.0, -120.0, 120.0, -800.0, 800.0]])


@functools.cache
def block_probe(dimensions: int) -> NDArray[np.float64]:
    """Return an array that tells operations along axes apart: lengths differ, rows are far apart."""
    shape = (3, 5, 4, 6, 2)[:dimensions]
    values = np.random.default_rng(5).normal(size=shape)
    scale = np.arange(1, shape[0] + 1, dtype=np.float64) * 3
    offsets = np.array([0.0, 1500.0, -1500.0])
    if dimensions > 1:
        along = (shape[0],) + (1,) * (dimensions - 1)
        values = values * scale.reshape(along) + offsets.reshape(along)
        across = (1, shape[1]) + (1,) * (dimensions - 2)
        values = values + np.linspace(-2500.0, 2500.0, shape[1]).reshape(across) * (values > 0)
    return values


def close(found: Any, expected: Any) -> bool:
    """Tell whether two results are the same formula's.

    Examples
    --------
    >>> close(np.array([1.0, 2.0]), np.array([1.0, 2.0 + 1e-9])), close(1.0, 1.1)
    (True, False)
    """
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or found.dtype.kind not in "fiub":
        return False
    scale = np.abs(expected) + 1e-7
    with np.errstate(all="ignore"):
        right = np.abs(found - expected) <= CLOSE * scale
    return bool(np.all(right | (np.isnan(found) & np.isnan(expected)) | (found == expected)))


def holes(site: Site, tree: Tree) -> Iterator[Tree]:
    """Yield the parts of a tree that all its arrays are in, the smallest first, the tree itself not.

    Parameters
    ----------
    site : Site
        Knows which names are arrays.
    tree : Tree
        A function of something.

    Yields
    ------
    Tree
        What it may be a function of.
    """
    arrays = {name for name in tree.names if site.number(name) is None}
    if not arrays:
        return
    parts = list(dict.fromkeys(part for part in tree.walk() if part != tree and part.op != "number"))
    sizes = {part: sum(1 for _ in part.walk()) for part in parts}
    for part in sorted(parts, key=sizes.__getitem__):
        if arrays <= set(part.names) and not _outside(tree, part) & arrays:
            yield part


def _outside(tree: Tree, hole: Tree) -> set[Tree]:
    if tree == hole:
        return set()
    if tree.op == "name":
        return {tree}
    return set().union(*(_outside(arg, hole) for arg in tree.args))


def numbers_of(site: Site, tree: Tree) -> dict[Tree, float]:
    """Return the values of the names in a tree that hold numbers."""
    found = {name: site.number(name) for name in tree.names}
    return {name: value for name, value in found.items() if value is not None}


def is_elementwise(tree: Tree, hole: Tree) -> bool:
    """Tell whether a tree does the same to each element of a part of it."""
    if tree == hole or tree.op in ("name", "number"):
        return True
    return tree.op in ELEMENTWISE and all(is_elementwise(arg, hole) for arg in tree.args)


@functools.cache
def _expected(operation: str, params: tuple[tuple[str, Any], ...]) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        return np.asarray(OPERATIONS[operation].reference(line_probe(), **dict(params)))


@functools.cache
def unary_operations() -> tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]:
    """Return the elementwise operations of one operand, with the parameters worth trying."""
    return tuple(
        (name, tuple(params.items()))
        for name, spec in OPERATIONS.items()
        if spec.cost_class == "elementwise" and not spec.changed and len(spec.example_shapes[0]) == 1
        for params in spec.example_params
    )


def elementwise_operation(site: Site, tree: Tree, hole: Tree) -> tuple[str, Mapping[str, Any]] | None:
    """Return the operation of this library that a tree is of a part of it, or None.

    Parameters
    ----------
    site : Site
        Knows the numbers that names hold.
    tree : Tree
        The function.
    hole : Tree
        What it is a function of.

    Returns
    -------
    tuple of (str, mapping) or None
        Name and parameters.
    """
    if not is_elementwise(tree, hole):
        return None
    try:
        found = compute(tree, {**numbers_of(site, tree), hole: line_probe()})
    except (KeyError, TypeError, ValueError):
        return None
    for operation, params in unary_operations():
        if close(found, _expected(operation, params)):
            return operation, dict(params)
    return None
