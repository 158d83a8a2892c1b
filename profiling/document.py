"""What a verb has to say, before anybody decides how it looks.

A verb builds one `Document`; every reporter in ``profiling/reporters`` renders any document. So a
new verb works in every format, and a new format works for every verb.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Cell: TypeAlias = str | float


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    title : str
        Head of the column.
    kind : {"left", "right", "wrap", "bar"}
        Alignment. A "wrap" column may be broken into lines; a "bar" holds shares from 0 to 1.
    optional : int
        Where a page is too narrow, the column with the highest number goes first; 0 stays always.
    """

    title: str
    kind: Literal["left", "right", "wrap", "bar"] = "right"
    optional: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns.

    Attributes
    ----------
    columns : tuple of Column
        Heads.
    rows : tuple of tuple
        Cells: text, or a share from 0 to 1 in a "bar" column.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        """Check that the table is rectangular."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells under {len(self.columns)} columns: {row}")


@dataclass(frozen=True, slots=True)
class ListingLine:
    """A line of a source listing.

    Attributes
    ----------
    number : int
        Line number in the file.
    source : str
        The line as it stands there, without its end.
    cells : tuple of str
        One per column of the listing, "" where it has nothing for this line; no cells at all where
        nothing was measured.
    heat : float or None
        From 0 (cold) to 1 (the hottest line); None where nothing was measured.
    """

    number: int
    source: str
    cells: tuple[str, ...] = ()
    heat: float | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The source of a function or a file, with measured columns beside it.

    Attributes
    ----------
    title : str
        What is listed, such as a function's name.
    filename : str
        Where it stands.
    columns : tuple of Column
        Heads of the cells, "left" or "right"; the line number and the source come by themselves.
    lines : tuple of ListingLine
        All lines of the function or file, in order. A page may hide those that were not measured.
    note : str
        What to know about the figures; may be empty.
    """

    title: str
    filename: str
    columns: tuple[Column, ...]
    lines: tuple[ListingLine, ...]
    note: str = ""

    def __post_init__(self) -> None:
        """Check the columns and the cells."""
        for column in self.columns:
            if column.kind not in ("left", "right"):
                raise ValueError(
                    f"column {column.title!r} is of kind {column.kind!r}; a listing takes left or right"
                )
        for line in self.lines:
            if line.cells and len(line.cells) != len(self.columns):
                raise ValueError(
                    f"line {line.number} has {len(line.cells)} cells under {len(self.columns)} columns"
                )
            if line.heat is not None and not 0 <= line.heat <= 1:
                raise ValueError(f"line {line.number} has heat {line.heat}; expected 0 to 1")

    @property
    def measured(self) -> tuple[ListingLine, ...]:
        """The lines with a cell that is not empty."""
        return tuple(line for line in self.lines if any(line.cells))


