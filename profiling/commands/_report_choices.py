"""The sections about the dispatcher: which path it takes from now on, why, and where that is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorops
from tensorops.dispatch.explanation import Explanation

from ..cases import flops
from ..document import Block, Column, Section, Table, three_digits, time_text
from ..measure.paths import PREFIX
from ..measure.run import Measurement
from ..model.roofline import Roof
from ..targets import unknown_elsewhere
from ._roofline_sections import moved_bytes


def explain_cases(measurements: Sequence[Measurement]) -> list[Explanation]:
    """Ask the dispatcher which path it takes now for each measured case.

    Parameters
    ----------
    measurements : sequence of Measurement
        The cases and their threads.

    Returns
    -------
    list of Explanation
        One per measurement.
    """
    found = []
    for measurement in measurements:
        case = measurement.case
        params: dict[str, Any] = dict(case.params)
        found.append(
            tensorops.explain(case.op, *case.shapes, dtype=case.dtype, threads=measurement.threads, **params)
        )
    return found


def choices_section(
    measurements: Sequence[Measurement],
    choices: Sequence[Explanation],
    from_this_report: bool,
    roof: Roof | None = None,
) -> Section:
    """Return section 5: which path the dispatcher takes, and why.

    Parameters
    ----------
    measurements : sequence of Measurement
        Paths side by side.
    choices : sequence of Explanation
        The dispatcher's answers.
    from_this_report : bool
        Whether the profile was written before it was asked.
    roof : Roof, optional
        What the machine allows, where the fastest path is to be compared with it.

    Returns
    -------
    Section
        A table of times, and one of reasons.
    """
    paths = list(dict.fromkeys(name for measurement in measurements for name in measurement.contenders))
    columns = (
        Column("call", "left"),
        *(Column(path.removeprefix(PREFIX)) for path in paths),
        *((Column("rate"), Column("limited by", "left"), Column("% of roof")) if roof is not None else ()),
        Column("takes", "left"),
    )
    rows, reasons = [], []
    for measurement, explanation in zip(measurements, choices, strict=True):
        times = [_path_time(measurement, path) if path in measurement.contenders else "-" for path in paths]
        product = measurement.case.name.replace(f" {measurement.case.dtype}", "")
        rows.append((product, *times, *_against_roof(measurement, roof), explanation.choice.path))
        reasons.append((product, explanation.choice.reason))
    blocks: list[Block] = [
        Table(columns, tuple(rows)),
        Table((Column("call", "left"), Column("why", "wrap")), tuple(reasons)),
    ]
    for measurement in measurements:
        blocks += [
            f"{measurement.case.name}, {name.removeprefix(PREFIX)}: WRONG, {error}."
            for name, error in measurement.errors.items()
        ]
    missing: dict[str, str] = {}
    for measurement in measurements:
        missing |= unknown_elsewhere(measurement.case, measurement.threads)
    blocks += [f"{path}: not measured, {reason}." for path, reason in missing.items()]
    blocks.append(
        "Times are those of the public function by each path, with out=. Sizes in the same quarter octave "
        "share a choice, made for the middle of their class: hence the distances."
    )
    if roof is not None:
        blocks.append(
            "Rate and roof are those of the fastest path. The roof is the peak of the arithmetic, or the "
            "best bandwidth of streams in the level that operands and result fit in."
        )
    if not from_this_report:
        blocks.append("The profile was not written: these choices do not rest on the times above.")
    return Section("5. What the dispatcher does from now on", tuple(blocks))


def _path_time(measurement: Measurement, path: str) -> str:
    return "wrong" if path in measurement.errors else time_text(measurement.seconds(path).estimate)


def _against_roof(measurement: Measurement, roof: Roof | None) -> tuple[str, ...]:
    """Return the rate of the fastest path, what limits it, and its share of that."""
    right = [name for name in measurement.contenders if name not in measurement.errors]
    if roof is None:
        return ()
    if not right:
        return ("-", "-", "-")
    seconds = min(measurement.seconds(name).estimate for name in right)
    case = measurement.case
    place = roof.place(flops(case), moved_bytes(case), seconds)
    share = f"{100 * place.share:.0f}"
    if place.limit == "compute":
        return f"{three_digits(place.gflops)} GFLOP/s", "arithmetic", share
    return f"{three_digits(moved_bytes(case) / seconds / 1e9)} GB/s", place.limit, share


def profile_section(saved: str | None, error: str | None) -> Section:
    """Return section 6: where the profile is.

    Parameters
    ----------
    saved : str or None
        Path of the file.
    error : str or None
        Why it was not written against the user's wish.

    Returns
    -------
    Section
        The report's last line.
    """
    if saved is not None:
        # Alone on its line, so that it can be copied whatever its length.
        return Section("6. The profile was written to", (saved,))
    text = "Not written, as asked." if error is None else f"NOT WRITTEN: {error}"
    return Section("6. The profile", (text,))
