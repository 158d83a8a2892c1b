"""The section about the ladder: the same call from plain loops to the fastest code."""

from __future__ import annotations

from collections.abc import Sequence

from ..cases import Case, flops
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
from ..measure.contenders import OURS
from ..measure.ladder import ORACLE_FLOPS, Step, base_rung
from ..measure.verify import AFFORDABLE_FLOPS
from ..model.roofline import Bandwidth, Roof
from ..targets import Target
from ._roofline_sections import moved_bytes

PACKED = "path:blocked/packed"
RIVALS = ("numpy", "torch")


def ladder_section(
    target: Target, case: Case, steps: Sequence[Step], threads: int, peak: float, roof: Roof | None = None
) -> Section:
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
    roof : Roof, optional
        What memory allows, for an operation that it limits.

    Returns
    -------
    Section
        A table, what it says, and the idea of each rung.
    """
    most, rate_of = peak * threads, _flops_rate
    limit = None if roof is None else memory_limit(case, roof)
    if limit is not None:
        most, rate_of = limit.best, _bytes_rate
    columns = (
        Column("", "left"),
        Column("time"),
        Column("GFLOP/s" if limit is None else "GB/s"),
        Column("% peak" if limit is None else f"% {limit.level}"),
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
                three_digits(rate_of(step)),
                f"{100 * rate_of(step) / most:.1f}" if rate_of(step) / most >= 5e-4 else "<0.1",
                min(1.0, rate_of(step) / most),
                f"{three_digits(speedup.estimate)}x",
                "base" if is_base else f"{three_digits(speedup.low)} to {three_digits(speedup.high)}",
                step.error or _verified_by(step),
            )
        )
    of_cores = "one core" if threads == 1 else f"{threads} cores"
    blocks: list[Block] = [Table(columns, tuple(rows))]
    blocks += [f"{step.rung.title}: WRONG, {step.error}." for step in steps if step.error]
    text = f"Speed-up over {base.title}, 95 % intervals. "
    if limit is None:
        text += (
            f"Peak: {three_digits(most)} GFLOP/s, measured on {of_cores} with multiply-adds in registers "
            "alone."
        )
    else:
        text += (
            f"GB/s count each operand and the result once, {bytes_text(moved_bytes(case))} in all; "
            f"{limit.level} gives {three_digits(most)} GB/s to streams on {of_cores}, measured just now."
        )
    blocks.append(text)
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
    blocks += _figures(case, steps, most, limit is None, tuple(map(rate_of, steps)))
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


def _figures(
    case: Case, steps: Sequence[Step], most: float, arithmetic: bool, rates: tuple[float, ...]
) -> list[Block]:
    unit, roof = ("GFLOP/s", "peak") if arithmetic else ("GB/s", "bandwidth")
    bars = Figure(
        "Rate of each rung",
        f"{unit}, on a logarithmic axis; the measured {roof} is {three_digits(most)}.",
        Axis(unit, log=True),
        Axis(""),
        (
            Series(
                "",
                "bars",
                rates,
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


def _verified_by(step: Step) -> str:
    case = step.measurement.case
    if case.op == "matmul":
        return "equal" if flops(case) <= ORACLE_FLOPS else "Freivalds"
    return "reference" if flops(case) <= AFFORDABLE_FLOPS else "NumPy"


def _bytes_rate(step: Step) -> float:
    """Return GB/s at the size measured."""
    seconds = step.measurement.seconds(step.rung.contender).estimate
    return moved_bytes(step.measurement.case) / seconds / 1e9


def _flops_rate(step: Step) -> float:
    return step.gflops


def memory_limit(case: Case, roof: Roof) -> Bandwidth | None:
    """Return what limits a case if it is memory, and None if it is arithmetic.

    Parameters
    ----------
    case : Case
        A case.
    roof : Roof
        What the machine allows.

    Returns
    -------
    Bandwidth or None
        That of the level that the operands and the result fit in.
    """
    place = roof.place(flops(case), moved_bytes(case), 1.0)
    if place.limit == "compute":
        return None
    return next(found for found in roof.bandwidths if found.level == place.limit)


def _verified_text(steps: Sequence[Step]) -> str:
    if any(step.measurement.case.op != "matmul" for step in steps):
        return (
            "Verified: each result is within the stated error of the reference, or, where that would take "
            "too long, equal to NumPy's but for rounding."
        )
    text = (
        "Verified: the operands hold small integers, so every sum is exact; each result equals the reference"
    )
    if any(flops(step.measurement.case) > ORACLE_FLOPS for step in steps):
        text += "; where that would take too long, Freivalds' check (C t = A (B t)) takes its place"
    return text + "."


def _verdict(steps: Sequence[Step]) -> list[str]:
    """Compare ours with the libraries, where they took turns."""
    ours = next(step for step in steps if step.rung.contender in (OURS, PACKED))
    texts = []
    for rival in steps:
        if rival.rung.contender not in RIVALS or rival.measurement is not ours.measurement:
            continue
        ratio = ours.measurement.ratio(ours.rung.contender, rival.rung.contender)
        word = "within noise of"
        if ratio.excludes(1.0):
            word = "faster than" if ratio.estimate > 1 else "slower than"
        texts.append(
            f"The {ours.rung.title} {'product' if ours.rung.contender == PACKED else 'code'} is {word} "
            f"{rival.rung.title}'s: {rival.rung.title}'s time / its own is {ratio.estimate:.2f}, interval "
            f"{ratio.low:.2f} to {ratio.high:.2f}."
        )
    return texts
