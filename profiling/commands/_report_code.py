"""The report on a user's own code: a script or a function, run in a process of its own."""

from __future__ import annotations

import importlib.util
import linecache
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..advice.advising import Advised
from ..collect.line_table import Function, Line, functions_of, that_matter
from ..collect.lines import why_untraceable
from ..collect.own_code import OwnCode, blocks_of, matches
from ..collect.runner import Collected, Mode, run_program
from ..document import Document, Section
from ..measure import machine
from ..targets import CodeTarget, FunctionTarget, ScriptTarget
from ..targets.code import did_you_mean
from . import _report_lines as line_sections
from . import _report_totals as totals
from ._base import CommandError
from ._report_advice import advice_data, advice_section, advise_on
from ._report_runs import as_one, notes_on, repeat, table_of
from ._report_samples import without_lines
from ._report_tracers import follow

SCHEMA = 2
ALLOCATION_FIGURES = ("count", "bytes", "peak", "live", "min_bytes", "work_memory")
LINES_BUDGET = 3_000_000
MEMORY_BUDGET = 200_000
"""An event costs memory_profiler a hundred times what it costs line_profiler."""


@dataclass(frozen=True, slots=True)
class CodeOptions:
    """What to look at beside the first run.

    Attributes
    ----------
    lines, memory : bool
        Whether line_profiler and memory_profiler follow further runs.
    budget : int or None
        Events that each of them may take; None for their defaults.
    functions : tuple of str
        Names of the functions to show; empty for those that matter.
    min_bytes : int
        Smaller buffers are not counted.
    seconds : float
        How long a function is sampled.
    all_operations : bool
        Whether operations are counted to the end however much that slows the program down.
    runs : int
        How often the program runs while it is sampled.
    advice : bool
        Whether replacements of hot lines are looked for and tried out.
    """

    lines: bool = False
    memory: bool = False
    budget: int | None = None
    functions: tuple[str, ...] = ()
    min_bytes: int = 64
    seconds: float = 1.0
    all_operations: bool = False
    runs: int = 1
    advice: bool = True


def code_report(target: CodeTarget, options: CodeOptions) -> Document:
    """Run a script or a function, and return the report on it.

    Parameters
    ----------
    target : ScriptTarget or FunctionTarget
        What to run.
    options : CodeOptions
        What to look at.

    Returns
    -------
    Document
        Its exit code is the program's own.

    Raises
    ------
    CommandError
        If there is no such function, its arguments cannot be made, or a function asked for does not exist.
    """
    own_files = [target.path] if isinstance(target, ScriptTarget) and target.path else []
    if isinstance(target, FunctionTarget):
        own_files = _home_of(target.module)
    own = OwnCode(own_files)
    described = machine.describe()

    def run(mode: Mode, functions: Iterable[tuple[str, str]] = (), budget: int = 0) -> Collected:
        return run_program(
            target.to_dict(),
            mode=mode,
            own=own_files,
            min_bytes=options.min_bytes,
            all_operations=options.all_operations,
            names=options.advice,
            seconds=options.seconds,
            functions=functions,
            budget=budget,
        )

    repeated = repeat(lambda: run("sample"), options.runs)
    if repeated.runs[0].ended == "unusable":
        raise CommandError(repeated.runs[0].message)
    subject = Subject(
        what="function" if isinstance(target, FunctionTarget) else "script",
        title=_title(target),
        target=_target_dict(target),
        machine=described,
        calibration=repeated.calibration,
    )
    notes = notes_on(repeated, options.runs, lambda one: totals.ending_text(one, subject.what))
    document = build_document(subject, repeated.runs, own, options, run, list(notes))
    return document if repeated.failed is None else replace(document, exit_code=repeated.failed.exit_code)


