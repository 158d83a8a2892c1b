"""The verb ``report``: one operation explained on this machine."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from tensorops.dispatch import schema, selection

from ..cases import DTYPES
from ..collect.lines import FunctionLines, count_lines, why_untraceable
from ..collect.step import measure_step
from ..document import Document
from ..measure import machine
from ..measure.ladder import Step, ladder_jobs, ladder_steps
from ..measure.launches import Job, measure_launches
from ..measure.paths import path_entries, path_jobs
from ..measure.run import Measurement, Run
from ..measure.timer import Schedule
from ..measure.worker import WorkerError
from ..progress import progress_bar
from ..targets import TARGETS, Target, run_traced, traced_functions
from . import _report_sections as sections
from ._base import Command, CommandError, known_name, whole_number

SCHEMA = 1
NATIVE = Schedule(sample_seconds=1e-3, blocks=3, min_blocks=2, budget_seconds=1.0)
"""For the untraced run beside the traced one."""


@dataclass(frozen=True, slots=True)
class Traced:
    """Lines of the traced functions, or why there are none.

    Attributes
    ----------
    functions : list of FunctionLines
        Empty where nothing could be counted.
    reason : str or None
        Why nothing could be counted.
    native : Measurement
        The same calls, not traced.
    """

    functions: list[FunctionLines]
    reason: str | None
    native: Measurement


class ReportCommand(Command):
    """Explain one operation on this machine: how fast, why, and who computes it from now on.

    The report measures the ladder from Python loops to the fastest code, counts hits and allocations
    line by line, measures the dispatcher's paths, and writes them to the profile that the dispatcher
    reads.
    """

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""
        parser.add_argument(
            "target",
            type=known_name("target", TARGETS),
            metavar="TARGET",
            help=f"one of: {', '.join(TARGETS)}",
        )
        defaults = ", ".join(f"{target.default_size} for {name}" for name, target in TARGETS.items())
        parser.add_argument("--size", type=int, metavar="N", help=f"size of the ladder; default: {defaults}")
        parser.add_argument(
            "--dtype",
            type=known_name("dtype", DTYPES),
            default="float32",
            metavar="DTYPE",
            help=f"one of: {', '.join(DTYPES)}; default: %(default)s",
        )
        parser.add_argument(
            "--threads",
            type=whole_number(1, 1024),
            default=1,
            metavar="N",
            help="threads of the optimised product and of NumPy's; default: %(default)s",
        )
        parser.add_argument("--no-save", action="store_true", help="leave the dispatcher's profile as it is")

    def run(self, arguments: argparse.Namespace) -> Document:
        """Measure, save the profile, and return the report."""
        target = TARGETS[arguments.target]
        size = target.default_size if arguments.size is None else arguments.size
        if not target.smallest_size <= size <= target.largest_size:
            raise CommandError(f"--size {size}: expected {target.smallest_size} to {target.largest_size}")
        described = machine.describe()
        if arguments.threads > described["cores"]:
            raise CommandError(
                f"--threads {arguments.threads}: this process may use {described['cores']} "
                f"core{'s' * (described['cores'] != 1)}"
            )
        ladder = ladder_jobs(target, size, arguments.dtype)
        paths = path_jobs(target, arguments.dtype, arguments.threads)
        with progress_bar(f"report {target.op}", len(ladder) + len(paths) + 4) as advance:
            advance("peak of one core")
            described["peak_gflops_per_core"] = peak = machine.measure_peak(arguments.dtype)
            jobs = [*ladder, _native_job(target, arguments.dtype), *paths]
            try:
                collected = measure_launches(jobs, arguments.threads, on_case=advance)
            except WorkerError as error:
                raise CommandError(str(error), exit_code=1) from error
            measured = collected.measurements
            steps = ladder_steps(target, size, arguments.dtype, measured[: len(ladder)])
            advance("lines")
            traced = _trace(target, arguments.dtype, measured[len(ladder)])
            advance("allocations")
            cost = measure_step(arguments.dtype)
        compared = measured[len(ladder) + 1 :]
        saved, profile_error = _save(target, traced, compared, arguments)
        selection.reload_profile()
        choices = sections.explain_cases(compared)

        data = {
            "schema": SCHEMA,
            "kind": "report",
            "target": target.op,
            "ladder": [step.to_dict(peak * arguments.threads) for step in steps],
            "lines": [_lines_dict(function) for function in traced.functions],
            "lines_reason": traced.reason,
            "step": cost.to_dict(),
            "choices": [choice.to_dict() for choice in choices],
            "profile": saved,
            "profile_error": profile_error,
            "run": Run(described, _settings(arguments, size), tuple(measured)).to_dict(),
        }
        parts = (
            sections.machine_section(described),
            sections.ladder_section(target, steps, size, arguments.threads, peak),
            sections.lines_section(target, traced.functions, traced.reason, traced.native),
            sections.step_section(cost),
            sections.choices_section(compared, choices, saved is not None),
            sections.profile_section(saved, profile_error),
        )
        title = f"{target.op}: {target.case(size, arguments.dtype).name}"
        title += f", {sections.threads_text(arguments.threads)}"
        return Document(title, parts, data, exit_code=_exit_code(steps, compared, profile_error))


def _native_job(target: Target, dtype: str) -> Job:
    contenders = tuple(call.contender for call in target.traced)
    return Job(target.case(target.traced_size, dtype), contenders, NATIVE)


def _trace(target: Target, dtype: str, native: Measurement) -> Traced:
    reason = why_untraceable()
    if reason is None:
        try:
            functions = count_lines(traced_functions(target), lambda: run_traced(target, dtype))
            return Traced(functions, None, native)
        except (ImportError, RuntimeError) as error:
            reason = str(error)
    return Traced([], reason, native)


def _save(
    target: Target, traced: Traced, compared: list[Measurement], arguments: argparse.Namespace
) -> tuple[str | None, str | None]:
    """Return the profile's path, or None and why it was not written (None if that was the wish)."""
    if arguments.no_save or schema.profile_path() is None:
        return None, None
    lines = {function.function: function.hotspot for function in traced.functions}
    hotspots = {
        call.path: lines[call.function] for call in target.traced if call.path and call.function in lines
    }
    profile = schema.Profile(schema.fingerprint(), tuple(path_entries(compared, hotspots)))
    try:
        return str(schema.save(profile)), None
    except OSError as error:
        return None, f"{error.strerror or error}: {error.filename or schema.profile_path()}"


def _lines_dict(function: FunctionLines) -> dict[str, Any]:
    return {
        "function": function.function,
        "file": function.filename,
        "hotspot": function.hotspot,
        "lines": [
            {
                "line": entry.line,
                "hits": entry.hits,
                "seconds_per_hit": entry.seconds_per_hit,
                "traced_seconds": entry.seconds,
                "source": entry.source,
            }
            for entry in function.lines
        ],
    }


def _settings(arguments: argparse.Namespace, size: int) -> dict[str, Any]:
    return {
        "size": size,
        "dtype": arguments.dtype,
        "threads": arguments.threads,
        "save": not arguments.no_save,
    }


def _exit_code(steps: list[Step], compared: list[Measurement], profile_error: str | None) -> int:
    wrong = any(step.error for step in steps) or any(measurement.errors for measurement in compared)
    return int(wrong or profile_error is not None)
