"""How cache misses are said: one table of kernels, a listing of each, and what other counters found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tensorops.operations import OPERATIONS

from ..cases import Case
from ..document import (
    Axis,
    Block,
    Column,
    Figure,
    Listing,
    ListingLine,
    Section,
    Series,
    Table,
    bytes_text,
    three_digits,
    time_text,
)
from ..model import cachegrind
from ..model.cache import KernelMisses, explain, heat
from ..model.cachegrind_file import LineCounts
from ..model.geometry import CacheLevel
from ._cache_counts import Counted
from ._roofline_sections import caches_section

WORTH_A_LINE = 0.01
"""Share of a kernel's misses from which a line without accesses to the operands is listed."""


def geometry_section(levels: Sequence[CacheLevel]) -> Section:
    """Return the caches that are simulated, and how.

    Parameters
    ----------
    levels : sequence of CacheLevel
        From the one nearest to the core.

    Returns
    -------
    Section
        Size, ways, line and sets of each.
    """
    text = (
        "Simulated: each level keeps the lines used last in every set and is asked for what the level before "
        "it misses; caches are empty at the start; operands and result begin at pages of their own. Real "
        "processors also fetch lines ahead, so that many of these misses cost little time where a walk is "
        "regular."
    )
    return Section("Caches", (*caches_section(levels).blocks, text))


