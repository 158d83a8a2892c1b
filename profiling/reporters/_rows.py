"""What a page needs to know of tables and listings beyond their text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..document import Cell, Listing, ListingLine

CONTEXT = 2
SHORTEST_FOLD = 5
LONGEST_STRETCH = 2000
LONGEST_LINE = 500

_NUMBER = re.compile(r"[*+<>~]?\s*(-?[\d,]*\.?\d+(?:e[-+]?\d+)?)\s*([A-Za-zµ%/]*)")
_SCALES = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "min": 60.0,
    "KiB": 2.0**10,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
}


def sort_value(cell: Cell) -> float | None:
    """Return the number that a cell begins with, in the unit's base.

    Parameters
    ----------
    cell : str or float
        Such as "1.2 ms", "3 KiB", "*1,234", "5 %" or a share.

    Returns
    -------
    float or None
        Seconds, bytes or the plain number; None where the cell begins with no number.

    Examples
    --------
    >>> [sort_value(cell) for cell in ("1.5 ms", "2 KiB", "*1,234", "numpy", 0.5)]
    [0.0015, 2048.0, 1234.0, None, 0.5]
    """
    if not isinstance(cell, str):
        return float(cell)
    found = _NUMBER.match(cell.strip())
    if found is None:
        return None
    return float(found[1].replace(",", "")) * _SCALES.get(found[2], 1.0)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring lines of a listing.

    Attributes
    ----------
    lines : tuple of ListingLine
        Shown one by one, or together as one block.
    folded : bool
        Whether they are hidden until somebody asks.
    left_out : bool
        Whether they are too many for a page: only their numbers are told.
    """

    lines: tuple[ListingLine, ...]
    folded: bool = False
    left_out: bool = False


def stretches(listing: Listing) -> Iterator[Stretch]:
    """Yield the lines of a listing in groups: what was measured with its surroundings, and the rest.

    Parameters
    ----------
    listing : Listing
        A function's or a file's source.

    Yields
    ------
    Stretch
        In the order of the file; long runs of lines without figures are folded.

    Examples
    --------
    >>> lines = tuple(ListingLine(n, "pass", ("1 s",) if n == 10 else ()) for n in range(1, 11))
    >>> from profiling.document import Column
    >>> [(len(part.lines), part.folded) for part in stretches(Listing("f", "f.py", (Column("t"),), lines))]
    [(7, True), (3, False)]
    """
    lines = listing.lines
    measured = {place for place, line in enumerate(lines) if any(line.cells)}
    near = {place + step for place in measured for step in range(-CONTEXT, CONTEXT + 1)}
    group: list[ListingLine] = []
    group_is_near = True
    for place, line in enumerate(lines):
        if group and (place in near) != group_is_near:
            yield _stretch(group, group_is_near)
            group = []
        group_is_near = place in near
        group.append(line)
    if group:
        yield _stretch(group, group_is_near)


def _stretch(group: list[ListingLine], is_near: bool) -> Stretch:
    folded = not is_near and len(group) >= SHORTEST_FOLD
    return Stretch(tuple(group), folded, folded and len(group) > LONGEST_STRETCH)


def shown_source(source: str) -> str:
    """Return a source line, cut where it is no line for people.

    Parameters
    ----------
    source : str
        Any line.

    Returns
    -------
    str
        At most 500 characters and a word on the rest.

    Examples
    --------
    >>> shown_source("x = 1"), shown_source("x" * 501)[500:]
    ('x = 1', ' ... (1 more character)')
    """
    more = len(source) - LONGEST_LINE
    if more <= 0:
        return source
    return f"{source[:LONGEST_LINE]} ... ({more} more character{'s' * (more != 1)})"
