"""Results of benchmarks as documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..document import Axis, Block, Cell, Column, Document, Figure, Section, Series, Table, time_text
from ..measure import machine, stats
from ..measure.distribution import OUTLIER_RULE, WARM_UP_RULE
from .result import SCHEMA, SERIES_KIND, BenchResult

UNKNOWN = "unknown"
FEW_BLOCKS = 6


def interval_text(interval: stats.Interval, *, times: bool = False) -> str:
    """Return the two ends of an interval.

    Parameters
    ----------
    interval : Interval
        Of a ratio, or of seconds.
    times : bool
        Whether it is one of seconds.

    Returns
    -------
    str
        "low to high", or "unknown" where it rests on one block.

    Examples
    --------
    >>> interval_text(stats.Interval(1.0, 0.9, 1.1, 8)), interval_text(stats.Interval(1.0, 0.0, 9.0, 1))
    ('0.90 to 1.10', 'unknown')
    """
    if interval.n < 2:
        return UNKNOWN
    if times:
        return f"{time_text(interval.low)} to {time_text(interval.high)}"
    return f"{interval.low:.2f} to {interval.high:.2f}"


def contenders_table(result: BenchResult) -> Table:
    """Return the contenders of a result with their times, ratios and spread.

    Parameters
    ----------
    result : BenchResult
        At least one contender.

    Returns
    -------
    Table
        A row for each contender.

    Examples
    --------
    >>> from profiling.measure.run import Launch
    >>> len(contenders_table(BenchResult("f", (Launch.of({"f": [1.0] * 8}, {"f": 1}),))).rows)
    1
    """
    alone = len(result.contenders) == 1
    columns = (
        Column("contender", "wrap"),
        Column("time"),
        Column("95 % interval", "left", optional=1),
        *(() if alone else (Column("ratio"), Column("interval", "left"))),
        Column("min"),
        Column("median"),
        Column("p95"),
        Column("outliers"),
        Column("loops", optional=2),
        Column("first call", optional=3),
    )
    rows: list[tuple[Cell, ...]] = []
    for name in result.contenders:
        seconds, spread = result.seconds_of(name), result.distribution(name)
        compared: tuple[Cell, ...] = ()
        if not alone:
            ratio = result.ratio(name)
            compared = ("1", "") if name == result.name else (f"{ratio.estimate:.2f}", interval_text(ratio))
        first = result.first_calls.get(name)
        rows.append(
            (
                name,
                time_text(seconds.estimate),
                interval_text(seconds, times=True),
                *compared,
                time_text(spread.minimum),
                time_text(spread.median),
                time_text(spread.p95),
                f"{spread.outliers} of {spread.samples}",
                ", ".join(dict.fromkeys(str(count) for count in result.loops(name))),
                "" if first is None else time_text(first),
            )
        )
    if not result.first_calls:
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Table(columns, tuple(rows))


def result_section(result: BenchResult, number: int = 0) -> Section:
    """Return one result as a section: table, what it says, remarks, picture.

    Parameters
    ----------
    result : BenchResult
        What was measured.
    number : int
        Makes the picture's name unique within its document.

    Returns
    -------
    Section
        For a document.
    """
    blocks: list[Block] = [contenders_table(result)]
    blocks += [f"WRONG: {name} {error}." for name, error in result.errors.items()]
    blocks += [_verdict(result, name) for name in result.contenders if name != result.name]
    dropped = sum(result.warm_up)
    if dropped:
        blocks.append(f"Warm-up: {dropped} samples of each contender do not count. Rule: {WARM_UP_RULE}.")
    elif result.seconds.n > 1:
        blocks.append("Warm-up: none found after the calibrating calls; every sample counts.")
    if 1 < result.seconds.n < FEW_BLOCKS:
        blocks.append(f"Only {result.seconds.n} blocks: the intervals cover less than 95 %.")
    blocks += list(result.notes)
    blocks.append(samples_figure(result, f"samples-{number}"))
    threads = "" if result.threads is None else f", {result.threads} thread{'s' * (result.threads != 1)}"
    what = "" if result.case is None else f" {result.case.name}"
    return Section(f"{result.name}{what}{threads}", tuple(blocks))


def _verdict(result: BenchResult, name: str) -> str:
    ratio = result.ratio(name)
    if ratio.n < 2:
        return f"{result.name} and {name}: one sample each, so nothing can be said of the difference."
    if not ratio.excludes(1.0):
        return f"{result.name} and {name} cannot be told apart: the interval of the ratio includes 1."
    word = "faster" if ratio.estimate > 1 else "slower"
    return (
        f"{result.name} is {word} than {name}: {name}'s time / its own is {ratio.estimate:.2f}, "
        f"interval {interval_text(ratio)}."
    )


def samples_figure(result: BenchResult, name: str) -> Figure:
    """Return the raw samples of every contender as strips.

    Parameters
    ----------
    result : BenchResult
        What was measured.
    name : str
        Unique within a document, without spaces.

    Returns
    -------
    Figure
        A strip for each contender; seconds per call on a logarithmic axis.
    """
    series = tuple(
        Series(
            contender, "strip", tuple(seconds for launch in result.samples(contender) for seconds in launch)
        )
        for contender in result.contenders
    )
    caption = f"Every sample, warm-up and outliers included. An outlier is {OUTLIER_RULE}."
    axis = Axis("seconds per call", log=True)
    return Figure("Samples", caption, axis, Axis("contender"), series, name)


def result_document(results: Sequence[BenchResult]) -> Document:
    """Return results as a document.

    Parameters
    ----------
    results : sequence of BenchResult
        At least one, all of the same machine.

    Returns
    -------
    Document
        A section for each; its data is what `BenchResult.to_dict` gives, or a list of them.
    """
    data: dict[str, Any]
    if len(results) == 1:
        data = results[0].to_dict()
    else:
        listed = [result.to_dict() for result in results]
        data = {"schema": SCHEMA, "kind": SERIES_KIND, "results": listed}
    sections = [result_section(result, number) for number, result in enumerate(results)]
    if results[0].machine:
        sections.append(Section("Machine", (machine.one_line(results[0].machine),)))
    wrong = any(result.errors for result in results)
    return Document(f"bench {results[0].name}", tuple(sections), data, exit_code=int(wrong))