@dataclass(frozen=True, slots=True)
class Change:
    """Lines of source, and those to write instead.

    Attributes
    ----------
    title : str
        Where, and what for.
    before, after : str
        The lines, with their indentation.
    note : str
        What to know about it; may be empty.
    """

    title: str
    before: str
    after: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a figure.

    Attributes
    ----------
    label : str
        Quantity and unit.
    log : bool
        Logarithmic.
    """

    label: str
    log: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """Values that are drawn in one colour.

    Attributes
    ----------
    name : str
        What the legend calls it; the row's name for a "strip". Not shown where it is empty.
    kind : {"line", "points", "bars", "strip", "cells"}
        "line" joins the points (x, y) and "points" does not. "cells" are squares round (x, y) of a regular
        grid that several series share out among them. "bars" are horizontal: `labels` name them,
        from the top, `x` are their lengths, and the bars of several series stand side by side. A
        "strip" is one row of dots at `x`, with a mark at their median. Bars and strips have no `y`.
    x, y : tuple of float
        Values; one that is not finite, or not positive on a logarithmic axis, is left out and counted.
    labels : tuple of str
        One per value: beside the point, or in front of the bar. Empty, if there are none to show.
    """

    name: str
    kind: Literal["line", "points", "bars", "strip", "cells"]
    x: tuple[float, ...]
    y: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that values and labels belong together."""
        if self.kind in ("bars", "strip"):
            if self.y:
                raise ValueError(f"series {self.name!r}: {self.kind} have no y, got {len(self.y)} values")
        elif len(self.x) != len(self.y):
            raise ValueError(f"series {self.name!r}: {len(self.x)} values of x and {len(self.y)} of y")
        wanted = (len(self.x),) if self.kind == "bars" else (0, len(self.x))
        if len(self.labels) not in wanted:
            raise ValueError(f"series {self.name!r}: {len(self.labels)} labels for {len(self.x)} values")


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture: lines and points, or bars, or strips.

    Attributes
    ----------
    title : str
        One line.
    caption : str
        What to see in it; may be empty.
    x, y : Axis
        Axes. Bars and strips run along `x`; on their `y` stand names, under its label.
    series : tuple of Series
        At least one. "line", "points" and "cells" go together; "bars" and "strip" stay among themselves.
    name : str
        Short name without spaces, unique in its document: ids in a page are made from it.
    """

    title: str
    caption: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    name: str

    def __post_init__(self) -> None:
        """Check that the series can share the axes."""
        curves = ("line", "points", "cells")
        kinds = {"curve" if series.kind in curves else series.kind for series in self.series}
        if len(kinds) != 1:
            found = ", ".join(sorted(kinds)) or "none"
            raise ValueError(
                f"figure {self.name!r}: lines and points, or bars, or strips are expected, got {found}"
            )
        if "bars" in kinds and len({series.labels for series in self.series}) != 1:
            raise ValueError(f"figure {self.name!r}: all series of bars need the same labels")


Block: TypeAlias = Table | Listing | Change | Figure | str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document: tables, listings, changes, figures and paragraphs under a title.

    Attributes
    ----------
    title : str
        One line.
    blocks : tuple of Table, Listing, Change, Figure or str
        A string is a paragraph.
    """

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """All that a verb has to say.

    Attributes
    ----------
    title : str
        One line.
    sections : tuple of Section
        In reading order.
    data : mapping
        The same for programs: JSON-ready, with a schema version and the raw samples.
    exit_code : int
        What the process ends with once the document is delivered: 1 where a result was wrong.
    """

    title: str
    sections: tuple[Section, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    exit_code: int = 0

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures of all sections, in reading order."""
        blocks = (block for section in self.sections for block in section.blocks)
        return tuple(block for block in blocks if isinstance(block, Figure))


def time_text(seconds: float) -> str:
    """Return a time with three digits and a fitting unit.

    Parameters
    ----------
    seconds : float
        Zero or more.

    Returns
    -------
    str
        Number and unit.

    Examples
    --------
    >>> time_text(0.00123), time_text(12.3456), time_text(4.2e-7)
    ('1.23 ms', '12.3 s', '420 ns')
    """
    for limit, scale, unit in ((0.9995e-6, 1e9, "ns"), (0.9995e-3, 1e6, "us"), (0.9995, 1e3, "ms")):
        if seconds < limit:
            return f"{three_digits(seconds * scale)} {unit}"
    return f"{three_digits(seconds)} s"


def three_digits(value: float) -> str:
    """Return a number with three significant digits, without an exponent.

    Parameters
    ----------
    value : float
        Any finite number.

    Returns
    -------
    str
        Digits.

    Examples
    --------
    >>> [three_digits(value) for value in (0.0, 0.12345, 3.14159, 42.42, 1234.5)]
    ['0', '0.123', '3.14', '42.4', '1234']
    """
    if value == 0:
        return "0"
    magnitude = abs(value)
    decimals = 3 if magnitude < 0.9995 else 2 if magnitude < 9.995 else 1 if magnitude < 99.95 else 0
    return f"{value:.{decimals}f}"


def bytes_text(count: float) -> str:
    """Return a number of bytes in a unit of 1024.

    Parameters
    ----------
    count : float
        Zero or more.

    Returns
    -------
    str
        Number and unit.

    Examples
    --------
    >>> bytes_text(32768), bytes_text(1.5 * 2**20), bytes_text(512)
    ('32 KiB', '1.5 MiB', '512 B')
    """
    for limit, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= limit:
            return f"{round(count / limit, 1):g} {unit}"
    return f"{count:g} B"
