"""The document of ``bench`` for an operation: its groups of cases beside the best rival."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..cases import DTYPES, Group, flops
from ..document import (
    Axis,
    Block,
    Cell,
    Column,
    Figure,
    Section,
    Series,
    Table,
    bytes_text,
    three_digits,
    time_text,
)
from ..measure import stats
from ..measure.contenders import OURS
from ..measure.distribution import OUTLIER_RULE, describe_samples
from ..measure.launches import Collected
from ..measure.run import Measurement
from ..measure.timer import Schedule

CASES_IN_FIGURE = 8


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


def assignments(values: Mapping[str, str]) -> str:
    """Return variables as NAME=VALUE, with commas.

    Examples
    --------
    >>> assignments({"A": "1", "B": "2"})
    'A=1, B=2'
    """
    return ", ".join(f"{name}={value}" for name, value in values.items())


def remarks(
    described: Mapping[str, Any], versions: Mapping[str, str], peaks: Mapping[str, float], published: bool
) -> list[str]:
    """Return what a reader of the figures must know.

    Parameters
    ----------
    described : mapping
        As ``profiling.measure.machine.describe``.
    versions : mapping of str to str
        Of the libraries measured.
    peaks : mapping of str to float
        GFLOP/s of one core, by dtype.
    published : bool
        Whether the figures are for publication.

    Returns
    -------
    list of str
        Sentences.
    """
    remarks = ["Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."]
    roofs = ", ".join(f"{dtype} {three_digits(peak)} GFLOP/s" for dtype, peak in peaks.items())
    remarks.append(f"Measured peak of one core: {roofs}.")
    if described["forced"]:
        remarks.append(
            f"FORCED KERNELS: {assignments(described['forced'])}: the rivals' figures are not their own."
        )
    if described["own"]:
        remarks.append(f"Set for this library: {assignments(described['own'])}.")
    if not published:
        remarks.append("A quick look or a check: not for publication.")
    return remarks


def group_section(
    group: Group,
    threads: int,
    verdicts: Sequence[Verdict],
    collected: Collected,
    peaks: Mapping[str, float],
    *,
    spread: bool,
) -> Section:
    """Return one group of cases, the worst first.

    Parameters
    ----------
    group : Group
        What the cases have in common.
    threads : int
        Of each library.
    verdicts : sequence of Verdict
        At least one.
    collected : Collected
        Where they come from.
    peaks : mapping of str to float
        GFLOP/s of one core, by dtype.
    spread : bool
        Whether to show how the samples of every contender are spread.

    Returns
    -------
    Section
        A table, what it says, and the samples as a picture.
    """
    ordered = sorted(verdicts, key=lambda entry: entry.ratio.estimate)
    blocks: list[Block] = [_cases_table(group, threads, ordered, peaks)]
    mean = group_mean(verdicts)
    text = f"geometric mean {mean.estimate:.3f} [{mean.low:.3f}, {mean.high:.3f}]"
    text += f", worst {ordered[0].ratio.estimate:.2f}"
    if group.goal_mean:
        text += f"; to reach: mean {group.goal_mean:g}"
        text += f", worst {group.goal_worst:g}" if group.goal_worst else ""
    blocks.append(text)
    if group.name == "large":
        blocks += _growth(collected)
    blocks.append(_outliers_text(ordered))
    if spread:
        blocks.append(_spread_table(ordered))
    title = f"{group.name}: {group.title}, {threads} thread{'s' * (threads > 1)}, worst first"
    return Section(title, (*blocks, _samples_figure(ordered, f"{group.name}-{threads}")))


def _cases_table(group: Group, threads: int, ordered: Sequence[Verdict], peaks: Mapping[str, float]) -> Table:
    rivals = [name for name in ordered[0].measurement.contenders if name != OURS]
    columns = (
        Column("case", "left"),
        Column("ours"),
        Column("GFLOP/s"),
        Column("% peak", optional=1),
        *(Column(name) for name in rivals),
        Column("ratio"),
        Column("interval", "left", optional=2),
        Column("remark", "left"),
    )
    rows: list[tuple[Cell, ...]] = []
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
    return Table(columns, tuple(rows))


def _pooled(measurement: Measurement, name: str) -> tuple[float, ...]:
    return tuple(seconds for launch in measurement.samples(name) for seconds in launch)


def _outliers_text(verdicts: Sequence[Verdict]) -> str:
    found: dict[str, int] = {}
    total = 0
    for entry in verdicts:
        for name in entry.measurement.contenders:
            spread = describe_samples(_pooled(entry.measurement, name))
            found[name] = found.get(name, 0) + spread.outliers
            total += spread.samples
    listed = ", ".join(f"{name} {count}" for name, count in found.items())
    return f"Outliers among {total} samples: {listed}. None is dropped."


def _spread_table(verdicts: Sequence[Verdict]) -> Table:
    columns = (
        Column("case", "left"),
        Column("contender", "left"),
        Column("min"),
        Column("median"),
        Column("p95"),
        Column("max", optional=1),
        Column("outliers"),
        Column("loops"),
    )
    rows: list[tuple[Cell, ...]] = []
    for entry in verdicts:
        for name in entry.measurement.contenders:
            spread = describe_samples(_pooled(entry.measurement, name))
            loops = dict.fromkeys(str(launch.loops[name]) for launch in entry.measurement.launches)
            times = (spread.minimum, spread.median, spread.p95, spread.maximum)
            rows.append(
                (
                    entry.measurement.case.name,
                    name,
                    *(time_text(seconds) for seconds in times),
                    f"{spread.outliers} of {spread.samples}",
                    ", ".join(loops),
                )
            )
    return Table(columns, tuple(rows))


def _samples_figure(ordered: Sequence[Verdict], name: str) -> Figure:
    """Return the samples of the worst cases, each in units of our median."""
    series = []
    for entry in ordered[:CASES_IN_FIGURE]:
        measurement = entry.measurement
        unit = describe_samples(_pooled(measurement, OURS)).median
        for contender in measurement.contenders:
            samples = tuple(seconds / unit for seconds in _pooled(measurement, contender))
            series.append(Series(f"{measurement.case.name}, {contender}", "strip", samples))
    few = f" The {CASES_IN_FIGURE} worst cases." if len(ordered) > CASES_IN_FIGURE else ""
    caption = f"Every sample, none dropped; an outlier is {OUTLIER_RULE}.{few}"
    axis = Axis("time / median of ours", log=True)
    return Figure("Samples", caption, axis, Axis("case and contender"), tuple(series), f"samples-{name}")


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


def summary(group: Group, threads: int, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return a group as JSON-ready values.

    Parameters
    ----------
    group : Group
        What the cases have in common.
    threads : int
        Of each library.
    verdicts : sequence of Verdict
        At least one.

    Returns
    -------
    dict
        Geometric mean, goals, and the ratio of each case.
    """
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


def schedule_data(schedule: Schedule) -> dict[str, float]:
    """Return a schedule as JSON-ready values."""
    return asdict(schedule)