def _home_of(module: str) -> list[str]:
    """Return the files of a function's package: who asks for it wants its lines, installed or not."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    return [*(spec.submodule_search_locations or [spec.origin or ""])]


def _title(target: CodeTarget) -> str:
    if isinstance(target, FunctionTarget):
        return f"{target.name}({target.arguments})"
    return shlex.join([*target.name.split(" ", 1), *target.arguments])


def _target_dict(target: CodeTarget) -> dict[str, Any]:
    if isinstance(target, FunctionTarget):
        arguments: Any = {"setup": target.setup, "args": target.arguments}
        return {"kind": "function", "name": target.name, "arguments": arguments}
    return {"kind": "script", "name": target.name, "arguments": list(target.arguments)}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about.

    Attributes
    ----------
    what : str
        ``script``, ``function``, or another noun for sentences.
    title : str
        One line.
    target : mapping
        ``kind``, ``name`` and ``arguments``, for programs.
    machine : mapping
        As ``profiling.measure.machine.describe``.
    calibration : mapping
        ``before``, ``during`` and ``after``.
    """

    what: str
    title: str
    target: Mapping[str, Any]
    machine: Mapping[str, Any]
    calibration: Mapping[str, Any]


def build_document(
    subject: Subject,
    runs: Sequence[Collected],
    own: OwnCode,
    options: CodeOptions,
    run: Callable[[Mode, Iterable[tuple[str, str]], int], Collected],
    notes: Sequence[str] = (),
) -> Document:
    """Make the report of runs at the program's own speed, with those under a tracer that were asked for.

    Parameters
    ----------
    subject : Subject
        What was run.
    runs : sequence of Collected
        What they left; at least one.
    own : OwnCode
        Whose lines are shown.
    options : CodeOptions
        What else to look at.
    run : callable
        ``run(mode, functions, budget)`` runs the program once more under a tracer.
    notes : sequence of str
        What has to be said about the runs.

    Returns
    -------
    Document
        Its exit code is that of the first run.

    Raises
    ------
    CommandError
        If a function asked for does not exist.
    """
    # A source may have changed since an earlier report of this process.
    linecache.checkcache()
    blocks_of.cache_clear()
    table, samples, measuring = table_of(runs, own)
    collected = as_one(runs)
    if collected.allocations is not None and "reason" not in collected.allocations:
        table.add_allocations(collected.allocations["lines"], own.absolute)
    measured = functions_of(table.lines())
    chosen, missing = _choose(
        measured, options.functions, [path for path in own.also if path.endswith(".py")]
    )
    notes = [*notes, *missing]
    followed = [function for function in chosen if function.lines[0].origin == "python"]
    notes += totals.coverage_notes(collected, measuring)
    notes += without_lines(samples, own)
    sampled = "reason" not in collected.sampling
    further: tuple[tuple[bool, Mode, int], ...] = (
        (options.lines, "lines", options.budget or LINES_BUDGET),
        (options.memory, "memory", options.budget or MEMORY_BUDGET),
    )
    for wanted, mode, budget in further:
        if wanted:
            notes += follow(table, own, followed, run, mode, budget, sampled)
    lines = table.lines()
    advised = None
    if options.advice:
        observed = [entry for one in runs for entry in (one.names or {}).get("lines", ())]
        advised, failed = advise_on(lines, observed, own.absolute)
        notes += failed
    names = {(function.file, function.block) for function in chosen}
    shown = [function for function in functions_of(lines) if (function.file, function.block) in names]
    return Document(
        subject.title,
        _sections(subject, collected, lines, shown, options, notes, advised),
        _data(subject, collected, lines, options, notes) | advice_data(advised),
        exit_code=collected.exit_code,
    )


def _choose(
    measured: Sequence[Function], names: Sequence[str], files: Sequence[str]
) -> tuple[list[Function], list[str]]:
    """Return the functions to show, and what has to be said about those asked for by name."""
    if not names:
        return that_matter(measured), []
    chosen = []
    notes = []
    for name in names:
        found = [function for function in measured if matches(name, function.block.name, function.file)]
        chosen += [function for function in found if function not in chosen]
        if not found:
            notes.append(_why_missing(name, measured, files))
    return chosen, notes


