"""How the roofline is said: the tables of what was measured, the places of operations, the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tensorops.operations import OPERATIONS

from ..cases import Case
from ..document import Axis, Column, Figure, Section, Series, Table, bytes_text, three_digits, time_text
from ..measure.run import Measurement
from ..model.geometry import CacheLevel
from ..model.roofline import MEMORY, Place, Roof

OURS = "tensorops"


@dataclass(frozen=True, slots=True)
class Placed:
    """An operation on one case, under a roof.

    Attributes
    ----------
    measurement : Measurement
        Raw samples.
    place : Place
        Where it stands.
    """

    measurement: Measurement
    place: Place

    @property
    def case(self) -> Case:
        """What was computed."""
        return self.measurement.case

    @property
    def name(self) -> str:
        """The case without its dtype, and without parameters that are the usual ones."""
        case = self.case
        if dict(case.params) == dict(OPERATIONS[case.op].example_params[0]):
            case = replace(case, params=())
        return case.name.replace(f" {case.dtype}", "")

    @property
    def label(self) -> str:
        """The name, one number for a product of squares."""
        sizes = set(self.name.split("x"))
        return sizes.pop() if len(sizes) == 1 else self.name

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready values."""
        seconds = self.measurement.seconds(OURS)
        return {
            "case": self.case.to_dict(),
            "threads": self.measurement.threads,
            "seconds": [seconds.estimate, seconds.low, seconds.high],
            "gflops": self.place.gflops,
            "intensity": self.place.intensity,
            "level": self.place.level,
            "limit": self.place.limit,
            "roof_gflops": self.place.roof,
            "share_of_roof": self.place.share,
            "error": self.measurement.errors.get(OURS),
        }


def roofs_section(roofs: Sequence[Roof], peaks: Mapping[str, Mapping[int, float]]) -> Section:
    """Return the measured peaks and bandwidths.

    Parameters
    ----------
    roofs : sequence of Roof
        One per number of threads.
    peaks : mapping of str to mapping of int to float
        GFLOP/s by dtype and threads.

    Returns
    -------
    Section
        A table of rates in GFLOP/s, and one in GB/s.
    """
    arithmetic = Table(
        (Column("threads"), *(Column(f"{dtype} GFLOP/s") for dtype in peaks)),
        tuple(
            (str(roof.threads), *(three_digits(rates[roof.threads]) for rates in peaks.values()))
            for roof in roofs
        ),
    )
    columns = (
        Column("level", "left"),
        Column("threads"),
        Column("arrays"),
        Column("read GB/s"),
        Column("copy GB/s"),
        Column("triad GB/s"),
    )
    rows = tuple(
        (
            found.level,
            str(found.threads),
            bytes_text(found.footprint),
            *(three_digits(found.rates[kernel]) for kernel in ("read", "copy", "triad")),
        )
        for roof in roofs
        for found in roof.bandwidths
    )
    return Section(
        "What this machine can do",
        (
            "Multiply-adds on registers alone:",
            arithmetic,
            "Streams over arrays that fit the level: read one array; copy one to another; a = b + 0.5 c. "
            "Bytes count as in STREAM: read plus written, without the lines that a store fetches first. "
            "Threads work on arrays of their own.",
            Table(columns, rows),
        ),
    )


def places_section(placed: Sequence[Placed], roof: Roof) -> Section:
    """Return the table of operations.

    Parameters
    ----------
    placed : sequence of Placed
        At least one.
    roof : Roof
        What they stand under.

    Returns
    -------
    Section
        Worst share of the roof first.
    """
    columns = (
        Column("operation", "left"),
        Column("time"),
        Column("GFLOP/s"),
        Column("flop/byte", optional=1),
        Column("operands", optional=2),
        Column("fit in", "left"),
        Column("limited by", "left"),
        Column("roof GFLOP/s"),
        Column("% of roof"),
        Column("", "bar", optional=3),
    )
    rows = []
    for entry in sorted(placed, key=lambda entry: entry.place.share):
        place, case = entry.place, entry.case
        rows.append(
            (
                f"{case.op} {entry.name}",
                time_text(entry.measurement.seconds(OURS).estimate),
                three_digits(place.gflops),
                three_digits(place.intensity),
                bytes_text(moved_bytes(case)),
                place.level,
                place.limit if place.limit == "compute" else f"{place.limit} bandwidth",
                three_digits(place.roof),
                f"{100 * place.share:.0f}",
                min(1.0, place.share),
            )
        )
    blocks: list[Table | str] = [
        Table(columns, tuple(rows)),
        "flop/byte counts each operand and the result once. The roof is the lower of the arithmetic peak and "
        "flop/byte times the best bandwidth of the level that the operands fit in.",
    ]
    blocks += [
        f"{entry.case.op} {entry.label}: {entry.measurement.errors[OURS]}"
        for entry in placed
        if entry.measurement.errors
    ]
    if any(entry.place.share > 1 for entry in placed):
        blocks.append(
            "More than 100 % means that the operation found its operands in a nearer level than the one "
            "they fit in as a whole, or that the machine ran faster than while its roof was measured."
        )
    return Section(f"Operations under the roof, {threads_text(roof.threads)}", tuple(blocks))