def summary_section(
    found: Sequence[KernelMisses], levels: Sequence[CacheLevel], case: Case, warnings: Sequence[str] = ()
) -> Section:
    """Return all kernels side by side, and a sentence on each.

    Parameters
    ----------
    found : sequence of KernelMisses
        Simulated.
    levels : sequence of CacheLevel
        The caches.
    case : Case
        What was computed.
    warnings : sequence of str
        What the counts do not hold.

    Returns
    -------
    Section
        Misses and bytes of each kernel.
    """
    columns = (
        Column("kernel", "left"),
        Column("accesses"),
        *(Column(f"{level.name} misses") for level in levels),
        Column(f"{levels[0].name} rate"),
        *(Column(f"into {level.name}", optional=4 - place) for place, level in enumerate(levels)),
    )
    line = levels[0].line
    rows = tuple(
        (
            entry.kernel,
            f"{entry.accesses:,}",
            *(f"{misses:,}" for misses in entry.misses),
            percent(entry.misses[0] / entry.accesses),
            *(bytes_text(misses * line) for misses in entry.misses),
        )
        for entry in found
    )
    itemsize = 4 if case.dtype == "float32" else 8
    least = OPERATIONS[case.op].bytes(case.shapes, itemsize)
    accesses, seconds = sum(entry.accesses for entry in found), sum(entry.seconds for entry in found)
    notes = (
        f"Operands and result are {bytes_text(least)}, {-(-least // line):,} lines: no cache that is empty "
        "at the start has fewer misses. Bytes do not count lines written back.",
        f"Simulated {accesses:,} accesses in {time_text(seconds)} of processor time: "
        f"{accesses / seconds / 1e6:.0f} million a second.",
    )
    sentences = tuple(explain(entry, levels, itemsize, -(-least // line)) for entry in found)
    blocks: list[Block] = [Table(columns, rows), *sentences, *warnings, *notes, misses_figure(found, levels)]
    return Section("Misses by kernel", tuple(blocks))


def misses_figure(found: Sequence[KernelMisses], levels: Sequence[CacheLevel]) -> Figure:
    """Return the picture of the kernels' misses.

    Parameters
    ----------
    found : sequence of KernelMisses
        At least one.
    levels : sequence of CacheLevel
        The caches.

    Returns
    -------
    Figure
        A bar for each kernel and level.
    """
    labels = tuple(entry.kernel for entry in found)
    series = tuple(
        Series(level.name, "bars", tuple(float(entry.misses[place]) for entry in found), labels=labels)
        for place, level in enumerate(levels)
    )
    caption = "The same product and the same numbers: only the order of the accesses differs."
    return Figure("Misses by kernel", caption, Axis("misses", log=True), Axis("kernel"), series, "misses")


def listing_section(
    entry: KernelMisses, levels: Sequence[CacheLevel], counted: Mapping[int, LineCounts] | None
) -> Section:
    """Return the source of one kernel with the misses of each line.

    Parameters
    ----------
    entry : KernelMisses
        Simulated.
    levels : sequence of CacheLevel
        The caches.
    counted : mapping of int to LineCounts or None
        What cachegrind counted on the same lines.

    Returns
    -------
    Section
        One listing.
    """
    columns = [Column("accesses"), *(Column(f"{level.name} misses") for level in levels)]
    if counted is not None:
        columns.append(Column("cachegrind"))
    source = entry.path.read_text(encoding="utf-8").splitlines()
    by_line, warmth = entry.by_line, heat(entry.by_line)
    lines = []
    for number in range(entry.first_line, entry.last_line + 1):
        cells: tuple[str, ...] = ()
        other = counted.get(number) if counted else None
        if number in by_line or (other and other.first_misses > WORTH_A_LINE * entry.misses[0]):
            values = by_line.get(number)
            cells = tuple(f"{value:,}" for value in values) if values else ("",) * (1 + len(levels))
            if counted is not None:
                cells += (f"{other.first_misses:,}" if other else "",)
        lines.append(ListingLine(number, source[number - 1], cells, warmth.get(number)))
    note = (
        "Accesses are those of the source; the compiler's vectors make fewer of them, with the same misses."
    )
    listing = Listing(entry.kernel, "/".join(entry.path.parts[-3:]), tuple(columns), tuple(lines), note)
    return Section(f"Lines of {entry.kernel}", (listing,))


def cachegrind_section(
    found: Sequence[KernelMisses], counted: Counted | None, levels: Sequence[CacheLevel], reason: str | None
) -> Section:
    """Return what cachegrind counted beside the simulation, or why it counted nothing.

    Parameters
    ----------
    found : sequence of KernelMisses
        Simulated.
    counted : Counted or None
        Cachegrind's counts.
    levels : sequence of CacheLevel
        The caches.
    reason : str or None
        Why there are no counts.

    Returns
    -------
    Section
        Totals and differences, and the packed product's lines with most misses.
    """
    title = "Beside cachegrind"
    if counted is None:
        return Section(title, (f"Cachegrind: {reason}.",))
    first, last = levels[0].name, cachegrind.last_level(levels)
    columns = (
        Column("kernel", "left"),
        Column(f"{first} simulated"),
        Column(f"{first} cachegrind"),
        Column("difference"),
        Column(f"{last.name} simulated", optional=1),
        Column(f"{last.name} cachegrind", optional=1),
    )
    rows = []
    for entry in found:
        near, far = counted.misses(entry)
        ours = sum(entry.by_line[line][1] for line in counted.compared(entry))
        theirs = sum(entry.by_line[line][-1] for line in counted.compared(entry))
        difference = f"{100 * (ours / near - 1):+.2f} %" if near else ""
        rows.append((entry.kernel, f"{ours:,}", f"{near:,}", difference, f"{theirs:,}", f"{far:,}"))
    if counted.packed:
        near = sum(line.first_misses for line in counted.packed.values())
        far = sum(line.last_misses for line in counted.packed.values())
        rows.append((cachegrind.PACKED, "", f"{near:,}", "", "", f"{far:,}"))
    blocks: list[Block] = [Table(columns, tuple(rows))]
    if counted.packed:
        blocks += _packed_blocks(counted.packed, first)
    blocks.append(
        "The real instructions of this build under valgrind's cachegrind, in "
        f"{counted.seconds:.0f} s. It has a first and a last level only ({last.text}), so the last one "
        "differs where the level between them matters. Compared are the lines whose accesses their own "
        "instructions make: a loop that the compiler hands to the C library (memset) is counted there. "
        "What the compiled code keeps on the stack is not in the source; it costs misses where the "
        "operands alone fill a cache to the brim."
    )
    return Section(title, tuple(blocks))


def _packed_blocks(packed: Mapping[tuple[str, int], LineCounts], first: str) -> list[Block]:
    hottest = sorted(packed.items(), key=lambda item: item[1].first_misses, reverse=True)[:6]
    rows = tuple(
        (
            f"{Path(filename).name}:{line}",
            f"{counts.accesses:,}",
            f"{counts.first_misses:,}",
            f"{counts.last_misses:,}",
        )
        for (filename, line), counts in hottest
        if counts.first_misses
    )
    columns = (
        Column("packed, line", "left"),
        Column("accesses"),
        Column(f"{first} misses"),
        Column("last level"),
    )
    return [
        "The packed product works on pointers and vectors, which the simulation cannot follow. Its lines "
        "with most misses:",
        Table(columns, rows),
    ]


def counters_section(
    counts: Mapping[str, Mapping[str, int]], reasons: Mapping[str, str], events: Sequence[str]
) -> Section:
    """Return what the processor's own counters say, or why they say nothing.

    Parameters
    ----------
    counts : mapping of str to mapping of str to int
        By kernel and event.
    reasons : mapping of str to str
        By event, where there is no count.
    events : sequence of str
        In the order of the columns.

    Returns
    -------
    Section
        A table, a sentence for each reason, or both.
    """
    blocks: list[Block] = []
    usable = [event for event in events if event not in reasons]
    if usable:
        columns = (Column("kernel", "left"), *(Column(event) for event in usable))
        rows = tuple(
            (kernel, *(f"{values[event]:,}" for event in usable)) for kernel, values in counts.items()
        )
        blocks.append(Table(columns, rows))
    for reason in dict.fromkeys(reasons.values()):
        names = [event for event in events if reasons.get(event) == reason]
        blocks.append(f"Not counted: {', '.join(names)}: {reason}.")
    return Section("The processor's own counters", tuple(blocks))


def percent(share: float) -> str:
    """Return a share as a percentage with three digits.

    Parameters
    ----------
    share : float
        From 0 to 1.

    Returns
    -------
    str
        Number and sign.

    Examples
    --------
    >>> percent(0.5026), percent(0.00012)
    ('50.3 %', '0.012 %')
    """
    return f"{three_digits(100 * share)} %"
