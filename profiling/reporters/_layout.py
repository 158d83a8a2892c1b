"""Lay a table out in a page of a given width, in plain text."""

from __future__ import annotations

import textwrap

from ..document import Cell, Column, Table

GAP = "  "
NARROWEST_WRAP = 24
NARROWEST_BAR = 10
WIDEST_BAR = 24


def table_lines(table: Table, width: int) -> list[str]:
    r"""Return the lines of a table.

    Optional columns are left out until the rest fits; bars take what room is left; a wrapping
    column is broken into lines. A table that does not fit even so is wider than asked: numbers are
    never cut.

    Parameters
    ----------
    table : Table
        What to lay out.
    width : int
        Characters of a line.

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
    kept = _fitting(table, width)
    columns = [table.columns[index] for index in kept]
    rows = [[row[index] for index in kept] for row in table.rows]
    widths = [_least(column, [row[place] for row in rows]) for place, column in enumerate(columns)]
    spare = width - _total(widths)
    for place, column in enumerate(columns):
        wanted = 0
        if column.kind == "wrap":
            wanted = max([len(str(row[place])) for row in rows], default=0)
        elif column.kind == "bar":
            wanted = WIDEST_BAR
        extra = max(0, min(spare, wanted - widths[place]))
        widths[place] += extra
        spare -= extra
    lines = _row_lines(columns, [column.title for column in columns], widths, head=True)
    for row in rows:
        lines += _row_lines(columns, row, widths)
    return lines


def _fitting(table: Table, width: int) -> list[int]:
    kept = list(range(len(table.columns)))
    while True:
        widths = [_least(table.columns[index], [row[index] for row in table.rows]) for index in kept]
        droppable = [index for index in kept if table.columns[index].optional]
        if _total(widths) <= width or not droppable:
            return kept
        kept.remove(max(droppable, key=lambda index: table.columns[index].optional))


def _least(column: Column, cells: list[Cell]) -> int:
    if column.kind == "bar":
        return max(NARROWEST_BAR, len(column.title))
    longest = max((len(str(cell)) for cell in cells), default=0)
    if column.kind == "wrap":
        longest = min(longest, NARROWEST_WRAP)
    return max(longest, len(column.title))


def _total(widths: list[int]) -> int:
    return sum(widths) + len(GAP) * max(0, len(widths) - 1)


def _row_lines(columns: list[Column], row: list[Cell], widths: list[int], head: bool = False) -> list[str]:
    cells: list[list[str]] = []
    for column, cell, width in zip(columns, row, widths, strict=True):
        if column.kind == "bar" and not head:
            cells.append([_bar(float(cell), width)])
        elif column.kind == "wrap":
            cells.append(textwrap.wrap(str(cell), width) or [""])
        else:
            cells.append([str(cell)])
    lines = []
    for number in range(max(len(cell) for cell in cells)):
        parts = []
        for column, broken, width in zip(columns, cells, widths, strict=True):
            text = broken[number] if number < len(broken) else ""
            parts.append(text.rjust(width) if column.kind == "right" else text.ljust(width))
        lines.append(GAP.join(parts).rstrip())
    return lines


def _bar(share: float, width: int) -> str:
    return "#" * round(min(max(share, 0.0), 1.0) * width)
