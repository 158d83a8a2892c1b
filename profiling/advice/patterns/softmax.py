"""Softmax and its logarithm by hand, on one line or on several."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tensorops.operations import OPERATIONS

from ..candidates import Match, Site
from ..trees import compute
from .probing import block_probe, close, holes, numbers_of

OPERATIONS_ON_ROWS = ("softmax", "log_softmax")
MOST_DIMENSIONS = 4


@functools.cache
def _expected(operation: str, dimensions: int, axis: int) -> Any:
    with np.errstate(all="ignore"):
        return OPERATIONS[operation].reference(block_probe(dimensions), axis=axis)


def find(site: Site) -> Iterator[Match]:
    """Yield the softmax that a formula is.

    Parameters
    ----------
    site : Site
        A tree in its place.

    Yields
    ------
    Match
        At most one.
    """
    tree = site.tree
    if not any(part.op == "sum" for part in tree.walk()):
        return
    for hole in holes(site, tree):
        seen = site.seen(hole)
        if seen is None or seen.array is None or not seen.is_real or seen.array.ndim > MOST_DIMENSIONS:
            continue
        dimensions = seen.array.ndim
        try:
            found = compute(tree, {**numbers_of(site, tree), hole: block_probe(dimensions)})
        except (KeyError, TypeError, ValueError):
            continue
        for operation in OPERATIONS_ON_ROWS:
            for axis in range(-1, dimensions - 1):
                if close(found, _expected(operation, dimensions, axis)):
                    name = site.named(hole).value
                    given = "" if axis == -1 else f", axis={axis}"
                    changed = {name: f"tensorops.softmax_({name}{given})"} if operation == "softmax" else {}
                    yield Match(
                        f"tensorops.{operation}",
                        f"tensorops.{operation}({name}{given})",
                        (hole,),
                        operation=operation,
                        operands=(name,),
                        params={"axis": axis},
                        in_place=changed,
                    )
                    return
