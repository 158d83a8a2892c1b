"""What changed between two recordings, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..measure.difference import (
    Change,
    Drift,
    calibration_drift,
    shares,
    timing_change,
    yardstick_holds,
)
from ..measure.line_difference import LinePair, Sampled, drift_beside_lines, line_change
from ..measure.matching import Match, match_lines
from ..measure.run_difference import Series, enough_runs, runs_change, series_drift
from ._compare_files import YARDSTICKS, Line, Recording, Timing

ALLOCATIONS = "all allocations"
TOTAL_SHARE = 0.1
"""What all lines together take of the one per cent of wrong verdicts."""


@dataclass(frozen=True, slots=True)
class TimingRow:
    """One contender of two benchmarks.

    Attributes
    ----------
    name : str
        What was computed.
    before, after : float
        Median of all samples, in seconds.
    change : Change
        Its verdict.
    basis : str
        What the machine's drift was measured on.
    """

    name: str
    before: float
    after: float
    change: Change
    basis: str


@dataclass(frozen=True, slots=True)
class LineRow:
    """One line of two reports.

    Attributes
    ----------
    match : Match
        The line in each.
    change : Change or None
        Of its time; None where neither report has one.
    counts : mapping of str to (int or None, int or None)
        Exact figures that differ, before and after.
    """

    match: Match[Line]
    change: Change | None
    counts: Mapping[str, tuple[int | None, int | None]]

    @property
    def line(self) -> Line:
        """The line as it is now, or as it was."""
        line = self.match.after or self.match.before
        assert line is not None
        return line

    @property
    def place(self) -> str:
        """File and number, as it is now."""
        return f"{self.line.file}:{self.line.number}"

    @property
    def seconds(self) -> tuple[float | None, float | None]:
        """Time before and after."""
        before, after = self.match.before, self.match.after
        return (before.seconds if before else None), (after.seconds if after else None)

    @property
    def changed(self) -> bool:
        """Whether there is something to tell."""
        return bool(self.counts) or (self.change is not None and self.change.verdict in ("slower", "faster"))


@dataclass(frozen=True, slots=True)
class CountRow:
    """An exact figure that differs.

    Attributes
    ----------
    name : str
        Whose.
    unit : str
        What is counted.
    before, after : int or None
        None where it was not counted, or there was none.
    """

    name: str
    unit: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that two recordings have in common, and what changed.

    Attributes
    ----------
    drift : Drift
        Of the machine.
    by_runs : bool
        Whether lines were compared run by run.
    timings : tuple of TimingRow
        In the order of the second file.
    lines : tuple of LineRow
        All lines of both reports.
    total : Change or None
        Of the time of all lines together.
    totals : tuple of float
        That time, before and after.
    counts : tuple of CountRow
        Operations and totals of allocations that differ.
    only_before, only_after : tuple of str
        Timings that stand in one file alone.
    """

    drift: Drift
    by_runs: bool
    timings: tuple[TimingRow, ...]
    lines: tuple[LineRow, ...]
    total: Change | None
    totals: tuple[float, float]
    counts: tuple[CountRow, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]

    def failures(self, threshold: float) -> list[str]:
        """Return what got worse by more than a threshold.

        Parameters
        ----------
        threshold : float
            0.05 for 5 %.

        Returns
        -------
        list of str
            Times that are significantly slower, and totals of allocations, which are exact.
        """
        found = [row.name for row in self.timings if row.change.exceeds(threshold)]
        if self.total is not None and self.total.exceeds(threshold):
            found.append("all lines together")
        found += [
            f"{row.place} {row.line.text}"
            for row in self.lines
            if row.change is not None and row.change.exceeds(threshold)
        ]
        for row in self.counts:
            if row.name == ALLOCATIONS and row.unit in ("count", "bytes"):
                before, after = row.before or 0, row.after or 0
                if after > before * (1 + threshold):
                    found.append(f"{row.name}: {row.unit} {before} to {after}")
        return found


def compare(before: Recording, after: Recording) -> Comparison:
    """Compare two recordings of the same target.

    Parameters
    ----------
    before, after : Recording
        Of the same kind and machine.

    Returns
    -------
    Comparison
        What changed.
    """
    drift = calibration_drift(before.calibration, after.calibration)
    timings, only_before, only_after = _timings(before, after)
    matches = _matches(before, after)
    sums = LinePair(_sampled_total(before), _sampled_total(after))
    by_runs = enough_runs(before.runs, after.runs)
    judge = _judged_by_runs if by_runs else _judged_by_samples
    timed = bool(sums.before.samples and sums.after.samples)
    changes, total = judge(before, after, matches, sums, drift) if timed else ({}, None)
    lines = tuple(
        LineRow(match, changes.get(number), _differing(match)) for number, match in enumerate(matches)
    )
    counts = tuple(_counts(before, after))
    totals = sums.before.seconds, sums.after.seconds
    return Comparison(drift, by_runs, timings, lines, total, totals, counts, only_before, only_after)


def _timings(
    before: Recording, after: Recording
) -> tuple[tuple[TimingRow, ...], tuple[str, ...], tuple[str, ...]]:
    old = {timing.name: timing for timing in before.timings}
    new = {timing.name: timing for timing in after.timings}
    common = [name for name in new if name in old]
    rows = tuple(_timing_row(old[name], new[name], 1 / len(common)) for name in common)
    return (
        rows,
        tuple(name for name in old if name not in new),
        tuple(name for name in new if name not in old),
    )


