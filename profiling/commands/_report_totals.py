"""Sections about a program as a whole: how it ended, its totals, its operations, what the figures miss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..collect.runner import Collected
from ..document import Block, Cell, Column, Section, Table, bytes_text, three_digits, time_text
from ..measure import machine
from ._report_lines import percent

OPERATIONS_SHOWN = 12
KILLED_HINT = {
    "SIGKILL": " (as the system does when memory runs out)",
    "SIGSEGV": " (a fault in compiled code)",
}


def count_text(count: float) -> str:
    """Return a large number in a unit of 1000.

    Parameters
    ----------
    count : float
        Zero or more.

    Returns
    -------
    str
        Number and prefix.

    Examples
    --------
    >>> count_text(12_845_056), count_text(950), count_text(999_999)
    ('12.8 M', '950', '1.00 M')
    """
    # What rounds to a thousand of a unit is one of the next.
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= 0.9995 * limit:
            return f"{three_digits(count / limit)} {unit}"
    return f"{count:g}"


def ending_text(collected: Collected, what: str) -> str:
    """Return how a program ended, and what of its figures is missing therefore.

    Parameters
    ----------
    collected : Collected
        What its run left.
    what : str
        ``script`` or ``function``.

    Returns
    -------
    str
        A sentence or two.

    Examples
    --------
    >>> ending_text(Collected(1, "raised", "ValueError: no, in a.py line 3"), "script")
    'The script raised ValueError: no, in a.py line 3. The figures are those up to there.'
    """
    message = collected.message
    texts = {
        "returned": f"The {what} ended well.",
        "raised": f"The {what} raised {message}. The figures are those up to there.",
        "exited": f"The {what} ended itself by {message or 'sys.exit()'}.",
        "interrupted": f"The {what} was interrupted{message}. The figures are those up to there.",
        "os._exit": f"The {what} ended itself by os._exit({collected.exit_code}), without Python's clean-up.",
        "killed": f"The {what} was killed by {message}{KILLED_HINT.get(message, '')}: exit code "
        f"{collected.exit_code}. The figures are those up to a second before that.",
        "vanished": f"The {what}'s process ended with code {collected.exit_code} without Python's clean-up "
        "(it became another program, or compiled code ended it). Up to a second of figures is missing.",
    }
    return texts[collected.ended]


def run_section(title: str, collected: Collected, described: Mapping[str, Any], what: str) -> Section:
    """Return the totals of a program's run.

    Parameters
    ----------
    title : str
        Title of the section.
    collected : Collected
        What its run left.
    described : mapping
        The machine, as ``profiling.measure.machine.describe``.
    what : str
        ``script`` or ``function``.

    Returns
    -------
    Section
        The machine, how it ended, a table of totals.
    """
    sampling, allocations = collected.sampling, collected.allocations
    rows: list[tuple[Cell, ...]] = []
    if collected.wall:
        text = f"by the clock; processor time {time_text(collected.cpu)}, all threads"
        rows.append(("time", time_text(collected.wall), text))
    if what == "function" and collected.calls:
        calls = f"{collected.calls:,}"
        text = "after one call that was counted"
        if sampling.get("seconds"):
            text += f"; {time_text(sampling['seconds'] / collected.calls)} each"
        rows.append(("calls sampled", calls, text))
    if sampling.get("runs"):
        text = "fresh processes; times are means of a run, counts those of the first"
        rows.insert(0, ("runs", str(sampling["runs"]), text))
    if "reason" not in sampling:
        lost = sampling["lost"]
        rows.append(
            (
                "samples",
                f"{sampling['samples']:,}",
                f"one per {time_text(sampling['interval'])} of processor time, {lost} lost",
            )
        )
    if allocations is not None and "reason" not in allocations:
        size, peak, live = (bytes_text(max(0, allocations[name])) for name in ("bytes", "peak", "live"))
        text = f"{size}; {peak} at most at once, {live} left at the end"
        rows.append(("buffers", f"{allocations['count']:,}", text))
        work = allocations.get("work_memory") or {}
        if work.get("count"):
            rows.append(
                ("work memory", f"{work['count']:,}", f"{bytes_text(work['bytes'])} taken by kernels")
            )
    if collected.children_cpu > 0.0 or collected.forks:
        rows.append(
            ("child processes", str(collected.forks), f"{time_text(collected.children_cpu)}, not sampled")
        )
    blocks: list[Block] = [machine.one_line(described), ending_text(collected, what)]
    if rows:
        blocks.append(Table((Column("", "left"), Column("total"), Column("", "wrap")), tuple(rows)))
    return Section(title, tuple(blocks))


def operations_section(
    title: str, figures: Mapping[str, Any] | None, per: str, reason: str | None
) -> Section:
    """Return what was computed: calls, floating-point operations, bytes.

    Parameters
    ----------
    title : str
        Title of the section.
    figures : mapping or None
        As ``OperationCounter.to_dict``; None only with a reason.
    per : str
        What the counts are those of.
    reason : str or None
        Why there are none.

    Returns
    -------
    Section
        A table, or the reason.
    """
    if reason is not None or figures is None:
        return Section(title, (f"Not counted: {reason}.",))
    found = sorted(figures["operations"], key=lambda entry: (-(entry["flops"] or 0), -(entry["bytes"] or 0)))
    if not found:
        return Section(title, ("No operation of tensorops or NumPy was called.",))
    columns = (
        Column("operation", "left"),
        Column("library", "left", optional=1),
        Column("calls"),
        Column("FLOPs"),
        Column("bytes"),
        Column("FLOPs/byte", optional=2),
    )
    rows = tuple(
        (
            entry["name"],
            entry["library"],
            f"{entry['calls']:,}",
            "-" if entry["flops"] is None else count_text(entry["flops"]),
            "-" if entry["bytes"] is None else bytes_text(entry["bytes"]),
            three_digits(entry["flops"] / entry["bytes"]) if entry["flops"] and entry["bytes"] else "-",
        )
        for entry in found[:OPERATIONS_SHOWN]
    )
    sums = [
        f"{library} {count_text(sum(entry['flops'] or 0 for entry in found if entry['library'] == library))}"
        for library in dict.fromkeys(entry["library"] for entry in found)
    ]
    blocks: list[Block] = [Table(columns, rows)]
    text = f"Counted in {per} from the operands' shapes, each operand read once. "
    text += f"FLOPs in all: {', '.join(sums)}."
    if any(entry["flops"] is None for entry in found):
        text += " -: no formula is known."
    blocks.append(text)
    if len(found) > OPERATIONS_SHOWN:
        blocks.append(f"{len(found) - OPERATIONS_SHOWN} more: see the JSON.")
    blocks += figures["gaps"]
    return Section(title, tuple(blocks))


def why_not_counted(figures: Mapping[str, Any] | None, ended: str) -> str | None:
    """Return why a counter has no figures, or None where it has.

    Parameters
    ----------
    figures : mapping or None
        What the counter left.
    ended : str
        How the program ended, as `Collected` names it.

    Returns
    -------
    str or None
        A reason, as the end of a sentence.

    Examples
    --------
    >>> why_not_counted({"count": 0}, "returned") is None, why_not_counted(None, "returned")
    (True, 'NumPy was not loaded')
    """
    if figures is None:
        late = ended in ("killed", "vanished")
        return "NumPy was not loaded" + ", or less than a second before the program ended" * late
    reason: str | None = figures.get("reason")
    return reason


def coverage_notes(collected: Collected, measuring: float) -> list[str]:
    """Return what the figures do not cover.

    Parameters
    ----------
    collected : Collected
        What a run left.
    measuring : float
        Seconds of the processor that the counters took.

    Returns
    -------
    list of str
        Sentences; empty where all is covered.
    """
    notes = []
    if measuring > 0.01 * collected.cpu:
        notes.append(
            f"Counting took {time_text(measuring)} of the processor's time, "
            f"{percent(measuring, collected.cpu)} % of it all; it is in the totals, and in no line."
        )
    if collected.forks:
        notes.append(
            f"The process forked {collected.forks} time{'s' * (collected.forks != 1)}; the children are not "
            "sampled, nor are their buffers and operations counted."
        )
    if collected.children_cpu > 0.0:
        notes.append(
            f"Child processes that ended took {time_text(collected.children_cpu)} of processor time, which "
            "is in no line."
        )
    if "reason" in collected.sampling:
        notes.append(f"Not sampled: {collected.sampling['reason']}.")
    notes += [str(note) for note in collected.sampling.get("notes", ())]
    if collected.sampling.get("lost"):
        notes.append(
            f"{collected.sampling['lost']} samples could not be kept; their time was given to the next ones."
        )
    notes += [str(note) for note in (collected.allocations or {}).get("notes", ())]
    return notes
