"""The section about the lines of the kernels: exact hits from the traced twins, real time by sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..cases import Case
from ..collect.line_table import Line, LineTable, functions_of
from ..collect.lines import FunctionLines
from ..document import Block, Section, time_text
from ..measure.contenders import OURS
from ..measure.line_samples import sample_contender
from ..measure.paths import PREFIX
from ..targets import Target
from ._report_ladder import sizes_text
from ._report_lines import listing_blocks

SAMPLE_SECONDS = 0.2
MOSTLY = 0.8
OWN_PATH = "blocked"
SHOWN_SHARE = 0.03
"""A function with less of a path's time is not listed."""


@dataclass(frozen=True, slots=True)
class KernelLines:
    """The lines of one kernel or path.

    Attributes
    ----------
    title : str
        Name of the function or path, and the sizes it ran at.
    path : str or None
        The dispatcher's path that it is.
    call_seconds : float or None
        Processor time of one call in all threads, by sampling, or None without samples.
    lines : tuple of Line
        Seconds of one call; hits where a twin counted them.
    hotspot : str or None
        Its hottest line.
    sampling : mapping
        ``interval``, ``seconds``, ``samples``, ``lost`` and ``calls``, or ``reason``.
    """

    title: str
    path: str | None
    call_seconds: float | None
    lines: tuple[Line, ...]
    hotspot: str | None
    sampling: dict[str, Any] = field(default_factory=dict)


def kernel_lines(
    target: Target, dtype: str, threads: int, traced: Sequence[FunctionLines]
) -> list[KernelLines]:
    """Sample the compiled code of a target at its own speed and join the hits of its twins.

    Parameters
    ----------
    target : Target
        What is profiled.
    dtype : str
        Of the operands.
    threads : int
        Threads of the paths.
    traced : sequence of FunctionLines
        Hits of the twins, at the target's traced size.

    Returns
    -------
    list of KernelLines
        The traced functions, then the paths.
    """
    by_name = {function.function: function for function in traced}
    found = []
    for call in target.traced:
        case = target.case(target.traced_size, dtype)
        title = f"{call.function} at {target.traced_size}"
        found.append(_sampled(title, call.path, call.contender, case, 1, by_name.get(call.function)))
    for path, size in target.sampled:
        case = target.case(size, dtype)
        if path == OURS:
            # An operation of one path: whatever the library itself takes.
            found.append(_sampled(f"the kernel at {sizes_text(case)}", OWN_PATH, path, case, threads, None))
        else:
            found.append(_sampled(f"{path} at {size}", path, PREFIX + path, case, threads, None))
    return found


def _sampled(
    title: str, path: str | None, contender: str, case: Case, threads: int, hits: FunctionLines | None
) -> KernelLines:
    from ..collect.native_lines import pyx_line_times

    table = LineTable()
    if hits is not None:
        for entry in hits.lines:
            table.add(hits.filename, entry.line, hits=entry.hits)
    samples, sampling = sample_contender(contender, case, threads, SAMPLE_SECONDS)
    call_seconds = None
    if "reason" not in sampling:
        table.add_times(pyx_line_times(samples), str, sampling["calls"])
        call_seconds = sum(sample.seconds for sample in samples if sample.running) / sampling["calls"]
    lines = table.lines()
    timed = [line for line in lines if line.seconds]
    if "reason" not in sampling and not timed:
        sampling = {**sampling, "reason": "no sample fell on a line of a .pyx file"}
    if not timed and hits is not None:
        # Without samples only what lasts long enough under the tracer is known.
        long = {entry.line: entry.seconds_per_hit for entry in hits.lines}
        lines = [replace(line, seconds_per_hit=long.get(line.line)) for line in lines]
    hottest = max(timed, key=lambda line: line.seconds or 0.0, default=None)
    hotspot = hottest.place if hottest is not None else hits.hotspot if hits is not None else None
    return KernelLines(title, path, call_seconds, tuple(lines), hotspot, sampling)


def kernels_section(kernels: Sequence[KernelLines], reason: str | None) -> Section:
    """Return section 3: the source of the kernels, line by line.

    Parameters
    ----------
    kernels : sequence of KernelLines
        As `kernel_lines` returns them.
    reason : str or None
        Why no hits were counted.

    Returns
    -------
    Section
        Listings with time, share and hits.
    """
    blocks: list[Block] = []
    for kernel in kernels:
        timed = sum(line.seconds or 0.0 for line in kernel.lines)
        if not kernel.lines:
            blocks.append(f"{kernel.title}: no lines: {kernel.sampling.get('reason', reason)}.")
            continue
        text = f"{kernel.title}: "
        if kernel.call_seconds is not None and timed:
            text += f"a call takes {time_text(kernel.call_seconds)} of the processor"
            most = max((line.hits for line in kernel.lines if line.hits), default=0)
            if most:
                text += f", {time_text(kernel.call_seconds / most)} for each run of its innermost line"
            if timed < MOSTLY * kernel.call_seconds:
                text += f"; {time_text(timed)} of it in lines of .pyx files, the rest in compiled libraries"
            text += f"; the hottest line is {kernel.hotspot}."
        else:
            text += f"{kernel.hotspot} is the innermost line; no times: {kernel.sampling['reason']}."
        blocks.append(text)
        functions = functions_of(kernel.lines)
        blocks += listing_blocks(
            [one for one in functions if not timed or one.seconds >= SHOWN_SHARE * timed], timed
        )
    if reason is not None:
        blocks.append(f"Hits were not counted: {reason}. Sampling gives the times all the same.")
    text = (
        "Time is that of one call of the untraced code, by sampling; the compiler merges the head of a loop "
        "with its body, so read the lines of an inner loop together."
    )
    if any(line.hits for kernel in kernels for line in kernel.lines):
        text += (
            " Hits are exact, counted on a twin that is built with tracing, whose times are not shown: its "
            "tracer costs hundreds of times an inner line's own time."
        )
    blocks.append(text)
    return Section("3. Lines of the kernels", tuple(blocks))


def line_dicts(kernels: Sequence[KernelLines]) -> list[dict[str, Any]]:
    """Return the lines of all kernels as JSON-ready values; each names its kernel in ``function``.

    Parameters
    ----------
    kernels : sequence of KernelLines
        As `kernel_lines` returns them.

    Returns
    -------
    list of dict
        As `profiling.collect.line_table.Line.to_dict`.
    """
    return [
        {**line.to_dict(), "function": f"{line.function} ({kernel.title})"}
        for kernel in kernels
        for line in kernel.lines
    ]
