"""The report on one operation: how fast on this machine, why, and who computes it from now on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorops
from tensorops.dispatch import schema, selection
from tensorops.dispatch.explanation import Explanation

from .. import mlp_step
from ..advice.advising import Advised
from ..cases import Case
from ..collect.lines import FunctionLines, count_lines, why_untraceable
from ..collect.step import StepCost, measure_step
from ..collect.twin import TwinCost, measure_twins
from ..document import Document, Section
from ..measure import calibration, machine
from ..measure.ladder import Step, ladder_jobs, ladder_steps
from ..measure.launches import measure_launches
from ..measure.libraries import operation_loop
from ..measure.paths import path_entries, path_jobs
from ..measure.run import Measurement, Run
from ..measure.worker import WorkerError
from ..model.geometry import machine_levels
from ..model.roofline import Roof, capacities, fastest_mean, measure_bandwidths, measure_peak
from ..progress import progress_bar
from ..targets import Target, run_traced, traced_functions
from ._base import CommandError
from ._report_advice import advice_data, advise_on_step
from ._report_choices import choices_section, explain_cases, profile_section
from ._report_code import ALLOCATION_FIGURES, SCHEMA
from ._report_kernels import KernelLines, kernel_lines, kernels_section, line_dicts
from ._report_ladder import ladder_section
from ._report_machine import machine_section, threads_text
from ._report_step import step_section
from ._report_twins import twins_section

OTHER_STEPS = 4


@dataclass(frozen=True, slots=True)
class OperationReport:
    """All that was measured of an operation.

    Attributes
    ----------
    target : Target
        The operation.
    case : Case
        The case asked for.
    threads : int
        Threads of the fast rungs and of the paths.
    run : Run
        Raw samples.
    steps : list of Step
        The ladder.
    kernels : list of KernelLines
        Lines of the compiled code.
    kernels_reason : str or None
        Why no hits were counted.
    cost : StepCost or TwinCost
        What a training step allocates; for other operations than matmul what a call does.
    roof : Roof or None
        What this machine allows; None for matmul, whose peak is enough.
    operations : dict
        What it computes, as ``OperationCounter.to_dict``.
    allocations : dict
        What it allocates in all.
    compared : list of Measurement
        The dispatcher's paths side by side.
    calibration : dict
        How fast the machine was before and after.
    advised : Advised or None
        What the lines of the training step had better be; None where that was not looked for.
    advice_notes : list of str
        Why that failed.
    """

    target: Target
    case: Case
    threads: int
    run: Run
    steps: list[Step]
    kernels: list[KernelLines]
    kernels_reason: str | None
    cost: StepCost | TwinCost
    roof: Roof | None
    operations: dict[str, Any]
    allocations: dict[str, Any]
    compared: list[Measurement]
    calibration: dict[str, list[float]]
    advised: Advised | None = None
    advice_notes: tuple[str, ...] = ()


def operation_report(target: Target, case: Case, threads: int, save: bool, advice: bool = True) -> Document:
    """Measure an operation, store the dispatcher's profile, and return the report.

    Parameters
    ----------
    target : Target
        What is profiled.
    case : Case
        The case of the ladder.
    threads : int
        Threads that the fast rungs and the paths may use.
    save : bool
        Whether the profile is stored.
    advice : bool
        Whether replacements of the training step's lines are tried out.

    Returns
    -------
    Document
        Exit code 1 if a result was wrong, or the profile could not be stored.

    Raises
    ------
    CommandError
        If a measuring process failed.
    """
    measured = _measure(target, case, threads, save, advice)
    saved, profile_error = _save(measured) if save else (None, None)
    selection.reload_profile()
    choices = explain_cases(measured.compared)
    peak = measured.run.machine["peak_gflops_per_core"]
    parts = (
        machine_section(measured.run.machine),
        ladder_section(target, case, measured.steps, threads, peak, measured.roof),
        kernels_section(measured.kernels, measured.kernels_reason),
        _allocations_section(measured),
        choices_section(measured.compared, choices, saved is not None, measured.roof),
        profile_section(saved, profile_error),
    )
    wrong = any(step.error for step in measured.steps) or any(one.errors for one in measured.compared)
    return Document(
        f"{target.op}: {case.name}, {threads_text(threads)}",
        parts,
        _data(measured, choices, saved, profile_error),
        exit_code=int(wrong or profile_error is not None),
    )


def _allocations_section(measured: OperationReport) -> Section:
    cost = measured.cost
    if isinstance(cost, TwinCost):
        return twins_section(measured.case, cost)
    return step_section(cost, measured.operations, measured.advised)


def measure_roof(dtype: str, threads: int, advance: Callable[[str], None]) -> Roof:
    """Measure what the caches, the memory and the arithmetic of this machine allow.

    Parameters
    ----------
    dtype : str
        Of the operands.
    threads : int
        Threads of the operation.
    advance : callable
        Told what begins.

    Returns
    -------
    Roof
        The roof.
    """
    levels = machine_levels()
    bandwidths = measure_bandwidths(levels, threads, fastest_mean, advance)
    return Roof(dtype, threads, measure_peak(dtype, threads), bandwidths, capacities(levels, threads))


def _measure(target: Target, case: Case, threads: int, save: bool, advice: bool) -> OperationReport:
    dtype = case.dtype
    described = machine.describe()
    ladder, paths = ladder_jobs(target, case), path_jobs(target, dtype, threads)
    with_step = target.op == "matmul"
    steps = len(ladder) + len(paths) + OTHER_STEPS + (int(advice) if with_step else len(machine_levels()) + 1)
    with progress_bar(f"report {target.op}", steps) as advance:
        advance("peak of one core")
        before = calibration.sample()
        described["peak_gflops_per_core"] = machine.measure_peak(dtype)
        try:
            collected = measure_launches([*ladder, *paths], threads, on_case=advance)
        except WorkerError as error:
            raise CommandError(str(error), exit_code=1) from error
        measured = collected.measurements
        advance("hits of the kernels' lines")
        traced, reason = _trace(target, dtype) if target.traced else ([], None)
        advance("time of the kernels' lines")
        kernels = kernel_lines(target, dtype, threads, traced)
        advance("allocations")
        cost: StepCost | TwinCost = measure_step(dtype) if with_step else measure_twins(case)
        advised: Advised | None = None
        notes: list[str] = []
        if with_step and advice:
            advance("advice on the training step")
            arguments = mlp_step.make_arguments(dtype)
            advised, notes = advise_on_step(
                lambda: mlp_step.mlp_step(*arguments), mlp_step.mlp_step.__code__.co_filename
            )
        operations, allocations = _count_step(dtype) if with_step else _count_call(case)
        roof = None if with_step else measure_roof(dtype, threads, advance)
        after = calibration.sample()
    settings = {"shapes": [list(shape) for shape in case.shapes], "dtype": dtype, "threads": threads}
    return OperationReport(
        target=target,
        case=case,
        threads=threads,
        run=Run(described, {**settings, "save": save}, tuple(measured)),
        steps=ladder_steps(target, case, measured[: len(ladder)]),
        kernels=kernels,
        kernels_reason=reason,
        cost=cost,
        roof=roof,
        operations=operations,
        allocations=allocations,
        compared=list(measured[len(ladder) :]),
        calibration={"before": before, "after": after},
        advised=advised,
        advice_notes=tuple(notes),
    )


def _trace(target: Target, dtype: str) -> tuple[list[FunctionLines], str | None]:
    """Return the hits of the traced twins, or none and the reason."""
    reason = why_untraceable()
    if reason is None:
        try:
            return count_lines(traced_functions(target), lambda: run_traced(target, dtype)), None
        except (ImportError, RuntimeError) as error:
            reason = str(error)
    return [], reason


def _count_call(case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what one call of the library computes and allocates in all."""
    loop = operation_loop(getattr(tensorops, case.op), case, case.operands(), case.results())
    loop(1)
    return _counted(lambda: loop(1))


