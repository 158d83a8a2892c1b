"""The further runs of a program under a tracer, their announcement and what they add."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

from ..collect.line_table import Function, LineTable
from ..collect.own_code import OwnCode
from ..collect.runner import Collected, Mode
from . import _report_totals as totals


def follow(
    table: LineTable,
    own: OwnCode,
    functions: Sequence[Function],
    run: Callable[[Mode, Iterable[tuple[str, str]], int], Collected],
    mode: Mode,
    budget: int,
    sampled: bool,
) -> list[str]:
    """Run a program once more under a tracer, and add what it finds to the table.

    Parameters
    ----------
    table : LineTable
        Gets hits or growth.
    own : OwnCode
        Knows the program's folder.
    functions : sequence of Function
        What the tracer follows.
    run : callable
        ``run(mode, functions, budget)`` runs the program.
    mode : {"lines", "memory"}
        Which tracer.
    budget : int
        Events it may take.
    sampled : bool
        Whether there are times by sampling; else the tracer's own are kept where they mean something.

    Returns
    -------
    list of str
        What has to be said: where the tracer stopped, what it did not see.
    """
    tool = {"lines": "line_profiler", "memory": "memory_profiler"}[mode]
    if not functions:
        return [f"{tool} had nothing to follow: no Python function of the user's own was found running."]
    names = [(function.file, function.block.name) for function in functions]
    followed = ", ".join(name for _, name in names)
    print(f"One more run, followed by {tool} for at most {budget:,} events: {followed}.", file=sys.stderr)
    try:
        again = run(mode, names, budget)
    except ImportError as error:
        return [f"{tool} could not be used: {error}."]
    if again.traced is None:
        return [f"{tool} found nothing: {totals.ending_text(again, 'further run')}"]
    table.add_traced(again.traced, own.absolute, times=not sampled)
    notes = []
    stopped = again.traced["stopped"]
    if stopped is not None:
        notes.append(
            f"{tool} stopped {stopped}; what ran later is missing from its figures. --budget-events allows "
            "more."
        )
    notes += again.traced["notes"]
    if again.ended not in ("returned", "exited"):
        notes.append(f"The run under {tool}: {totals.ending_text(again, 'program')}")
    if not again.traced["lines"]:
        notes.append(
            f"{tool} saw none of these functions run: {followed}. A program that sets a tracer of its own "
            "(sys.settrace, sys.setprofile, a debugger, coverage) takes its place."
        )
    if mode == "memory":
        notes.append(
            "Process: growth of the resident set while a line ran, in the main thread. It is counted in "
            "pages, and freed memory is used again: it shows where a process grows, not what a line "
            "allocates."
        )
    return notes