def _why_missing(name: str, measured: Sequence[Function], files: Sequence[str]) -> str:
    """Return what to say of a function that was asked for and left no figures."""
    looked_at = sorted({*files, *(function.file for function in measured)})
    known = [(block.name, file) for file in looked_at for block in blocks_of(file)]
    never = f"{name}: never found running, nor allocating: it did not run"
    if any(matches(name, function, file) for function, file in known):
        return f"{never}, or took too little time to be sampled."
    return (
        f"{never}, took too little time to be sampled, or has another name"
        f"{did_you_mean(name, (function for function, _ in known))}"
    )


def _sections(
    subject: Subject,
    collected: Collected,
    lines: Sequence[Line],
    shown: Sequence[Function],
    options: CodeOptions,
    notes: Sequence[str],
    advised: Advised | None,
) -> tuple[Section, ...]:
    per = "one call" if subject.what == "function" else "the run"
    no_allocations, no_operations = (
        totals.why_not_counted(figures, collected.ended)
        for figures in (collected.allocations, collected.operations)
    )
    minimum = options.min_bytes
    python = sum(line.seconds or 0.0 for line in lines if line.origin == "python")
    total = python or sum(line.seconds or 0.0 for line in lines)
    reason = collected.sampling.get("reason")
    sections = [
        totals.run_section("1. The run", collected, subject.machine, subject.what),
        line_sections.hottest_section("2. Hottest lines", lines, per, reason),
        line_sections.allocating_section("3. Most allocating lines", lines, per, minimum, no_allocations),
        totals.operations_section("4. Operations", collected.operations, per, no_operations),
    ]
    listings = line_sections.listing_blocks(shown, total)
    blocks = listings or ("No function of the user's own code took time or allocated.",)
    sections.append(Section("5. Functions", (*blocks, _hits_text(lines))))
    advice = advice_section("6. Advice", advised, per)
    if advice is not None:
        sections.append(advice)
    if notes:
        sections.append(Section(f"{len(sections) + 1}. What the figures miss", tuple(notes)))
    return tuple(sections)


def _hits_text(lines: Sequence[Line]) -> str:
    if any(line.hits for line in lines):
        text = "Hits are exact, by line_profiler; time is sampled, so it has none of the tracer's cost, "
        text += "and is the line's own, without that of the functions shown here that it called."
    else:
        text = "Hits are counted by a further run with --lines, growth of the process with --memory."
    if any(line.origin == "pyx" for line in lines):
        text += " Lines of .pyx files have their time by sampling, and no hits"
        text += f": {why_untraceable()}." if why_untraceable() else "."
    return text


def _data(
    subject: Subject,
    collected: Collected,
    lines: Sequence[Line],
    options: CodeOptions,
    notes: Sequence[str],
) -> dict[str, Any]:
    allocations = operations = None
    complete = False
    if collected.allocations is not None and "reason" not in collected.allocations:
        allocations = {name: collected.allocations[name] for name in ALLOCATION_FIGURES}
    if collected.operations is not None and "reason" not in collected.operations:
        operations = collected.operations["operations"]
        complete = collected.operations["complete"]
    return {
        "schema": SCHEMA,
        "kind": "report",
        "target": dict(subject.target),
        "machine": dict(subject.machine),
        "lines": [line.to_dict() for line in lines],
        "operations": operations or [],
        "operations_complete": complete,
        "allocations": allocations,
        "calibration": dict(subject.calibration),
        "sampling": {**collected.sampling, "calls": collected.calls},
        "program": {
            "ended": collected.ended,
            "message": collected.message,
            "exit_code": collected.exit_code,
            "wall_seconds": collected.wall,
            "cpu_seconds": collected.cpu,
            "children_cpu_seconds": collected.children_cpu,
            "forks": collected.forks,
        },
        "run": None,
        "notes": list(notes),
    }
