"""The document of ``bench --suite``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..benchmark.sections import interval_text
from ..cases import Group
from ..document import Axis, Block, Cell, Column, Figure, Section, Series, Table, three_digits, time_text
from ..measure import machine
from ..measure.contenders import OURS
from ._suite_results import SuiteCase, gathered, group_of, mean_of, operation_of

WORST = 12
"""Cases listed before all others."""


def machine_section(described: Mapping[str, Any], notes: Sequence[str]) -> Section:
    """Return what the figures rest on.

    Parameters
    ----------
    described : mapping
        As ``profiling.measure.machine.describe``.
    notes : sequence of str
        Sentences.

    Returns
    -------
    Section
        The first one.
    """
    explained = (
        "A ratio is the best rival's time / ours: above 1 we are faster. The roof is what this machine "
        "allows, measured: arithmetic, or the bandwidth at the footprint of operands and results (in place "
        "it can be passed: a line that is read need not be fetched again to be written)."
    )
    return Section("Machine", (machine.one_line(described), *notes, explained))


def result_sections(results: Sequence[SuiteCase], groups: Mapping[str, Group]) -> list[Section]:
    """Return summaries, the worst cases, and a section for each group.

    Parameters
    ----------
    results : sequence of SuiteCase
        All cases.
    groups : mapping of str to Group
        By name, for titles and goals.

    Returns
    -------
    list of Section
        In reading order.
    """
    if not results:
        return []
    by_group = gathered(results, group_of)
    worst = sorted((one for one in results if one.ratio is not None), key=lambda one: one.worth)[:WORST]
    several = len({one.measurement.threads for one in results}) > 1
    parts = [
        Section("Groups", (_summary_table("group", by_group, groups), _figure(by_group))),
        Section("Operations", (_summary_table("operation", gathered(results, operation_of), {}),)),
        Section("The worst cases", (_cases_table(worst, threads=several),)),
    ]
    for (name, threads), cases in by_group.items():
        title = f"{name}: {groups[name].title}, {threads} thread{'s' * (threads > 1)}, worst first"
        blocks: list[Block] = [
            _cases_table(cases),
            *_remarks(cases, groups[name].goal_worst),
            *_left_out(cases),
        ]
        parts.append(Section(title, tuple(blocks)))
    return parts


def _summary_table(
    what: str, gathered_cases: Mapping[tuple[str, int], Sequence[SuiteCase]], groups: Mapping[str, Group]
) -> Table:
    columns = (
        Column(what, "left"),
        Column("threads", optional=2),
        Column("cases"),
        Column("mean"),
        Column("interval", "left"),
        *((Column("to reach", optional=1),) if groups else ()),
        Column("worst"),
        Column("which", "wrap"),
    )
    rows: list[tuple[Cell, ...]] = []
    for (name, threads), cases in gathered_cases.items():
        mean, worst = mean_of(cases), cases[0]
        goal = groups[name].goal_mean if groups else 0.0
        rows.append(
            (
                name,
                str(threads),
                str(len(cases)),
                "" if mean is None else f"{mean.estimate:.2f}",
                "" if mean is None else interval_text(mean),
                *((f"{goal:g}" if goal else "",) if groups else ()),
                "" if worst.ratio is None else f"{worst.ratio.estimate:.2f}",
                "" if worst.ratio is None else worst.title,
            )
        )
    return Table(columns, tuple(rows))


def _cases_table(cases: Sequence[SuiteCase], *, threads: bool = False) -> Table:
    columns = (
        Column("case", "wrap"),
        *((Column("threads"),) if threads else ()),
        Column("ours"),
        Column("+-%", optional=3),
        Column("rate"),
        Column("% of roof"),
        Column("of", "left", optional=2),
        Column("rival", "left"),
        Column("ratio"),
        Column("interval", "left"),
    )
    return Table(columns, tuple(_row(one, threads) for one in cases))


def _row(one: SuiteCase, threads: bool) -> tuple[Cell, ...]:
    seconds, place = one.measurement.seconds(OURS), one.place
    computes = place.limit == "compute"
    rate = f"{three_digits(place.gflops)} GF" if computes else f"{three_digits(one.gbytes_per_second)} GB"
    return (
        one.title,
        *((str(one.measurement.threads),) if threads else ()),
        time_text(seconds.estimate),
        f"{50 * (seconds.high - seconds.low) / seconds.estimate:.0f}",
        rate,
        f"{100 * place.share:.0f}",
        place.limit,
        one.rival or "none",
        "" if one.ratio is None else f"{one.ratio.estimate:.2f}",
        "" if one.ratio is None else interval_text(one.ratio),
    )


def _remarks(cases: Sequence[SuiteCase], goal: float) -> list[str]:
    """Say what was wrong, and how many cases miss the goal."""
    lines = [
        f"WRONG: {one.title}: {one.measurement.errors[OURS]}."
        for one in cases
        if OURS in one.measurement.errors
    ]
    missed = sum(one.worth < goal for one in cases)
    return lines + [f"Below the {goal:g} to reach: {missed} of {len(cases)} cases."] * bool(missed)


def _left_out(cases: Sequence[SuiteCase]) -> list[str]:
    """Say which rivals were not timed, and in how many cases."""
    far: Counter[str] = Counter()
    failed: dict[str, list[str]] = {}
    for one in cases:
        for name, reason in one.left_out.items():
            if reason.startswith("takes "):
                far[name] += 1
            else:
                failed.setdefault(f"{name} {reason}", []).append(one.title)
    said = [f"{name} in {count}" for name, count in far.items()]
    lines = [f"Far behind another rival, and not timed further: {', '.join(said)} cases."] if said else []
    return lines + [f"Left out: {what}: {', '.join(titles)}." for what, titles in failed.items()]


def _figure(by_group: Mapping[tuple[str, int], Sequence[SuiteCase]]) -> Figure:
    series = tuple(
        Series(
            f"{name}, {threads} thread{'s' * (threads > 1)}",
            "strip",
            tuple(one.ratio.estimate for one in cases if one.ratio is not None),
        )
        for (name, threads), cases in by_group.items()
    )
    axis = Axis("best rival's time / ours", log=True)
    return Figure(
        "Ratios", "A dot for each case; right of 1 we are faster.", axis, Axis("group"), series, "ratios"
    )
