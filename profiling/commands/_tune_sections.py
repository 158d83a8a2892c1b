"""What the verb ``tune`` has to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..document import Block, Column, Document, Section, Table, time_text
from ..measure.tuning_gain import Change
from ..tuning import TuneReport

SHOWN = 12
SCHEMA = 1


def tune_document(
    report: TuneReport, error: str | None, script_code: int | None, *, exit_code: int
) -> Document:
    """Return what a tune measured, changed and stored.

    Parameters
    ----------
    report : TuneReport
        The tune.
    error : str or None
        Why the profile was not written against the user's wish.
    script_code : int or None
        Exit code of the recorded script, if there was one.
    exit_code : int
        Exit code of the verb.

    Returns
    -------
    Document
        Sections and data.
    """
    tuned = report.tuned
    parts = []
    if script_code is not None:
        parts.append(_recorded_section(report, script_code))
    parts.append(_measured_section(report))
    parts.append(_gain_section(report) if report.calls else _changes_section(report))
    if report.path is not None:
        stored: Block = str(report.path)
    else:
        stored = "Not written, as asked." if error is None else f"NOT WRITTEN: {error}"
        if error is None and not tuned.entries:
            stored = "Not written: nothing was measured."
    parts.append(Section("The profile", (stored,)))
    return Document("tune", tuple(parts), _data(report, error, script_code), exit_code=exit_code)


def _measured_section(report: TuneReport) -> Section:
    tuned = report.tuned
    groups: dict[tuple[str, str, int], dict[str, int]] = {}
    for entry in tuned.entries:
        wins = groups.setdefault((entry.op, entry.dtype, entry.threads), {})
        best = min(entry.paths, key=lambda path: entry.paths[path].seconds)
        wins[best] = wins.get(best, 0) + 1
    rows = tuple(
        (
            op,
            dtype,
            str(threads),
            str(sum(wins.values())),
            ", ".join(f"{path} {count}" for path, count in sorted(wins.items(), key=lambda item: -item[1])),
        )
        for (op, dtype, threads), wins in groups.items()
    )
    columns = (
        Column("operation", "left"),
        Column("dtype", "left"),
        Column("threads"),
        Column("problems"),
        Column("fastest path, how often", "wrap"),
    )
    blocks: list[Block] = [Table(columns, rows)] if rows else []
    text = f"{tuned.problems} problems in {tuned.seconds:.1f} s."
    blocks.append(f"Interrupted: {text}" if tuned.interrupted else text)
    blocks += [f"{op}: not measured, {reason}." for op, reason in tuned.skipped.items()]
    blocks += [f"{path}: not measured, {reason}." for path, reason in tuned.left_out.items()]
    blocks += [f"{place}: LEFT OUT, {problem}." for place, problem in list(tuned.errors.items())[:SHOWN]]
    return Section("Measured", tuple(blocks))


def _changes_section(report: TuneReport) -> Section:
    if not report.changes:
        return Section("What changed", ("Every measured call takes the path that it took before.",))
    blocks: list[Block] = [
        f"{len(report.changes)} of {len(report.tuned.entries)} measured calls take another path. By times "
        f"that the choice rests on, all measured calls are {report.gain:.3f} times as fast (geometric mean)."
    ]
    if report.confirmed:
        blocks += [
            "The largest changes, measured once more: times that had no part in the choice.",
            _change_table(report.confirmed),
        ]
    else:
        blocks.append(_change_table(report.changes[:SHOWN]))
    return Section("What changed", tuple(blocks))


def _change_table(changes: Sequence[Change]) -> Table:
    columns = (
        Column("call", "left"),
        Column("threads"),
        Column("before", "left"),
        Column("now", "left"),
        Column("took"),
        Column("takes"),
        Column("faster"),
    )
    return Table(
        columns,
        tuple(
            (
                f"{change.case.op} {change.case.name}",
                str(change.threads),
                change.before,
                change.after,
                time_text(change.before_seconds),
                time_text(change.after_seconds),
                f"{change.ratio:.2f}x",
            )
            for change in changes
        ),
    )


def _recorded_section(report: TuneReport, script_code: int) -> Section:
    columns = (Column("call", "left"), Column("threads"), Column("calls"))
    rows = tuple(
        (f"{entry.case.op} {entry.case.name}", str(entry.threads), f"{entry.calls:,}")
        for entry in report.calls[:SHOWN]
    )
    blocks: list[Block] = (
        [Table(columns, rows)] if rows else ["The program called no operation of tensorops."]
    )
    left = len(report.calls) - SHOWN
    if left > 0:
        blocks.append(f"And {left} more.")
    if script_code:
        blocks.append(f"The program FAILED with exit code {script_code}; what it called before is tuned.")
    return Section("Recorded", tuple(blocks))


def _gain_section(report: TuneReport) -> Section:
    savings = report.savings()
    if not savings:
        return Section("What changed", ("Every recorded call takes the path that it took before.",))
    columns = (
        Column("call", "left"),
        Column("calls"),
        Column("before", "left"),
        Column("now", "left"),
        Column("took"),
        Column("takes"),
        Column("saves"),
    )
    rows = tuple(
        (
            f"{change.case.op} {change.case.name}",
            f"{calls:,}",
            change.before,
            change.after,
            time_text(change.before_seconds),
            time_text(change.after_seconds),
            _signed(saved),
        )
        for change, calls, saved in savings[:SHOWN]
    )
    total = sum(saved for _, _, saved in savings)
    text = (
        f"A program like this one takes {_signed(total)} less in these calls: the number of calls times the "
        "seconds saved."
    )
    if report.confirmed:
        text += " Times are measured once more, after the choice."
    return Section("What changed", (Table(columns, rows), text))


def _signed(seconds: float) -> str:
    return time_text(seconds) if seconds >= 0 else f"-{time_text(-seconds)}"


def _data(report: TuneReport, error: str | None, script_code: int | None) -> dict[str, Any]:
    tuned = report.tuned
    return {
        "schema": SCHEMA,
        "kind": "tune",
        "problems": tuned.problems,
        "seconds": tuned.seconds,
        "interrupted": tuned.interrupted,
        "errors": dict(tuned.errors),
        "skipped": dict(tuned.skipped),
        "left_out": dict(tuned.left_out),
        "gain": report.gain,
        "changes": [change.to_dict() for change in report.changes],
        "confirmed": [change.to_dict() for change in report.confirmed],
        "calls": [entry.to_dict() for entry in report.calls],
        "saves": [
            {**change.to_dict(), "calls": calls, "seconds": saved}
            for change, calls, saved in report.savings()
        ],
        "script_exit_code": script_code,
        "profile": None if report.path is None else str(report.path),
        "profile_error": error,
    }
