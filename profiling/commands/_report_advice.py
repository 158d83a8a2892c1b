"""The section on what the library does better than hot lines: found, tried out, shown with its gain."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..advice.advising import Advice, Advised, advise
from ..collect.line_table import Line
from ..collect.names import observed
from ..document import Block, Change, Column, Section, Table, time_text
from ._report_lines import percent

FAILED = "Advice failed and was left out: "


def advise_on(
    lines: Sequence[Line], seen: Iterable[Mapping[str, Any]], absolute: Callable[[str], str]
) -> tuple[Advised | None, list[str]]:
    """Find advice for profiled lines; whatever goes wrong, the report goes on.

    Parameters
    ----------
    lines : sequence of Line
        All lines.
    seen : iterable of mapping
        What names held, as ``profiling.collect.names.NameWatch.to_dict`` lists it.
    absolute : callable
        From a code object's filename to that of `lines`.

    Returns
    -------
    advised : profiling.advice.advising.Advised or None
        None where it failed.
    notes : list of str
        Why it failed.
    """
    times = {
        (line.file, line.line): line.seconds for line in lines if line.origin == "python" and line.seconds
    }
    try:
        return advise(times, seen, absolute, _announce), []
    except Exception as error:
        return None, [f"{FAILED}{type(error).__name__}: {error}."]


def advise_on_step(call: Callable[[], object], filename: str) -> tuple[Advised | None, list[str]]:
    """Find advice for the lines of a small program of the toolkit's own, run under a tracer.

    Parameters
    ----------
    call : callable
        Runs it, in this process.
    filename : str
        Its source.

    Returns
    -------
    advised, notes
        As `advise_on`.
    """
    try:
        names, times = observed(call, filename)
        return advise(times, names["lines"], lambda name: name), []
    except Exception as error:
        return None, [f"{FAILED}{type(error).__name__}: {error}."]


def _announce(count: int) -> None:
    what = "replacement" if count == 1 else "replacements"
    print(f"Trying {count} {what} of hot lines; --no-advice leaves that out.", file=sys.stderr)


def advice_section(title: str, advised: Advised | None, per: str) -> Section | None:
    """Return the section, or None where there is nothing to advise.

    Parameters
    ----------
    title : str
        Title of the section.
    advised : profiling.advice.advising.Advised or None
        What was found.
    per : str
        What the times are those of, such as "the run" or "one call".

    Returns
    -------
    Section or None
        A table of gains, then each replacement in full.
    """
    if advised is None or not advised.given:
        return None
    columns = (
        Column("line", "left"),
        Column("use", "left"),
        Column("gain"),
        Column("95 %", "left", optional=2),
        Column("time"),
        Column("%", optional=1),
        Column("saves"),
        Column("tried on", "wrap", optional=3),
    )
    rows = []
    blocks: list[Block] = []
    for advice in advised.given:
        gain = advice.outcome.gain
        assert gain is not None
        rows.append(
            (
                _place(advice),
                advice.candidate.match.title,
                f"{gain.estimate:.2f}x",
                f"{gain.low:.2f} to {gain.high:.2f}",
                time_text(advice.seconds),
                percent(advice.share, 1.0),
                ("" if advice.candidate.is_whole else "at most ") + time_text(advice.saving),
                advice.candidate.shapes,
            )
        )
        head = f"{_place(advice)}: {advice.candidate.match.title}"
        blocks.append(Change(head, advice.candidate.before, advice.candidate.after, advice.note))
    text = (
        "Found in the source of hot lines, and tried out: both forms ran on arrays of the shapes, dtypes, "
        "strides and values seen there, agreed within the operation's bound, and took turns at one thread. "
        f"Gain: time of the lines over that of the replacement. Time: of these lines in {per}."
    )
    return Section(title, (Table(columns, tuple(rows)), text, *blocks))


def _place(advice: Advice) -> str:
    first, last = advice.lines
    return f"{Path(advice.file).name}:{first}" + (f"-{last}" if last > first else "")


def advice_data(advised: Advised | None) -> dict[str, Any]:
    """Return what was found as JSON-ready values.

    Parameters
    ----------
    advised : profiling.advice.advising.Advised or None
        What was found; None where advice was switched off or failed.

    Returns
    -------
    dict
        ``advice`` and ``advice_rejected``, lists or None.
    """
    if advised is None:
        return {"advice": None, "advice_rejected": None}
    return {
        "advice": [advice.to_dict() for advice in advised.given],
        "advice_rejected": [advice.to_dict() for advice in advised.rejected],
    }
