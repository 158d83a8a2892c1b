"""An activation by hand, however it is written: gelu in three forms, silu, sigmoid, softplus, elu."""

from __future__ import annotations

from collections.abc import Iterator

from tensorops.operations import OPERATIONS

from ..candidates import Match, Site
from .probing import elementwise_operation, holes

DEFAULTS = {"approximate": "none"}


def find(site: Site) -> Iterator[Match]:
    """Yield the activation that a formula is.

    Parameters
    ----------
    site : Site
        A tree in its place.

    Yields
    ------
    Match
        At most one.
    """
    for hole in holes(site, site.tree):
        found = elementwise_operation(site, site.tree, hole)
        if found is None:
            continue
        operation, params = found
        if site.tree.op == operation:
            # NumPy has it: that is no form by hand.
            return
        name = site.render(hole)
        given = "".join(
            f", {key}={value!r}" for key, value in params.items() if DEFAULTS.get(key) != value
        ).replace("'", '"')
        changing = OPERATIONS.get(f"{operation}_")
        yield Match(
            f"tensorops.{operation}",
            f"tensorops.{operation}({name}{given})",
            site.named_parts(hole),
            operation=operation,
            operands=(name,),
            params=params,
            in_place={name: f"tensorops.{operation}_({name}{given})"} if changing else {},
        )
        return
