"""The verb ``ladder``: one product from Python loops to all cores, as a paper's table."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..cases import DTYPES, Case, flops
from ..document import (
    Axis,
    Block,
    Cell,
    Column,
    Document,
    Figure,
    Section,
    Series,
    Table,
    three_digits,
    time_text,
)
from ..measure import machine, stats
from ..measure.ladder import ORACLE_FLOPS, measured_case
from ..measure.launches import Job, measure_launches
from ..measure.run import Measurement
from ..measure.timer import Schedule
from ..model import roofline
from ..progress import Advance, progress_bar
from ..targets import TARGETS, Rung
from ._base import Command, CommandError

SCHEMA = 1
OP = "matmul"
SIZES = (1024, 4096)
REFERENCE = "numpy"
SMALLEST, LARGEST = 128, 8192
SCHEDULE = Schedule(sample_seconds=2e-3, blocks=6, min_blocks=1, budget_seconds=3.0)
"""For rungs whose single call may last a second."""
SOURCE = "Leiserson et al., There's plenty of room at the Top, Science 368, 2020, table 1"


@dataclass(frozen=True, slots=True)
class Version:
    """A rung at a number of threads, as measured.

    Attributes
    ----------
    title : str
        Name for people.
    idea : str
        What is new in it.
    rung : Rung
        What computes.
    threads : int
        Threads it may use.
    measurement : Measurement
        Raw samples, at the size it was measured at.
    scale : float
        Flops of the size asked for over those of the size measured; above 1 its time is extrapolated.
    """

    title: str
    idea: str
    rung: Rung
    threads: int
    measurement: Measurement
    scale: float

    @property
    def seconds(self) -> stats.Interval:
        """Seconds of one call at the size asked for."""
        found = self.measurement.seconds(self.rung.contender)
        return stats.Interval(
            found.estimate * self.scale, found.low * self.scale, found.high * self.scale, found.n
        )

    @property
    def gflops(self) -> float:
        """Rate in GFLOP/s, at the size measured."""
        return self.measurement.gflops(self.rung.contender)

    @property
    def error(self) -> str | None:
        """What was wrong with the result, or None."""
        return self.measurement.errors.get(self.rung.contender)

    def times_faster_than(self, other: Version) -> stats.Interval:
        """Return how many times faster this version is than another, at the size asked for."""
        return stats.unpaired_ratio(
            self.measurement.samples(self.rung.contender),
            other.measurement.samples(other.rung.contender),
            scale=other.scale / self.scale,
        )


class LadderCommand(Command):
    """Climb from Python loops to all cores: the same matrix product, each version with its speed-up.

    Absolute speed-ups are over Python loops, relative ones over the version before. Loops too slow for the
    size asked for are measured smaller, extrapolated by the number of operations, and marked.
    """

    draws = True
    examples = (
        "ladder",
        "ladder --size 512 --dtype float64",
        "ladder --size 1024 --png ladder.png --json ladder.json",
    )

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""
        sizes = ", ".join(map(str, SIZES))
        parser.add_argument(
            "--size", type=int, nargs="+", default=SIZES, metavar="N", help=f"sizes; default: {sizes}"
        )
        parser.add_argument("--dtype", choices=DTYPES, default=DTYPES[0], help=f"default: {DTYPES[0]}")

    def run(self, arguments: argparse.Namespace) -> Document:
        """Measure every version at every size and return the tables."""
        sizes = tuple(dict.fromkeys(arguments.size))
        for size in sizes:
            if not SMALLEST <= size <= LARGEST:
                raise CommandError(f"--size {size}: expected {SMALLEST} to {LARGEST}")
        dtype = arguments.dtype
        described = machine.describe()
        cores = int(described["cores"])
        rungs = TARGETS[OP].ladder
        counts = (1, cores) if cores > 1 else (1,)
        cases = {size: TARGETS[OP].case(size, dtype) for size in sizes}
        jobs = {count: _jobs(rungs, cases.values(), several=count > 1) for count in counts}
        found: dict[tuple[int, str, Case], Measurement] = {}
        with progress_bar("ladder", sum(map(len, jobs.values())) + 1) as advance:
            for count in counts:
                doing = functools.partial(_doing, advance, count)
                collected = measure_launches(jobs[count], count, on_case=doing)
                for measurement in collected.measurements:
                    for contender in measurement.contenders:
                        found[count, contender, measurement.case] = measurement
            advance("peak")
            peak = roofline.measure_peak(dtype, cores)
        sections = []
        data: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": "ladder",
            "machine": described,
            "op": OP,
            "dtype": dtype,
            "peak_gflops": peak,
            "sizes": {},
        }
        for size, case in cases.items():
            versions = _versions(rungs, case, cores, found)
            sections.append(_section(size, dtype, versions, peak, cores))
            data["sizes"][str(size)] = _rows_data(versions, peak)
        ideas = tuple((version.title, version.idea) for version in versions)
        new = Table((Column("version", "left"), Column("what is new", "wrap")), ideas)
        sections.append(Section("What is new in each version", (new,)))
        return Document(f"ladder of {OP}, {dtype}", tuple(sections), data)


def _doing(advance: Advance, threads: int, name: str) -> None:
    advance(f"{name}, {threads} thread{'s' * (threads > 1)}")


def _uses_threads(rung: Rung) -> bool:
    return not rung.contender.startswith("ladder:") and rung.contender != "path:python"


def _jobs(rungs: Sequence[Rung], cases: Sequence[Case] | Any, *, several: bool) -> list[Job]:
    wanted: dict[Case, list[str]] = {}
    for case in cases:
        for rung in rungs:
            if _uses_threads(rung) or not several:
                names = wanted.setdefault(measured_case(rung, case), [])
                if rung.contender not in names:
                    names.append(rung.contender)
    return [
        Job(case, tuple(wanted[case]), SCHEDULE, oracle=flops(case) <= ORACLE_FLOPS)
        for case in sorted(wanted, key=flops)
    ]


def _versions(
    rungs: Sequence[Rung], case: Case, cores: int, found: dict[tuple[int, str, Case], Measurement]
) -> list[Version]:
    versions = []
    for rung in rungs:
        measured = measured_case(rung, case)
        scale = flops(case) / flops(measured)
        for threads in (1, cores) if _uses_threads(rung) and cores > 1 else (1,):
            title = rung.title if threads == 1 else f"{rung.title}, {threads} cores"
            idea = rung.idea if threads == 1 else f"the same on {threads} cores"
            measurement = found[threads, rung.contender, measured]
            versions.append(Version(title, idea, rung, threads, measurement, scale))
    return versions


def _section(size: int, dtype: str, versions: Sequence[Version], peak: float, cores: int) -> Section:
    columns = (
        Column("version", "left"),
        Column("time"),
        Column("GFLOP/s"),
        Column("absolute"),
        Column("relative"),
        Column("interval", "left", optional=1),
        Column("% peak"),
        Column("verified", "left", optional=2),
    )
    rows: list[tuple[Cell, ...]] = []
    for place, version in enumerate(versions):
        absolute = version.times_faster_than(versions[0])
        relative = _relative(versions, place)
        rows.append(
            (
                version.title,
                ("*" if version.scale > 1 else "") + time_text(version.seconds.estimate),
                three_digits(version.gflops),
                f"{three_digits(absolute.estimate)}x",
                f"{three_digits(relative.estimate)}x" if relative else "",
                f"{three_digits(relative.low)} to {three_digits(relative.high)}" if relative else "",
                f"{100 * version.gflops / peak:.2g}" if version.gflops / peak >= 1e-4 else "<0.01",
                version.error or "yes",
            )
        )
    blocks: list[Block] = [Table(columns, tuple(rows))]
    smaller = sorted({version.measurement.case.shapes[0][0] for version in versions if version.scale > 1})
    if smaller:
        blocks.append(
            f"* measured at {' and '.join(map(str, smaller))} and extrapolated by the number of operations; "
            "the rate is the one measured there. Loops without blocks grow slower still with matrices that "
            "fit no cache."
        )
    blocks.append(
        f"Absolute: over {versions[0].title}; relative: over the version before, with its 95 % interval. "
        f"Peak: {three_digits(peak)} GFLOP/s, measured on {cores} core{'s' * (cores > 1)} with "
        f"multiply-adds in registers alone. After {SOURCE}."
    )
    blocks.append(
        Figure(
            f"Rate of each version, {size}",
            f"GFLOP/s, on a logarithmic axis; the measured peak is {three_digits(peak)}.",
            Axis("GFLOP/s", log=True),
            Axis(""),
            (
                Series(
                    "",
                    "bars",
                    tuple(version.gflops for version in versions),
                    labels=tuple(version.title for version in versions),
                ),
            ),
            f"ladder-{size}",
        )
    )
    return Section(f"{size}x{size}x{size} {dtype}", tuple(blocks))


def _relative(versions: Sequence[Version], place: int) -> stats.Interval | None:
    """Return the speed-up over the version before; the reference is no step of the ladder."""
    if place == 0 or versions[place].rung.contender == REFERENCE:
        return None
    return versions[place].times_faster_than(versions[place - 1])


def _rows_data(versions: Sequence[Version], peak: float) -> list[dict[str, Any]]:
    rows = []
    for place, version in enumerate(versions):
        seconds = version.seconds
        absolute = version.times_faster_than(versions[0])
        relative = _relative(versions, place)
        rows.append(
            {
                "version": version.title,
                "contender": version.rung.contender,
                "threads": version.threads,
                "measured_case": version.measurement.case.to_dict(),
                "extrapolated": version.scale > 1,
                "seconds": [seconds.estimate, seconds.low, seconds.high],
                "gflops": version.gflops,
                "share_of_peak": version.gflops / peak,
                "absolute_speedup": [absolute.estimate, absolute.low, absolute.high],
                "relative_speedup": [relative.estimate, relative.low, relative.high] if relative else None,
                "error": version.error,
            }
        )
    return rows
