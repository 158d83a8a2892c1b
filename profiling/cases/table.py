"""THE table of cases: every group, of every operation; benchmarks, the suite, docs and tests read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from .case import Case, flops, moved_bytes
from .group import Group
from .operation_groups import OPERATION_GROUPS
from .product_groups import PRODUCT_GROUPS

GROUPS: Mapping[str, Group] = MappingProxyType(
    {group.name: group for group in (*PRODUCT_GROUPS, *OPERATION_GROUPS)}
)
"""By name."""
SUITES = ("quick", "full")
QUICK_FLOPS = 1 << 30
"""A product of two 512x512 matrices is a quarter of it."""
QUICK_BYTES = 32 << 20


def groups_of(op: str) -> dict[str, Group]:
    """Return the groups that hold cases of an operation, with these cases alone.

    Parameters
    ----------
    op : str
        Name in the operation registry.

    Returns
    -------
    dict of str to Group
        By name, in the table's order.

    Examples
    --------
    >>> list(groups_of("relu"))
    ['elementwise']
    >>> [case.name for case in groups_of("relu")["elementwise"].quick]
    ['100000 float32']
    """
    found = {name: group.only(op) for name, group in GROUPS.items()}
    return {name: group for name, group in found.items() if group.cases}


def suite_groups(suite: str, names: Iterable[str] = ()) -> list[Group]:
    """Return the groups of a suite with the cases that it measures.

    Parameters
    ----------
    suite : str
        "quick": the few cases of each group that tell most and take little; "full": all.
    names : iterable of str
        Groups wanted; all by default.

    Returns
    -------
    list of Group
        With at least one case each.

    Raises
    ------
    ValueError
        For an unknown suite or group; the message lists the known ones.

    Examples
    --------
    >>> [group.name for group in suite_groups("quick", ["rows", "conv"])]
    ['rows', 'conv']
    >>> suite_groups("quick", ["raws"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: unknown group 'raws'; known: square, transposed, tiny, layers, ...
    """
    if suite not in SUITES:
        raise ValueError(f"unknown suite {suite!r}; known: {', '.join(SUITES)}")
    wanted = list(names)
    for name in wanted:
        if name not in GROUPS:
            raise ValueError(f"unknown group {name!r}; known: {', '.join(GROUPS)}")
    chosen = [GROUPS[name] for name in wanted or GROUPS]
    if suite == "quick":
        chosen = [replace(group, cases=tuple(filter(_is_quick, group.quick))) for group in chosen]
    return [group for group in chosen if group.cases]


def _is_quick(case: Case) -> bool:
    return flops(case) <= QUICK_FLOPS and moved_bytes(case) <= QUICK_BYTES
