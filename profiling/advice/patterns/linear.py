"""A product, a bias and an activation, one after the other: the last two in the product's own pass."""

from __future__ import annotations

from collections.abc import Iterator

from tensorops.activations import ACTIVATIONS, operation_of

from ..candidates import Match, Site
from ..trees import Tree
from .probing import elementwise_operation, holes

NAMES = {
    (operation, tuple(params.items())): name
    for name in ACTIVATIONS
    for operation, params in [operation_of(name)]
}


def find(site: Site) -> Iterator[Match]:
    """Yield the layer that a formula is.

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
    if not any(part.op == "matmul" for part in tree.walk()):
        return
    if tree.op == "add":
        match = _layer(site, tree, None)
        if match is not None:
            yield match
        return
    for hole in holes(site, tree):
        if hole.op not in ("add", "matmul"):
            continue
        found = elementwise_operation(site, tree, hole)
        if found is None:
            continue
        operation, params = found
        given = tuple((name, value) for name, value in params.items() if value != "none")
        activation = NAMES.get((operation, given))
        match = None if activation is None else _layer(site, hole, activation)
        if match is not None:
            yield match
            return


def _layer(site: Site, tree: Tree, activation: str | None) -> Match | None:
    product, bias = tree, None
    if tree.op == "add":
        product, bias = tree.args if tree.args[0].op == "matmul" else tree.args[::-1]
    if product.op != "matmul":
        return None
    x, weight = product.args
    seen = site.seen(weight)
    if seen is None or not seen.is_real or seen.array is None or seen.array.ndim != 2:
        return None
    first = site.seen(x)
    if first is not None and (first.array is None or first.array.ndim < 1):
        return None
    operands = [site.render(x), site.named(weight).value]
    kept = [*site.named_parts(x), weight]
    if bias is not None:
        shift = site.seen(bias)
        shape = None if shift is None or shift.array is None else shift.array.shape
        columns = seen.array.shape[1]
        if shape not in ((columns,), (1, columns)):
            return None
        operands.append(site.named(bias).value + "[0]" * (len(shape) - 1))
        kept.append(bias)
    given = "" if activation is None else f', activation="{activation}"'
    return Match(
        "tensorops.linear",
        f"tensorops.linear({', '.join(operands)}{given})",
        tuple(kept),
        operation="linear",
        operands=tuple(operands),
        params={"activation": activation},
    )
