"""``x**3``: NumPy asks the C library for a power, element by element, where two products do."""

from __future__ import annotations

from collections.abc import Iterator

from ..candidates import Match, Site


def find(site: Site) -> Iterator[Match]:
    """Yield the products that a power is.

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
    if tree.op != "power" or tree.args[1].op != "number" or tree.args[1].value not in (3, 4):
        return
    seen = site.seen(tree.args[0])
    if seen is None or not seen.is_real:
        return
    name = site.named(tree.args[0]).value
    if tree.args[1].value == 3:
        yield Match("products", f"{name} * {name} * {name}", (tree.args[0],))
    else:
        square = f"{site.numpy_name}.square"
        yield Match("squares", f"{square}({square}({name}))", (tree.args[0],))