def roofline_figure(placed: Sequence[Placed], roof: Roof) -> Figure:
    """Return the picture.

    Parameters
    ----------
    placed : sequence of Placed
        Operations; may be empty.
    roof : Roof
        What they stand under.

    Returns
    -------
    Figure
        A line for each level, from its bandwidth up to the arithmetic peak, and a point for each case.
    """
    ridges = [roof.peak / found.best for found in roof.bandwidths]
    intensities = [entry.place.intensity for entry in placed]
    left = min([*ridges, *intensities, 0.25]) / 2
    right = max([*ridges, *intensities]) * 4
    series = []
    for found, ridge in zip(roof.bandwidths, ridges, strict=True):
        name = f"{found.level}, {three_digits(found.best)} GB/s"
        series.append(Series(name, "line", (left, ridge), (left * found.best, roof.peak)))
    first = min(ridges)
    name = f"peak, {three_digits(roof.peak)} GFLOP/s"
    series.append(Series(name, "line", (first, right), (roof.peak, roof.peak)))
    for op in dict.fromkeys(entry.case.op for entry in placed):
        mine = [entry for entry in placed if entry.case.op == op]
        series.append(
            Series(
                op,
                "points",
                tuple(entry.place.intensity for entry in mine),
                tuple(entry.place.gflops for entry in mine),
                tuple(entry.label for entry in mine),
            )
        )
    caption = (
        "A point under a slope waits for that level of memory, a point under the flat part is limited by "
        "arithmetic; its distance from the roof is what is left to gain."
    )
    title = f"Roofline, {roof.dtype}, {threads_text(roof.threads)}"
    axes = Axis("arithmetic intensity, flop/byte", log=True), Axis("GFLOP/s", log=True)
    return Figure(title, caption, *axes, tuple(series), "roofline")


def caches_section(levels: Sequence[CacheLevel]) -> Section:
    """Return the caches with their geometry.

    Parameters
    ----------
    levels : sequence of CacheLevel
        From the one nearest to the core.

    Returns
    -------
    Section
        Size, ways, line and sets of each.
    """
    columns = (
        Column("level", "left"),
        Column("size"),
        Column("ways"),
        Column("line"),
        Column("sets"),
        Column("shared by", optional=2),
        Column("as an option", "left", optional=1),
        Column("from", "left"),
    )
    rows = tuple(
        (
            level.name,
            bytes_text(level.size),
            str(level.ways),
            f"{level.line} B",
            str(level.sets),
            str(level.shared_by),
            f"--{level.name.lower()} {level.text}",
            level.origin,
        )
        for level in levels
    )
    return Section("Caches", (Table(columns, rows),))


def moved_bytes(case: Case) -> int:
    """Return the bytes of a case's operands and result, each counted once."""
    return OPERATIONS[case.op].bytes(case.shapes, 4 if case.dtype == "float32" else 8, dict(case.params))


def threads_text(threads: int) -> str:
    """Return a number of threads in words."""
    return f"{threads} thread{'s' * (threads != 1)}"


def missing_levels(roof: Roof, levels: Sequence[str]) -> str | None:
    """Say which caches have no bandwidth of their own, and why; None where all have."""
    measured = {found.level for found in roof.bandwidths}
    missing = [level for level in levels if level not in measured and level != MEMORY]
    if not missing:
        return None
    return (
        f"{', '.join(missing)}: not measured, because no array is both well inside it and well beyond the "
        "level before it."
    )