def _timing_row(before: Timing, after: Timing, share: float) -> TimingRow:
    own = before.samples(before.contender), after.samples(after.contender)
    drift = calibration_drift(before.calibration, after.calibration, quietest=True)
    yardstick = _yardstick(before, after, drift)
    if yardstick is None:
        change, basis = timing_change(*own, drift, share), drift.basis
    else:
        theirs = before.samples(yardstick), after.samples(yardstick)
        change, basis = timing_change(*own, drift, share, yardstick=theirs), f"{yardstick} in the same runs"
    medians = [float(np.median(np.concatenate(samples))) for samples in own]
    return TimingRow(after.name, medians[0], medians[1], change, basis)


def _yardstick(before: Timing, after: Timing, drift: Drift) -> str | None:
    """Return a contender that is the same code in both files, None if there is none."""
    shared = [name for name in after.others if name in before.others]
    for name in sorted(
        shared, key=lambda name: YARDSTICKS.index(name) if name in YARDSTICKS else len(YARDSTICKS)
    ):
        library = name.removeprefix("path:")
        same = before.versions.get(library) == after.versions.get(library)
        if same and yardstick_holds(before.samples(name), after.samples(name), drift):
            return name
    return None


def _matches(before: Recording, after: Recording) -> list[Match[Line]]:
    return match_lines(
        sorted(before.lines, key=_place),
        sorted(after.lines, key=_place),
        lambda line: (line.file, line.function),
        lambda line: line.text,
    )


def _judged_by_samples(
    before: Recording, after: Recording, matches: Sequence[Match[Line]], sums: LinePair, drift: Drift
) -> tuple[dict[int, Change], Change]:
    """Judge lines of one run each, by how many samples found them and what the other lines did."""
    pairs = [
        LinePair(_sampled(match.before, sums.before), _sampled(match.after, sums.after)) for match in matches
    ]
    judged = [number for number, pair in enumerate(pairs) if pair.enough]
    drifts = drift_beside_lines([pairs[number] for number in judged], drift)
    divided = shares([_seconds(matches[number]) for number in judged])
    changes = {
        number: line_change(pairs[number], own, (1 - TOTAL_SHARE) * share)
        for number, own, share in zip(judged, drifts, divided, strict=True)
    }
    return changes, line_change(sums, drift, TOTAL_SHARE)


def _judged_by_runs(
    before: Recording, after: Recording, matches: Sequence[Match[Line]], sums: LinePair, drift: Drift
) -> tuple[dict[int, Change], Change]:
    """Judge lines of several runs each, by their spread from run to run."""
    sides = [(match.before, match.after) for match in matches]
    whole = [
        Series(_program_seconds([match[side] for match in sides], recording), recording.sample_seconds)
        for side, recording in enumerate((before, after))
    ]
    pairs = [(_series(one, before, whole[0]), _series(other, after, whole[1])) for one, other in sides]
    machine = series_drift(whole[0], whole[1], drift)
    found = {}
    judged = [number for number, pair in enumerate(pairs) if runs_change(*pair, machine, 1.0).known]
    divided = shares([_seconds(matches[number]) for number in judged])
    for number, share in zip(judged, divided, strict=True):
        found[number] = runs_change(*pairs[number], machine, (1 - TOTAL_SHARE) * share)
    return found, runs_change(whole[0], whole[1], machine, TOTAL_SHARE)


def _series(line: Line | None, recording: Recording, whole: Series) -> Series:
    return Series(_run_seconds(line, recording), recording.sample_seconds, whole.seconds)


def _run_seconds(line: Line | None, recording: Recording) -> tuple[float, ...]:
    return line.runs if line is not None and line.runs else (0.0,) * recording.runs


def _program_seconds(lines: Sequence[Line | None], recording: Recording) -> tuple[float, ...]:
    return tuple(map(sum, zip(*(_run_seconds(line, recording) for line in lines), strict=True)))


def _place(line: Line) -> tuple[str, int]:
    return line.file, line.number


def _sampled_total(recording: Recording) -> Sampled:
    samples = sum(line.samples for line in recording.lines)
    return Sampled(sum(line.seconds or 0.0 for line in recording.lines), samples, samples)


def _sampled(line: Line | None, total: Sampled) -> Sampled:
    if line is None:
        return Sampled(0.0, 0, total.total)
    return Sampled(line.seconds or 0.0, line.samples, total.total)


def _seconds(match: Match[Line]) -> float:
    return sum(line.seconds or 0.0 for line in (match.before, match.after) if line)


def _differing(match: Match[Line]) -> dict[str, tuple[int | None, int | None]]:
    """Return the exact figures that differ; a figure that one report did not count is not compared."""
    before, after = match.before, match.after
    if before is None or after is None:
        return {}
    return {
        key: (before.counts[key], after.counts[key])
        for key in before.counts
        if key in after.counts and before.counts[key] != after.counts[key]
    }


def _counts(before: Recording, after: Recording) -> list[CountRow]:
    rows = [
        CountRow(ALLOCATIONS, key, before.allocations[key], after.allocations[key])
        for key in before.allocations
        if key in after.allocations and before.allocations[key] != after.allocations[key]
    ]
    if before.operations is None or after.operations is None:
        return rows
    for name in dict.fromkeys([*before.operations, *after.operations]):
        old, new = before.operations.get(name, {}), after.operations.get(name, {})
        rows += [
            CountRow(name, key, old.get(key), new.get(key))
            for key in ("calls", "flops", "bytes")
            if old.get(key) != new.get(key)
        ]
    return rows
