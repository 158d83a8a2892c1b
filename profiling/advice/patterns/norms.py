"""Layer norm and its kin by hand, with weights and shifts or without."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np

from tensorops.operations import OPERATIONS

from ..candidates import Match, Site
from ..trees import Tree, compute
from .probing import close, numbers_of

SHAPE = (2, 3, 5, 4)
LARGEST_EPSILON = 1e-2


def find(site: Site) -> Iterator[Match]:
    """Yield the norm that a formula is.

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
    if not any(part.op in ("mean", "var", "std") for part in tree.walk()):
        return
    columns = [name for name in tree.names if _is_column(site, name)]
    if len(columns) > 2:
        return
    for hole in dict.fromkeys(part for part in tree.walk() if part != tree):
        seen = site.seen(hole)
        if seen is None or seen.array is None or not seen.is_real or hole in columns:
            continue
        if 2 <= seen.array.ndim <= len(SHAPE):
            match = _norm(site, tree, hole, columns, seen.array.ndim)
            if match is not None:
                yield match
                return


def _is_column(site: Site, name: Tree) -> bool:
    seen = site.seen(name)
    return seen is not None and seen.is_real and seen.array is not None and seen.array.ndim == 1


def _norm(site: Site, tree: Tree, hole: Tree, columns: list[Tree], dimensions: int) -> Match | None:
    generator = np.random.default_rng(3)
    probe = generator.normal(size=SHAPE[-dimensions:]) * 2 + 0.5
    # One row with hardly any spread: there the small number under the root decides.
    probe[(0,) * (dimensions - 1)] = 0.5 + 1e-3 * generator.normal(size=SHAPE[-1])
    values: dict[Tree, Any] = {name: generator.normal(size=SHAPE[-1]) for name in columns}
    numbers = numbers_of(site, tree)
    try:
        found = compute(tree, {**numbers, **values, hole: probe})
    except (KeyError, TypeError, ValueError):
        return None
    small = {part: site.number(part) for part in tree.walk() if part.op in ("number", "name")}
    epsilons = [(part, value) for part, value in small.items() if value is not None]
    for operation, most in (("layer_norm", 2), ("rms_norm", 1)):
        for order in permutations(columns):
            if len(order) > most:
                continue
            for part, epsilon in epsilons:
                if not 0 < epsilon <= LARGEST_EPSILON:
                    continue
                given = [values[name] for name in order]
                if close(found, OPERATIONS[operation].reference(probe, *given, eps=epsilon)):
                    return _match(site, operation, hole, order, part, epsilon)
    return None


def _match(
    site: Site, operation: str, hole: Tree, order: tuple[Tree, ...], part: Tree, epsilon: float
) -> Match:
    operands = tuple(site.named(tree).value for tree in (hole, *order))
    text = f"tensorops.{operation}({', '.join(operands)}, eps={site.render(part)})"
    kept = (hole, *order, *((part,) if part.op == "name" else ()))
    return Match(
        f"tensorops.{operation}", text, kept, operation=operation, operands=operands, params={"eps": epsilon}
    )
