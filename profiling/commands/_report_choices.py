"""The sections about the dispatcher: which path it takes from now on, why, and where that is stored."""

from __future__ import annotations

from collections.abc import Sequence

import tensorops
from tensorops.dispatch.explanation import Explanation

from ..document import Block, Column, Section, Table, time_text
from ..measure.paths import PREFIX
from ..measure.run import Measurement


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
    return [
        tensorops.explain(
            measurement.case.op,
            *measurement.case.shapes,
            dtype=measurement.case.dtype,
            threads=measurement.threads,
        )
        for measurement in measurements
    ]


def choices_section(
    measurements: Sequence[Measurement], choices: Sequence[Explanation], from_this_report: bool
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

    Returns
    -------
    Section
        A table of times, and one of reasons.
    """
    paths = list(dict.fromkeys(name for measurement in measurements for name in measurement.contenders))
    columns = (
        Column("product", "left"),
        *(Column(path.removeprefix(PREFIX)) for path in paths),
        Column("takes", "left"),
    )
    rows, reasons = [], []
    for measurement, explanation in zip(measurements, choices, strict=True):
        times = [_path_time(measurement, path) if path in measurement.contenders else "-" for path in paths]
        product = measurement.case.name.removesuffix(f" {measurement.case.dtype}")
        rows.append((product, *times, explanation.choice.path))
        reasons.append((product, explanation.choice.reason))
    blocks: list[Block] = [
        Table(columns, tuple(rows)),
        Table((Column("product", "left"), Column("why", "wrap")), tuple(reasons)),
    ]
    for measurement in measurements:
        blocks += [
            f"{measurement.case.name}, {name.removeprefix(PREFIX)}: WRONG, {error}."
            for name, error in measurement.errors.items()
        ]
    blocks.append(
        "Times are those of the public function by each path, with out=. Sizes in the same half octave share "
        "a choice, made for the middle of their class: hence the distances."
    )
    if not from_this_report:
        blocks.append("The profile was not written: these choices do not rest on the times above.")
    return Section("5. What the dispatcher does from now on", tuple(blocks))


def _path_time(measurement: Measurement, path: str) -> str:
    return "wrong" if path in measurement.errors else time_text(measurement.seconds(path).estimate)


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