def _count_step(dtype: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a training step computes and allocates in all."""
    arguments = mlp_step.make_arguments(dtype)
    return _counted(lambda: mlp_step.mlp_step(*arguments))


def _counted(call: Callable[[], object]) -> tuple[dict[str, Any], dict[str, Any]]:
    from ..collect.allocations import count_allocations
    from ..collect.operations import count_operations

    with count_operations() as operations, count_allocations() as allocations:
        call()
    counted = allocations.to_dict()
    return operations.to_dict(), {name: counted[name] for name in ALLOCATION_FIGURES}


def _save(measured: OperationReport) -> tuple[str | None, str | None]:
    """Return the profile's path, or None and why it was not written (None if that was the wish)."""
    if schema.profile_path() is None:
        return None, None
    hotspots = {kernel.path: kernel.hotspot for kernel in measured.kernels if kernel.path and kernel.hotspot}
    entries = tuple(path_entries(measured.compared, hotspots))
    try:
        return str(schema.save(schema.Profile(schema.fingerprint(), entries))), None
    except OSError as error:
        return None, f"{error.strerror or error}: {error.filename or schema.profile_path()}"


def _data(
    measured: OperationReport, choices: Sequence[Explanation], saved: str | None, profile_error: str | None
) -> dict[str, Any]:
    peak = measured.run.machine["peak_gflops_per_core"] * measured.threads
    notes = [] if measured.kernels_reason is None else [f"Hits were not counted: {measured.kernels_reason}."]
    notes += [
        f"{kernel.title}: {kernel.sampling['reason']}."
        for kernel in measured.kernels
        if "reason" in kernel.sampling
    ]
    notes += measured.advice_notes
    sampled = [kernel.sampling for kernel in measured.kernels if "reason" not in kernel.sampling]
    total: Callable[[str], Any] = lambda name: sum(one[name] for one in sampled)  # noqa: E731
    cost = measured.cost
    return {
        "schema": SCHEMA,
        "kind": "report",
        "target": {
            "kind": "operation",
            "name": measured.target.op,
            "arguments": {"case": measured.case.to_dict(), "threads": measured.threads},
        },
        "machine": dict(measured.run.machine),
        "lines": line_dicts(measured.kernels),
        "operations": measured.operations["operations"],
        "operations_complete": measured.operations["complete"],
        "allocations": measured.allocations,
        "calibration": measured.calibration,
        "sampling": {
            "interval": sampled[0]["interval"] if sampled else None,
            "seconds": total("seconds"),
            "samples": total("samples"),
            "lost": total("lost"),
            "calls": total("calls"),
        },
        "run": measured.run.to_dict(),
        "notes": notes,
        "ladder": [step.to_dict(peak) for step in measured.steps],
        "kernels": [
            {
                "title": kernel.title,
                "path": kernel.path,
                "hotspot": kernel.hotspot,
                "sampling": kernel.sampling,
            }
            for kernel in measured.kernels
        ],
        "step" if isinstance(cost, StepCost) else "twins": cost.to_dict(),
        "roof": None if measured.roof is None else measured.roof.to_dict(),
        "choices": [choice.to_dict() for choice in choices],
        "profile": saved,
        "profile_error": profile_error,
        **(advice_data(measured.advised) if isinstance(cost, StepCost) else {}),
    }
