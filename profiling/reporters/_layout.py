"""Lay a table out in a page of a given width, as lines of plain text with styles."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from ..document import Cell, Column, Table
from ._printable import printable

Paint: TypeAlias = Callable[[str, str], str]
"""From text and the name of a style to text with escape codes."""

GAP = "  "
NARROWEST_TEXT = 12
NARROWEST_WRAP = 24
NARROWEST_BAR = 10
WIDEST_BAR = 24


def plain(text: str, style: str) -> str:
    """Return the text as it is: the paint of a page without colour.

    Parameters
    ----------
    text : str
        Any text.
    style : str
        Not used.

    Returns
    -------
    str
        The same text.

    Examples
    --------
    >>> plain("x", "hot")
    'x'
    """
    return text


def table_lines(
    table: Table, width: int, paint: Paint = plain, row_styles: Sequence[str] | None = None
) -> list[str]:
    r"""Return the lines of a table.

    What does not fit is given way in this order: heads are broken into words, optional columns are
    left out, texts are broken into lines. Wrapping columns and bars take what room is left. A table
    that does not fit even so is wider than asked: numbers are never cut.

    Parameters
    ----------
    table : Table
        What to lay out.
    width : int
        Characters of a line.
    paint : callable
        Adds colour; without it the page is plain. It changes no character.
    row_styles : sequence of str, optional
        A style for each row; none by default.

    Returns
    -------
    list of str
        Without trailing spaces.

    Examples
    --------
    >>> table = Table((Column("name", "left"), Column("time")), (("naive", "1 s"), ("numpy", "20 ms")))
    >>> print("\n".join(table_lines(table, 40)))
    name    time
    naive    1 s
    numpy  20 ms
    """
    named = [replace(column, title=printable(column.title)) for column in table.columns]
    rows = [[printable(cell) if isinstance(cell, str) else cell for cell in row] for row in table.rows]
    kept = _fitting(named, rows, width)
    columns = [named[index] for index in kept]
    rows = [[row[index] for index in kept] for row in rows]
    widths = _widths(columns, rows, width)
    lines = _row_lines(columns, [column.title for column in columns], widths, paint, "head")
    styles = row_styles or [""] * len(rows)
    for row, style in zip(rows, styles, strict=True):
        lines += _row_lines(columns, row, widths, paint, style)
    if not rows:
        lines.append("(no rows)")
    return lines


def _fitting(columns: Sequence[Column], rows: list[list[Cell]], width: int) -> list[int]:
    kept = list(range(len(columns)))
    while True:
        least = [_least(columns[index], [row[index] for row in rows]) for index in kept]
        droppable = [index for index in kept if columns[index].optional]
        if _total(least) <= width or not droppable or len(kept) == 1:
            return kept
        kept.remove(max(droppable, key=lambda index: columns[index].optional))


def _widths(columns: list[Column], rows: list[list[Cell]], width: int) -> list[int]:
    cells = [[row[place] for row in rows] for place in range(len(columns))]
    widths = [_least(column, cells[place]) for place, column in enumerate(columns)]
    floors = [_floor(column, cells[place]) for place, column in enumerate(columns)]
    while _total(widths) > width:
        spaces = [have - floor for have, floor in zip(widths, floors, strict=True)]
        roomiest = spaces.index(max(spaces))
        if spaces[roomiest] <= 0:
            return widths
        widths[roomiest] -= 1
    # Low heads come first: texts and bars would take all there is.
    spare = _widen_heads(columns, widths, width - _total(widths))
    for place, column in enumerate(columns):
        if column.kind in ("wrap", "bar"):
            extra = max(0, min(spare, _wanted(column, cells[place]) - widths[place]))
            widths[place] += extra
            spare -= extra
    return widths


def _widen_heads(columns: list[Column], widths: list[int], spare: int) -> int:
    """Give columns what makes the highest head lower, as long as there is enough; return what is left."""
    while True:
        heights = [len(_wrapped(column.title, widths[place])) for place, column in enumerate(columns)]
        highest = heights.index(max(heights))
        if heights[highest] == 1:
            return spare
        title, width = columns[highest].title, widths[highest]
        extra = next(
            n for n in range(1, len(title) + 1) if len(_wrapped(title, width + n)) < heights[highest]
        )
        if extra > spare:
            return spare
        widths[highest] += extra
        spare -= extra


def _least(column: Column, cells: list[Cell]) -> int:
    head = max(map(len, column.title.split()), default=0)
    if column.kind == "bar":
        return max(NARROWEST_BAR, head)
    longest = max((len(str(cell)) for cell in cells), default=0)
    if column.kind == "wrap":
        longest = min(longest, NARROWEST_WRAP)
    return max(longest, head)


def _floor(column: Column, cells: list[Cell]) -> int:
    """Return the width below which a number would be cut, or a text be broken beyond reading."""
    if column.kind == "right":
        return max((len(str(cell)) for cell in cells), default=0)
    return NARROWEST_TEXT


def _wanted(column: Column, cells: list[Cell]) -> int:
    if column.kind == "bar":
        return max(WIDEST_BAR, len(column.title))
    return max(len(column.title), *(len(str(cell)) for cell in cells), 0)


def _total(widths: list[int]) -> int:
    return sum(widths) + len(GAP) * max(0, len(widths) - 1)


def _row_lines(
    columns: list[Column], row: Sequence[Cell], widths: list[int], paint: Paint, style: str
) -> list[str]:
    head = style == "head"
    cells: list[list[str]] = []
    for column, cell, width in zip(columns, row, widths, strict=True):
        if column.kind == "bar" and not head:
            cells.append([_bar(float(cell), width)])
        elif column.kind == "right" and not head:
            cells.append([str(cell)])
        else:
            cells.append(_wrapped(str(cell), width))
    height = max(map(len, cells))
    lines = []
    for number in range(height):
        parts = []
        for column, broken, width in zip(columns, cells, widths, strict=True):
            # Heads of several lines stand on the table: their last lines are level.
            place = number - (height - len(broken)) if head else number
            text = broken[place] if 0 <= place < len(broken) else ""
            parts.append(text.rjust(width) if column.kind == "right" else text.ljust(width))
        while parts and not parts[-1].strip():
            parts.pop()
        if parts:
            parts[-1] = parts[-1].rstrip()
        styles = ["bar" if column.kind == "bar" and not style else style for column in columns]
        lines.append(GAP.join(map(paint, parts, styles)))
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(1, width), break_on_hyphens=False) or [""]


def _bar(share: float, width: int) -> str:
    return "#" * round(min(max(share, 0.0), 1.0) * width)
