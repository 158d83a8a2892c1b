"""The section about the ladder: the same product from plain loops to the fastest code."""

from __future__ import annotations

from collections.abc import Sequence

from ..cases import Case, flops
from ..document import Axis, Block, Cell, Column, Figure, Section, Series, Table, three_digits, time_text
from ..measure.ladder import ORACLE_FLOPS, Step, base_rung
from ..targets import Target


def ladder_section(target: Target, case: Case, steps: Sequence[Step], threads: int, peak: float) -> Section:
    """Return section 2: the ladder.

    Parameters
    ----------
    target : Target
        What is profiled.
    case : Case
        The case asked for.
    steps : sequence of Step
        From the slowest to the fastest.
    threads : int
        Threads of the rungs that use threads.
    peak : float
        GFLOP/s of one core.

    Returns
    -------
    Section
        A table, what it says, and the idea of each rung.
    """
    roof = peak * threads
    columns = (
        Column("", "left"),
        Column("time"),
        Column("GFLOP/s"),
        Column("% peak"),
        Column("share", "bar", optional=3),
        Column("speed-up"),
        Column("interval", "left", optional=1),
        Column("verified", "left", optional=2),
    )
    base = base_rung(target, [step.rung for step in steps])
    rows: list[tuple[Cell, ...]] = []
    for step in steps:
        speedup = step.speedup
        is_base = step.rung is base
        rows.append(
            (
                step.rung.title,
                ("*" if step.extrapolated else "") + time_text(step.seconds.estimate),
                three_digits(step.gflops),
                f"{100 * step.gflops / roof:.1f}" if step.gflops / roof >= 5e-4 else "<0.1",
                step.gflops / roof,
                f"{three_digits(speedup.estimate)}x",
                "base" if is_base else f"{three_digits(speedup.low)} to {three_digits(speedup.high)}",
                step.error or ("equal" if flops(step.measurement.case) <= ORACLE_FLOPS else "Freivalds"),
            )
        )
    of_cores = "one core" if threads == 1 else f"{threads} cores"
    blocks: list[Block] = [Table(columns, tuple(rows))]
    blocks += [f"{step.rung.title}: WRONG, {step.error}." for step in steps if step.error]
    blocks.append(
        f"Speed-up over {base.title}, 95 % intervals. Peak: {three_digits(roof)} GFLOP/s, measured on "
        f"{of_cores} with multiply-adds in registers alone."
    )
    extrapolated = [step for step in steps if step.extrapolated]
    if extrapolated:
        names = ", ".join(
            f"{step.rung.title} at {sizes_text(step.measurement.case)}" for step in extrapolated
        )
        blocks.append(
            f"* measured smaller ({names}) and extrapolated by the number of operations; the rate is the one "
            "measured."
        )
    if not any(step.error for step in steps):
        blocks.append(_verified_text(steps))
    blocks += _verdict(steps)
    ideas = tuple((step.rung.title, step.rung.idea) for step in steps)
    blocks.append(Table((Column("", "left"), Column("what is new", "wrap")), ideas))
    blocks += _figures(case, steps, roof)
    return Section(f"2. The ladder, {sizes_text(case)}", tuple(blocks))


def sizes_text(case: Case) -> str:
    """Return a case's sizes without its dtype.

    Parameters
    ----------
    case : Case
        Any case.

    Returns
    -------
    str
        Such as ``64x784x128``; one number for square matrices.

    Examples
    --------
    >>> sizes_text(Case("matmul", "float32", ((8, 8), (8, 8))))
    '8'
    """
    sides = {size for shape in case.shapes for size in shape}
    if len(sides) == 1 and all(len(shape) == 2 for shape in case.shapes):
        return str(sides.pop())
    return case.name.replace(f" {case.dtype}", "")


def _figures(case: Case, steps: Sequence[Step], roof: float) -> list[Block]:
    bars = Figure(
        "Rate of each rung",
        f"GFLOP/s, on a logarithmic axis; the measured peak is {three_digits(roof)}.",
        Axis("GFLOP/s", log=True),
        Axis(""),
        (
            Series(
                "",
                "bars",
                tuple(step.gflops for step in steps),
                labels=tuple(step.rung.title for step in steps),
            ),
        ),
        "ladder",
    )
    measured = [step for step in steps if not step.extrapolated]
    strips = Figure(
        "Distribution of the times",
        f"Every sample taken at {sizes_text(case)}; the mark is the median. Estimates use minima of "
        "blocks, so they stand at the left of each row.",
        Axis("seconds per call", log=True),
        Axis(""),
        tuple(
            Series(
                step.rung.title,
                "strip",
                tuple(value for launch in step.measurement.samples(step.rung.contender) for value in launch),
            )
            for step in measured
        ),
        "samples",
    )
    return [bars, strips] if measured else [bars]


def _verified_text(steps: Sequence[Step]) -> str:
    text = (
        "Verified: the operands hold small integers, so every sum is exact; each result equals the reference"
    )
    if any(flops(step.measurement.case) > ORACLE_FLOPS for step in steps):
        text += "; where that would take too long, Freivalds' check (C t = A (B t)) takes its place"
    return text + "."


def _verdict(steps: Sequence[Step]) -> list[str]:
    """Compare the last two rungs, ours and NumPy's, where they took turns."""
    ours, numpy = steps[-2], steps[-1]
    if ours.measurement is not numpy.measurement:
        return []
    ratio = ours.measurement.ratio(ours.rung.contender, numpy.rung.contender)
    word = "within noise of"
    if ratio.excludes(1.0):
        word = "faster than" if ratio.estimate > 1 else "slower than"
    return [
        f"The {ours.rung.title} product is {word} {numpy.rung.title}'s: {numpy.rung.title}'s time / its own "
        f"is {ratio.estimate:.2f}, interval {ratio.low:.2f} to {ratio.high:.2f}."
    ]
