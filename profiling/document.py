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


Block: TypeAlias = Table | str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document: tables and paragraphs under a title.

    Attributes
    ----------
    title : str
        One line.
    blocks : tuple of Table or str
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
