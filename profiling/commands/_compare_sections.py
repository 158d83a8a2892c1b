"""A comparison as a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..document import Block, Cell, Column, Section, Table, time_text
from ..measure.difference import Change
from ..measure.line_difference import FEWEST_SAMPLES
from ..measure.run_difference import FEWEST_SAMPLES_PER_RUN
from ._compare_rows import Comparison, CountRow, LineRow

LONGEST_LIST = 12


def timings_section(comparison: Comparison, *, every: bool) -> Section:
    """Return the timings that changed, the worst first; or all of them.

    Parameters
    ----------
    comparison : Comparison
        With timings.
    every : bool
        Whether to list those that did not change too.

    Returns
    -------
    Section
        A table and what is left out.
    """
    listed = [row for row in comparison.timings if every or row.change.verdict in ("slower", "faster")]
    listed.sort(key=lambda row: -row.change.ratio.estimate)
    columns = (
        Column("measured", "wrap"),
        Column("before"),
        Column("after"),
        Column("change"),
        Column("interval", "left"),
        Column("verdict", "left"),
        Column("machine's drift by", "left", optional=1),
    )
    rows: list[tuple[Cell, ...]] = [
        (row.name, time_text(row.before), time_text(row.after), *_change_cells(row.change), row.basis)
        for row in listed
    ]
    blocks: list[Block] = [Table(columns, tuple(rows))] if rows else []
    left = len(comparison.timings) - len(rows)
    if left:
        blocks.append(f"{'The other ' if rows else 'All '}{left} cannot be told apart.")
    for names, which in ((comparison.only_before, "first"), (comparison.only_after, "second")):
        if names:
            more = f" and {len(names) - LONGEST_LIST} more" if len(names) > LONGEST_LIST else ""
            blocks.append(f"Only in the {which} file: {'; '.join(names[:LONGEST_LIST])}{more}.")
    blocks.append("Before and after are medians as measured; the change is that of an unchanged machine.")
    return Section("Timings", tuple(blocks))


def _change_cells(change: Change | None) -> tuple[str, str, str]:
    if change is None:
        return "", "", ""
    if not change.known:
        return "", "", "too few samples"
    ratio = change.ratio
    return (
        _percent(ratio.estimate),
        f"{_percent(ratio.low)} to {_percent(ratio.high)}",
        "" if change.verdict == "same" else change.verdict,
    )


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.0f} %" if ratio < 10 else f"x {ratio:.0f}"


def lines_section(comparison: Comparison, *, every: bool) -> Section:
    """Return the lines whose time changed, and those whose counts did.

    Parameters
    ----------
    comparison : Comparison
        With lines.
    every : bool
        Whether to list those that did not change too.

    Returns
    -------
    Section
        Tables and what is left out.
    """
    blocks: list[Block] = []
    if comparison.total is None:
        blocks.append("No times: at least one report has none of its lines.")
    else:
        first, second = comparison.totals
        change, interval, verdict = _change_cells(comparison.total)
        blocks.append(
            f"All lines together: {time_text(first)} before, {time_text(second)} after; on an unchanged "
            f"machine {change} ({interval}){', ' + verdict if verdict else ', not to be told apart'}."
        )
    timed = [row for row in comparison.lines if row.change is not None]
    listed = [
        row for row in timed if every or row.change is None or row.change.verdict in ("slower", "faster")
    ]
    listed.sort(key=lambda row: -abs((row.seconds[1] or 0.0) - (row.seconds[0] or 0.0)))
    if listed:
        columns = (
            Column("line", "left"),
            Column("source", "wrap"),
            Column("before"),
            Column("after"),
            Column("change"),
            Column("interval", "left", optional=1),
            Column("verdict", "left"),
        )
        blocks.append(Table(columns, tuple(_line_cells(row) for row in listed)))
    if len(timed) > len(listed):
        blocks.append(f"{len(timed) - len(listed)} timed lines cannot be told apart.")
    few = len(comparison.lines) - len(timed)
    if few and comparison.total is not None:
        fewest = (
            f"{FEWEST_SAMPLES_PER_RUN} samples a run" if comparison.by_runs else f"{FEWEST_SAMPLES} samples"
        )
        blocks.append(f"{few} lines have fewer than {fewest} in both reports: no verdict.")
    for kind, text in (("new", "New lines"), ("gone", "Lines that are gone")):
        # A line with a sample or two is in one report and not in the other by chance.
        found = [row for row in comparison.lines if row.match.kind == kind and _is_certain(row)]
        if found:
            blocks.append(f"{text}: {_listed([row.place + ' ' + row.line.text for row in found])}.")
    return Section("Lines", tuple(blocks))


def _is_certain(row: LineRow) -> bool:
    return row.line.samples >= FEWEST_SAMPLES or any(row.line.counts.values())


def _line_cells(row: LineRow) -> tuple[Cell, ...]:
    before, after = row.seconds
    change, interval, verdict = _change_cells(row.change)
    kind = row.match.kind
    if kind in ("new", "gone"):
        change, interval = "", ""
    note = "; ".join(filter(None, [verdict if kind not in ("new", "gone") else "", kind * (kind != "same")]))
    times = ("" if seconds is None else time_text(seconds) for seconds in (before, after))
    return (row.place, row.line.text, *times, change, interval, note)


def _listed(texts: Sequence[str]) -> str:
    more = f" | and {len(texts) - LONGEST_LIST} more" if len(texts) > LONGEST_LIST else ""
    return " | ".join(texts[:LONGEST_LIST]) + more


def counts_section(comparison: Comparison) -> Section:
    """Return the exact figures that differ: operations, totals of allocations, lines.

    Parameters
    ----------
    comparison : Comparison
        What came of it.

    Returns
    -------
    Section
        A table, or a sentence that all are equal.
    """
    rows = list(comparison.counts)
    rows += [
        CountRow(f"{row.place} {row.line.text}", unit, before, after)
        for row in comparison.lines
        for unit, (before, after) in row.counts.items()
    ]
    if not rows:
        return Section(
            "Counts", ("Hits, allocations and operations are equal wherever both files have them.",)
        )
    columns = (
        Column("what", "wrap"),
        Column("unit", "left"),
        Column("before"),
        Column("after"),
        Column("change"),
    )
    cells: list[tuple[Cell, ...]] = [
        (row.name, row.unit, _count(row.before), _count(row.after), _difference(row)) for row in rows
    ]
    text = "Exact figures: every difference is real. What is not listed is equal, or not in both files."
    return Section("Counts", (Table(columns, tuple(cells)), text))


def _count(value: int | None) -> str:
    return "none" if value is None else f"{value:,}"


def _difference(row: CountRow) -> str:
    if row.before is None or row.after is None:
        return ""
    return f"{row.after - row.before:+,}"


def comparison_data(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON-ready values.

    Parameters
    ----------
    comparison : Comparison
        What came of it.

    Returns
    -------
    dict
        Every row, those without a change included.
    """
    return {
        "by_runs": comparison.by_runs,
        "drift": {
            "factor": comparison.drift.factor,
            "error": comparison.drift.sd,
            "basis": comparison.drift.basis,
        },
        "timings": [
            {
                "name": row.name,
                "before": row.before,
                "after": row.after,
                "basis": row.basis,
                **_change_data(row.change),
            }
            for row in comparison.timings
        ],
        "total": None
        if comparison.total is None
        else {
            "before": comparison.totals[0],
            "after": comparison.totals[1],
            **_change_data(comparison.total),
        },
        "lines": [
            {
                "file": row.line.file,
                "function": row.line.function,
                "line": row.line.number,
                "source": row.line.text,
                "match": row.match.kind,
                "before": row.seconds[0],
                "after": row.seconds[1],
                "counts": {unit: list(pair) for unit, pair in row.counts.items()},
                **_change_data(row.change),
            }
            for row in comparison.lines
        ],
        "counts": [
            {"name": row.name, "unit": row.unit, "before": row.before, "after": row.after}
            for row in comparison.counts
        ],
        "only_before": list(comparison.only_before),
        "only_after": list(comparison.only_after),
    }


def _change_data(change: Change | None) -> dict[str, Any]:
    if change is None or not change.known:
        return {"verdict": "unknown", "ratio": None}
    ratio = change.ratio
    return {"verdict": change.verdict, "ratio": [ratio.estimate, ratio.low, ratio.high]}
