"""The sections of the report: what was measured, in words and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorops
from tensorops.dispatch.explanation import Explanation

from ..cases import flops
from ..collect.lines import MEANINGFUL_SECONDS, FunctionLines
from ..collect.step import StepCost
from ..document import Block, Cell, Column, Section, Table, bytes_text, three_digits, time_text
from ..measure import machine
from ..measure.ladder import ORACLE_FLOPS, Step
from ..measure.paths import PREFIX
from ..measure.run import Measurement
from ..targets import Target


def threads_text(threads: int) -> str:
    """Return a number of threads in words.

    Parameters
    ----------
    threads : int
        At least 1.

    Returns
    -------
    str
        Number and noun.

    Examples
    --------
    >>> threads_text(1), threads_text(2)
    ('1 thread', '2 threads')
    """
    return f"{threads} thread{'s' * (threads != 1)}"


def machine_section(described: Mapping[str, Any]) -> Section:
    """Return section 1: the machine in a line.

    Parameters
    ----------
    described : mapping
        As ``profiling.measure.machine.describe``.

    Returns
    -------
    Section
        One paragraph, and a warning where something is forced.
    """
    blocks: list[Block] = [machine.one_line(described)]
    for values, text in (
        (described["forced"], "These force the rivals' kernels, so their figures are not their own"),
        (described["own"], "Set for this library"),
    ):
        if values:
            blocks.append(f"{text}: {', '.join(f'{name}={value}' for name, value in values.items())}.")
    load = described["load"]
    if load is not None and load > 0.5 * described["cores"]:
        blocks.append(f"The machine was busy (load {load}) when this began: expect wider intervals.")
    return Section("1. Machine", tuple(blocks))


def ladder_section(target: Target, steps: Sequence[Step], size: int, threads: int, peak: float) -> Section:
    """Return section 2: the ladder.

    Parameters
    ----------
    target : Target
        What is profiled.
    steps : sequence of Step
        From the slowest to the fastest.
    size : int
        The size asked for.
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
    rows: list[tuple[Cell, ...]] = []
    for step in steps:
        speedup = step.speedup
        is_base = step.rung.contender == target.base
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
    base = next(step.rung.title for step in steps if step.rung.contender == target.base)
    of_cores = "one core" if threads == 1 else f"{threads} cores"
    blocks: list[Block] = [Table(columns, tuple(rows))]
    blocks += [f"{step.rung.title}: WRONG, {step.error}." for step in steps if step.error]
    blocks.append(
        f"Speed-up over {base}, 95 % intervals. Peak: {three_digits(roof)} GFLOP/s, measured on {of_cores} "
        "with multiply-adds in registers alone."
    )
    extrapolated = [step for step in steps if step.extrapolated]
    if extrapolated:
        names = ", ".join(f"{step.rung.title} at {_smallest_side(step)}" for step in extrapolated)
        blocks.append(
            f"* measured smaller ({names}) and extrapolated by the number of operations; the rate is the one "
            "measured."
        )
    if not any(step.error for step in steps):
        blocks.append(_verified_text(steps))
    blocks += _verdict(steps)
    ideas = tuple((step.rung.title, step.rung.idea) for step in steps)
    blocks.append(Table((Column("", "left"), Column("what is new", "wrap")), ideas))
    return Section(f"2. The ladder, {size} x {size}", tuple(blocks))


def _smallest_side(step: Step) -> int:
    return min(step.measurement.case.shapes[0])


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


def lines_section(
    target: Target, functions: Sequence[FunctionLines], reason: str | None, native: Measurement
) -> Section:
    """Return section 3: hits line by line.

    Parameters
    ----------
    target : Target
        What is profiled.
    functions : sequence of FunctionLines
        The traced functions.
    reason : str or None
        Why there are none.
    native : Measurement
        The same functions, not traced.

    Returns
    -------
    Section
        A table per function, or the reason.
    """
    title = f"3. Hot lines of the .pyx sources, traced at {target.traced_size}"
    if reason is not None:
        return Section(title, (f"Not counted: {reason}.",))
    columns = (
        Column("line"),
        Column("hits"),
        Column("% hits"),
        Column("per hit"),
        Column("source", "wrap"),
    )
    blocks: list[Block] = []
    contenders = {call.function: call.contender for call in target.traced}
    for function in functions:
        rows = []
        for entry in function.lines:
            if entry.hits == 1:
                continue
            per_hit = entry.seconds_per_hit
            rows.append(
                (
                    str(entry.line),
                    f"{entry.hits:,}",
                    f"{100 * entry.hits / function.total_hits:.1f}",
                    "-" if per_hit is None else time_text(per_hit),
                    _shown_indent(entry.source),
                )
            )
        seconds = native.seconds(contenders[function.function]).estimate
        hottest = function.hottest
        blocks.append(
            f"{function.function}, {function.hotspot} is the innermost line. Untraced, the call takes "
            f"{time_text(seconds)}: {time_text(seconds / hottest.hits)} for each run of that line."
        )
        blocks.append(Table(columns, tuple(rows)))
    blocks.append(
        "Hits are exact; lines that ran once are left out. The tracer costs 0.2 us or more per line, "
        "hundreds of times an inner line's own time. So a time is shown only for lines of "
        f"{MEANINGFUL_SECONDS * 1e6:g} us or more per hit, and a share of hits is not a share of time."
    )
    return Section(title, tuple(blocks))


def _shown_indent(source: str) -> str:
    """Return a source line with the indentation beyond a function's own kept as dots."""
    text = source.lstrip()
    depth = (len(source) - len(text)) // 4 - 1
    return ". " * max(0, depth) + text


def step_section(cost: StepCost) -> Section:
    """Return section 4: what each line of the training step allocates.

    Parameters
    ----------
    cost : StepCost
        The step, line by line.

    Returns
    -------
    Section
        A table and the totals.
    """
    columns = (
        Column("line"),
        Column("buffers"),
        Column("bytes"),
        Column("process", optional=1),
        Column("source", "wrap"),
    )
    rows = []
    for entry in cost.lines:
        growth = "-" if entry.growth is None else f"{'+' * (entry.growth > 0)}{bytes_text(entry.growth)}"
        rows.append(
            (
                str(entry.line),
                str(entry.count),
                f"{entry.bytes:,}",
                growth if entry.growth else "-",
                entry.source,
            )
        )
    blocks: list[Block] = [Table(columns, tuple(rows))]
    blocks.append(
        f"In all {cost.count} buffers of {cost.minimum_bytes} bytes or more, {bytes_text(cost.bytes)}; at "
        f"most {bytes_text(cost.peak)} alive at once. The counts are exact, by NumPy's allocation hook."
    )
    if cost.memory_reason is None:
        blocks.append(
            "Process: growth of the resident set, by memory_profiler. It is counted in pages, and freed "
            "memory is used again, so it shows where a process grows and not what a line allocates."
        )
    else:
        blocks.append(f"No resident memory: {cost.memory_reason}.")
    return Section(f"4. Allocations of one training step, {cost.file}", tuple(blocks))


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
