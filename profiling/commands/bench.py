"""The verb ``bench``: the library beside its rivals, on the cases whose speed was promised."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..cases import DTYPES, MATMUL_GROUPS, Group, flops
from ..document import Column, Document, Section, Table, bytes_text, three_digits, time_text
from ..measure import machine, stats
from ..measure.contenders import LIBRARIES, OURS
from ..measure.launches import Collected, Job, measure_launches
from ..measure.run import Measurement, Run
from ..measure.timer import Schedule
from ..measure.worker import WorkerError
from ..progress import progress_bar
from ._base import Command, CommandError, known_name, whole_number

SCHEMA = 1
BENCHES = {"matmul": MATMUL_GROUPS}
RIVALS = tuple(name for name in LIBRARIES if name != OURS)

QUICK = Schedule(sample_seconds=1e-3, blocks=3, min_blocks=2, budget_seconds=1.0)
FULL = Schedule(sample_seconds=5e-3, blocks=8, min_blocks=2, budget_seconds=5.0)
FULL_LAUNCHES = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """One case beside its best rival.

    Attributes
    ----------
    measurement : Measurement
        Raw samples.
    rival : str
        The rival that took the least time.
    ratio : Interval
        That rival's time / ours.
    """

    measurement: Measurement
    rival: str
    ratio: stats.Interval

    @classmethod
    def of(cls, measurement: Measurement) -> Verdict:
        """Return the verdict on a measurement of ours and at least one rival."""
        ratios = {name: measurement.ratio(OURS, name) for name in measurement.contenders if name != OURS}
        best = min(ratios, key=lambda name: ratios[name].estimate)
        return cls(measurement, best, ratios[best])


def group_mean(verdicts: Sequence[Verdict]) -> stats.Interval:
    """Return the geometric mean of the ratios of several verdicts.

    Parameters
    ----------
    verdicts : sequence of Verdict
        At least one.

    Returns
    -------
    Interval
        Best rival's time / ours.
    """
    pairs = [(entry.measurement.samples(OURS), entry.measurement.samples(entry.rival)) for entry in verdicts]
    return stats.geometric_mean(pairs)


class BenchCommand(Command):
    """Measure the library beside NumPy and PyTorch.

    Every result is verified. The ratio is the best rival's time divided by ours: above 1 we are
    faster. Full runs pool three process launches and take long; --quick shows where it is worth to
    look and is never for publication.
    """

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""
        groups = sorted({name for bench in BENCHES.values() for name in bench})
        parser.add_argument(
            "target",
            type=known_name("target", BENCHES),
            metavar="TARGET",
            help=f"one of: {', '.join(BENCHES)}",
        )
        parser.add_argument("--quick", action="store_true", help="few cases, few samples, one launch")
        parser.add_argument(
            "--check",
            action="store_true",
            help="allow variables that force a rival's kernels; the result is marked as a check",
        )
        parser.add_argument(
            "--groups",
            nargs="+",
            type=known_name("group", groups),
            metavar="GROUP",
            help=f"some of: {', '.join(groups)}; default: all",
        )
        parser.add_argument(
            "--threads",
            nargs="+",
            type=whole_number(1, 1024),
            metavar="N",
            help="threads that each library may use; default: 1 and, with two cores or more, 2",
        )
        parser.add_argument(
            "--dtype", type=known_name("dtype", DTYPES), help="only this dtype; default: both"
        )
        parser.add_argument(
            "--rivals",
            nargs="+",
            type=known_name("rival", RIVALS),
            metavar="NAME",
            help=f"some of: {', '.join(RIVALS)}",
        )
        parser.add_argument(
            "--launches", type=whole_number(1, 100), metavar="N", help="process launches to pool"
        )

    def run(self, arguments: argparse.Namespace) -> Document:
        """Measure, and return the tables."""
        described = machine.describe()
        launches = arguments.launches or (1 if arguments.quick else FULL_LAUNCHES)
        published = not (arguments.quick or arguments.check) and launches >= FULL_LAUNCHES
        if not (arguments.quick or arguments.check) and described["forced"]:
            raise CommandError(
                f"{_assignments(described['forced'])} forces a rival's kernels: its figures are not its own. "
                "Unset it; or use --check, which marks the result as a check"
            )
        libraries = _libraries(arguments.rivals)
        groups = [BENCHES[arguments.target][name] for name in arguments.groups or BENCHES[arguments.target]]
        threads = arguments.threads or ([1, 2] if described["cores"] > 1 else [1])
        if max(threads) > described["cores"]:
            raise CommandError(f"--threads {max(threads)}: this process may use {described['cores']} cores")
        schedule = QUICK if arguments.quick else FULL
        work = [(count, group, _cases(group, arguments)) for count in threads for group in groups]
        steps = launches * sum(len(cases) for _, _, cases in work)
        peaks = {
            dtype: machine.measure_peak(dtype) for dtype in ([arguments.dtype] if arguments.dtype else DTYPES)
        }

        sections: list[Section] = []
        measurements: list[Measurement] = []
        summary: list[dict[str, Any]] = []
        versions: dict[str, str] = {}
        with progress_bar("bench", steps) as advance:
            for count, group, cases in work:
                try:
                    collected = measure_launches(
                        [Job(case, tuple(libraries), schedule) for case in cases], count, launches, advance
                    )
                except WorkerError as error:
                    raise CommandError(str(error), exit_code=1) from error
                versions |= collected.versions
                measurements += collected.measurements
                verdicts = [Verdict.of(measurement) for measurement in collected.measurements]
                sections.append(_section(group, count, verdicts, collected, peaks))
                summary += [_summary(group, count, verdicts)]
        described |= {"versions": versions, "peak_gflops_per_core": peaks}
        settings = {"launches": launches, "quick": arguments.quick, "schedule": _schedule(schedule)}
        data = {
            "schema": SCHEMA,
            "kind": "bench",
            "target": arguments.target,
            "published": published,
            "summary": summary,
            "run": Run(described, settings, tuple(measurements)).to_dict(),
        }
        head = Section(
            "Machine", (machine.one_line(described), *_remarks(described, versions, peaks, published))
        )
        wrong = any(measurement.errors for measurement in measurements)
        return Document(f"bench {arguments.target}", (head, *sections), data, exit_code=int(wrong))


def _libraries(wanted: Sequence[str] | None) -> list[str]:
    rivals = list(dict.fromkeys(wanted or RIVALS))
    reasons = {name: LIBRARIES[name].unavailable() for name in rivals}
    missing = [reason for reason in reasons.values() if reason]
    usable = [name for name, reason in reasons.items() if reason is None]
    if missing and wanted:
        raise CommandError("; ".join(missing))
    if not usable:
        raise CommandError(f"no rival to measure beside: {'; '.join(missing)}")
    importlib.import_module(OURS)
    return [OURS, *usable]


def _cases(group: Group, arguments: argparse.Namespace) -> list[Any]:
    cases = group.quick if arguments.quick else group.cases
    return [case for case in cases if arguments.dtype in (None, case.dtype)]


def _schedule(schedule: Schedule) -> dict[str, float]:
    return {
        name: getattr(schedule, name) for name in ("sample_seconds", "blocks", "min_blocks", "budget_seconds")
    }


def _assignments(values: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _remarks(
    described: dict[str, Any], versions: dict[str, str], peaks: dict[str, float], published: bool
) -> list[str]:
    remarks = ["Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."]
    roofs = ", ".join(f"{dtype} {three_digits(peak)} GFLOP/s" for dtype, peak in peaks.items())
    remarks.append(f"Measured peak of one core: {roofs}.")
    if described["forced"]:
        remarks.append(
            f"FORCED KERNELS: {_assignments(described['forced'])}: the rivals' figures are not their own."
        )
    if described["own"]:
        remarks.append(f"Set for this library: {_assignments(described['own'])}.")
    if not published:
        remarks.append("A quick look or a check: not for publication.")
    return remarks


def _section(
    group: Group, threads: int, verdicts: Sequence[Verdict], collected: Collected, peaks: dict[str, float]
) -> Section:
    rivals = [name for name in collected.measurements[0].contenders if name != OURS]
    columns = (
        Column("case", "left"),
        Column("ours"),
        Column("GFLOP/s"),
        Column("% peak", optional=1),
        *(Column(name) for name in rivals),
        Column("ratio"),
        Column("interval", "left", optional=2),
        Column("", "left"),
    )
    ordered = sorted(verdicts, key=lambda entry: entry.ratio.estimate)
    rows = []
    for entry in ordered:
        measurement = entry.measurement
        rate = measurement.gflops(OURS)
        share = rate / (peaks[measurement.case.dtype] * threads)
        remarks = [f"{name}: {error}" for name, error in measurement.errors.items()]
        if entry.ratio.estimate < group.goal_worst:
            remarks.append(f"below {group.goal_worst:g}")
        rows.append(
            (
                measurement.case.name,
                time_text(measurement.seconds(OURS).estimate),
                three_digits(rate),
                f"{100 * share:.0f}",
                *(time_text(measurement.seconds(name).estimate) for name in rivals),
                f"{entry.ratio.estimate:.2f}",
                f"{entry.ratio.low:.2f} to {entry.ratio.high:.2f}",
                "; ".join(remarks),
            )
        )
    mean = group_mean(verdicts)
    blocks: list[Table | str] = [Table(columns, tuple(rows))]
    text = f"geometric mean {mean.estimate:.3f} [{mean.low:.3f}, {mean.high:.3f}]"
    text += f", worst {ordered[0].ratio.estimate:.2f}"
    if group.goal_mean:
        text += f"; to reach: mean {group.goal_mean:g}"
        text += f", worst {group.goal_worst:g}" if group.goal_worst else ""
    blocks.append(text)
    if group.name == "large":
        blocks += _growth(collected)
    return Section(
        f"{group.name}: {group.title}, {threads} thread{'s' * (threads > 1)}, worst first", tuple(blocks)
    )


def _growth(collected: Collected) -> list[str]:
    """Say how rate and work memory grow from the smallest case of a dtype to the largest."""
    lines = []
    for dtype in DTYPES:
        sizes = sorted(
            (entry for entry in collected.measurements if entry.case.dtype == dtype),
            key=lambda entry: flops(entry.case),
        )
        if len(sizes) > 1:
            small, large = sizes[0], sizes[-1]
            share = large.gflops(OURS) / small.gflops(OURS)
            before, after = (collected.workspace[entry.case.name] for entry in (small, large))
            lines.append(
                f"{large.case.name} runs at {share:.3f} of the rate of {small.case.name}; work memory "
                f"{bytes_text(before)} after the smaller, {bytes_text(after)} after the larger"
            )
    return lines


def _summary(group: Group, threads: int, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    mean = group_mean(verdicts)
    return {
        "group": group.name,
        "threads": threads,
        "geometric_mean": [mean.estimate, mean.low, mean.high],
        "goal_mean": group.goal_mean,
        "goal_worst": group.goal_worst,
        "cases": {
            entry.measurement.case.name: {
                "best_rival": entry.rival,
                "ratio": [entry.ratio.estimate, entry.ratio.low, entry.ratio.high],
            }
            for entry in verdicts
        },
    }
