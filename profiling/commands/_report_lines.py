"""Sections about lines: the hottest, those that allocate most, and the source with its figures."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..collect.line_table import Function, Line
from ..collect.own_code import MODULE
from ..document import (
    Axis,
    Block,
    Cell,
    Column,
    Figure,
    Listing,
    ListingLine,
    Section,
    Series,
    Table,
    bytes_text,
    time_text,
)

LINES_SHOWN = 10
MARGIN = 3
"""Lines shown around a module's own measured lines, whose function is the whole file."""


@dataclass(frozen=True, slots=True)
class _Figure:
    """A column of a listing: its head, what a line has to show, whether it is shown at all."""

    title: str
    text: Callable[[Line], str]
    has: Callable[[Line], object]


def _figures(total_seconds: float) -> tuple[_Figure, ...]:
    return (
        _Figure(
            "time", lambda line: time_text(line.seconds) if line.seconds else "", lambda line: line.seconds
        ),
        _Figure(
            "%",
            lambda line: percent(line.seconds, total_seconds),
            lambda line: line.seconds and total_seconds,
        ),
        _Figure(
            "waits",
            lambda line: time_text(line.waiting_seconds) if line.waiting_seconds else "",
            lambda line: (line.waiting_seconds or 0.0) > 0.01 * total_seconds,
        ),
        _Figure("hits", lambda line: f"{line.hits:,}" if line.hits else "", lambda line: line.hits),
        _Figure(
            "per hit",
            lambda line: time_text(line.seconds_per_hit) if line.seconds_per_hit else "",
            lambda line: line.seconds_per_hit,
        ),
        _Figure(
            "buffers",
            lambda line: f"{line.allocations:,}" if line.allocations else "",
            lambda line: line.allocations,
        ),
        _Figure("bytes", lambda line: bytes_text(line.bytes) if line.bytes else "", lambda line: line.bytes),
        _Figure("process", lambda line: growth_text(line.resident_growth), lambda line: line.resident_growth),
    )


def percent(part: float | None, total: float) -> str:
    """Return a share in percent, empty where there is none.

    Parameters
    ----------
    part : float or None
        The part.
    total : float
        The whole.

    Returns
    -------
    str
        With one decimal.

    Examples
    --------
    >>> percent(1, 3), percent(None, 3), percent(1e-9, 1)
    ('33.3', '', '<0.1')
    """
    if not part or not total:
        return ""
    share = 100 * part / total
    return f"{share:.1f}" if share >= 0.05 else "<0.1"


def growth_text(growth: int | None) -> str:
    """Return a growth of the process with its sign, empty for none.

    Parameters
    ----------
    growth : int or None
        Bytes; may be negative.

    Returns
    -------
    str
        Number and unit.

    Examples
    --------
    >>> growth_text(2048), growth_text(-2048), growth_text(0)
    ('+2 KiB', '-2 KiB', '')
    """
    if not growth:
        return ""
    return ("+" if growth > 0 else "-") + bytes_text(abs(growth))


def hottest_section(title: str, lines: Sequence[Line], per: str, reason: str | None) -> Section:
    """Return the lines with the most time.

    Parameters
    ----------
    title : str
        Title of the section.
    lines : sequence of Line
        All lines.
    per : str
        What the times are those of, such as "the run" or "one call".
    reason : str or None
        Why there are no times.

    Returns
    -------
    Section
        A table, or the reason.
    """
    if reason is not None:
        return Section(title, (f"No times: {reason}.",))
    timed = sorted((line for line in lines if line.seconds), key=lambda line: -(line.seconds or 0.0))
    if not timed:
        return Section(title, ("No sample found the processor in a line of the user's own code.",))
    total = sum(line.seconds or 0.0 for line in timed if line.origin == "python") or sum(
        line.seconds or 0.0 for line in timed
    )
    columns = (
        Column("line", "left"),
        Column("function", "left", optional=2),
        Column("time"),
        Column("%"),
        Column("compiled", optional=1),
        Column("source", "wrap"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            line.place,
            line.function,
            time_text(line.seconds or 0.0),
            percent(line.seconds, total),
            percent(line.native, 1.0) + "%" if line.native else "-",
            line.source.strip(),
        )
        for line in timed[:LINES_SHOWN]
    ]
    picture = Figure(
        "Hottest lines",
        "Share of the time that was found in these files.",
        Axis("% of the time"),
        Axis(""),
        (
            Series(
                "",
                "bars",
                tuple(100 * (line.seconds or 0.0) / total for line in timed[:LINES_SHOWN]),
                labels=tuple(line.place for line in timed[:LINES_SHOWN]),
            ),
        ),
        "hottest_lines",
    )
    text = (
        f"Processor time of {per} in all threads, sampled at the program's own speed; % of what was found in"
    )
    text += " these files. Compiled: share of a line's time in compiled code that it called."
    if any(line.origin == "pyx" for line in timed):
        text += " The time of a .pyx line is also in the Python line that called it."
    return Section(title, (Table(columns, tuple(rows)), text, *_left_out(timed), picture))


