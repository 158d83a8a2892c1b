"""What a reader of a comparison must see first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..document import Block, Section
from ..measure.difference import CALIBRATED_SD
from ..measure.run_difference import CALIBRATION_ERROR, FEWEST_RUNS, needed_runs, smallest_seen
from ._compare_files import Recording
from ._compare_rows import Comparison

LONGEST_LIST = 12
ADVISED_RUNS = 20
"""Runs with which 20 % more time in a heavy line was mostly found on a busy machine, see docs/measuring."""
SOFTWARE = ("python", "numpy", "tensorops", "isa", "blas", "forced", "own", "versions")
"""What of a machine's description may differ between two files of the same machine, and should be told."""


def summary_section(
    before: Recording,
    after: Recording,
    comparison: Comparison,
    failures: Sequence[str],
    threshold: float | None,
) -> Section:
    """Return what a reader must see first.

    Parameters
    ----------
    before, after : Recording
        What was compared.
    comparison : Comparison
        What came of it.
    failures : sequence of str
        What is worse than the threshold allows.
    threshold : float or None
        As given with ``--fail-above``.

    Returns
    -------
    Section
        Paragraphs.
    """
    changes = [row.change for row in comparison.timings]
    changes += [row.change for row in comparison.lines if row.change is not None]
    changes += [] if comparison.total is None else [comparison.total]
    verdicts = [change.verdict for change in changes]
    blocks: list[Block] = [
        f"{verdicts.count('slower')} slower, {verdicts.count('faster')} faster, "
        f"{verdicts.count('same')} not to be told apart"
        + (f", {verdicts.count('unknown')} with too few samples" if "unknown" in verdicts else "")
        + ". All intervals hold together with 99 %; a verdict is given where one excludes no change."
    ]
    blocks += _drift_text(comparison)
    blocks += _runs_text(before, after, comparison)
    blocks += _software_text(before.machine, after.machine)
    if threshold is not None:
        percent = f"{100 * threshold:g} %"
        if failures:
            listed = "; ".join(failures[:LONGEST_LIST])
            more = f"; and {len(failures) - LONGEST_LIST} more" if len(failures) > LONGEST_LIST else ""
            blocks.append(f"FAILED: worse by more than {percent}: {listed}{more}.")
        else:
            blocks.append(f"Passed: nothing got significantly worse by more than {percent}.")
    return Section("Summary", tuple(blocks))


def _runs_text(before: Recording, after: Recording, comparison: Comparison) -> list[str]:
    """Return which changes of lines could be seen at all, and how to see smaller ones."""
    judged = [row for row in comparison.lines if row.change is not None and row.change.known]
    if not judged:
        return []
    heaviest = max(judged, key=lambda row: sum(seconds or 0.0 for seconds in row.seconds))
    assert heaviest.change is not None
    seen = f"from about {100 * smallest_seen(heaviest.change):.0f} % on"
    runs = min(before.runs, after.runs)
    if not comparison.by_runs:
        plural = "s" * (max(before.runs, after.runs) > 1)
        return [
            f"The reports rest on {before.runs} and {after.runs} run{plural}, which cannot tell small "
            f"changes from chance: of the heaviest line ({heaviest.place}) they are told {seen}. To see "
            f"smaller ones, make both reports with --runs {ADVISED_RUNS} (at least {FEWEST_RUNS})."
        ]
    text = (
        f"Changes are those of the quieter half of {before.runs} and {after.runs} runs, intervals come from "
        f"their spread. Those of the heaviest line ({heaviest.place}) are told {seen}, of lighter ones "
        "later."
    )
    wanted = needed_runs(heaviest.change, runs)
    if wanted is None:
        text += " The machine was too busy for less, however many runs: repeat both reports when it is quiet."
    elif wanted > runs:
        text += f" To tell 20 % nearly always, make both reports with --runs {wanted}."
    return [text]


def _drift_text(comparison: Comparison) -> list[str]:
    drift = comparison.drift
    if comparison.by_runs and not comparison.timings:
        if abs(drift.log) <= CALIBRATION_ERROR:
            return []
        return [
            f"The fixed work took {drift.factor:.3f} times as long around the second report. Beyond "
            f"{100 * CALIBRATION_ERROR:.0f} % that is divided out, with a wider interval, as far as the "
            "program shared it."
        ]
    if drift.basis.startswith("nothing"):
        if any("same runs" not in row.basis for row in comparison.timings) or comparison.total is not None:
            return [
                "A file has no calibration, so what the machine itself changed cannot be divided out: the "
                "intervals are wide, and a small difference may be the machine's."
            ]
        return []
    text = f"The fixed work took {drift.factor:.3f} times as long around the second run; that is divided out."
    if comparison.total is not None and drift.sd > 1.5 * CALIBRATED_SD:
        text += (
            f" The machine changed during the runs as well, so the intervals are wider (an error of "
            f"{100 * drift.sd:.0f} % is allowed for)."
        )
    return [text]


def _software_text(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    different = [
        f"{name} {_plain(before.get(name))}, then {_plain(after.get(name))}"
        for name in SOFTWARE
        if before.get(name) != after.get(name)
    ]
    return [f"Software differs: {'; '.join(different)}."] if different else []


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value) or "none"
    return str(value)