def _left_out(lines: Sequence[Line]) -> tuple[str, ...]:
    left = len(lines) - LINES_SHOWN
    return (f"{left} more line{'s' * (left != 1)}: see the JSON.",) if left > 0 else ()


def allocating_section(
    title: str, lines: Sequence[Line], per: str, minimum: int, reason: str | None
) -> Section:
    """Return the lines that allocate most.

    Parameters
    ----------
    title : str
        Title of the section.
    lines : sequence of Line
        All lines.
    per : str
        What the counts are those of.
    minimum : int
        Bytes of the smallest buffer counted.
    reason : str or None
        Why there are no counts.

    Returns
    -------
    Section
        A table, or the reason.
    """
    if reason is not None:
        return Section(title, (f"Not counted: {reason}.",))
    found = sorted(
        (line for line in lines if line.allocations),
        key=lambda line: (-(line.bytes or 0), -(line.allocations or 0)),
    )
    if not found:
        return Section(title, (f"No line allocated a buffer of {minimum} bytes or more.",))
    total = sum(line.bytes or 0 for line in found)
    columns = (
        Column("line", "left"),
        Column("function", "left", optional=2),
        Column("buffers"),
        Column("bytes"),
        Column("%"),
        Column("most at once", optional=1),
        Column("source", "wrap"),
    )
    rows = tuple(
        (
            line.place,
            line.function,
            f"{line.allocations:,}",
            bytes_text(line.bytes or 0),
            percent(line.bytes, total),
            bytes_text(line.peak or 0),
            line.source.strip(),
        )
        for line in found[:LINES_SHOWN]
    )
    text = f"NumPy buffers of {minimum} bytes or more in {per}; exact, by NumPy's allocation hook."
    return Section(title, (Table(columns, rows), text, *_left_out(found)))


def listing_blocks(functions: Sequence[Function], total_seconds: float) -> tuple[Block, ...]:
    """Return the source of functions with the figures of each line.

    Parameters
    ----------
    functions : sequence of Function
        The hottest first.
    total_seconds : float
        Time that percentages refer to.

    Returns
    -------
    tuple of Listing
        Columns without any figure are left out. Heat is relative to the hottest line of all.
    """
    every = [line for function in functions for line in function.lines]
    most = max((line.seconds or 0.0 for line in every), default=0.0)
    most_bytes = max((line.bytes or 0 for line in every), default=0)
    return tuple(_listing(function, total_seconds, most, most_bytes) for function in functions)


def _listing(function: Function, total_seconds: float, most: float, most_bytes: int) -> Listing:
    shown = [figure for figure in _figures(total_seconds) if any(map(figure.has, function.lines))]
    measured = {line.line: line for line in function.lines}
    lines = []
    for number in _numbers(function):
        source = linecache.getline(function.file, number).rstrip()
        line = measured.get(number)
        if line is None:
            lines.append(ListingLine(number, source))
            continue
        heat = (
            (line.seconds or 0.0) / most if most else (line.bytes or 0) / most_bytes if most_bytes else None
        )
        lines.append(ListingLine(number, source, tuple(figure.text(line) for figure in shown), heat))
    note = (
        "" if any(line.source for line in lines) else "The source was not found: only line numbers are known."
    )
    title = function.block.name if function.block.name != MODULE else "outside of any function"
    return Listing(title, function.file, tuple(Column(figure.title) for figure in shown), tuple(lines), note)


def _numbers(function: Function) -> list[int]:
    block = function.block
    if block.name != MODULE:
        numbers = set(range(block.first, block.last + 1))
    else:
        numbers = set()
        for line in function.lines:
            numbers |= set(range(max(1, line.line - MARGIN), min(block.last, line.line + MARGIN) + 1))
    return sorted(numbers | {line.line for line in function.lines})
