"""The verb ``machine``: what this machine is, what it can do, and what disturbs measuring on it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import tensorops
from tensorops.runtime import cpu

from ..cases import DTYPES
from ..document import Block, Column, Document, Section, Table, bytes_text
from ..measure import machine
from ..model import counters, quiet
from ..model.geometry import machine_levels
from ..model.quiet import Finding
from ..progress import progress_bar
from . import _roofline_sections as roofline_sections
from ._base import Command
from .roofline import measure_roofs, thread_counts

SCHEMA = 1
_WRAPPED = (Column("found", "wrap"), Column("what to do", "wrap"))
MARKS = {"noisy": "disturbs", "quiet": "fine", "unknown": "unknown"}


class MachineCommand(Command):
    """Describe this machine, and say what disturbs measuring on it.

    Processor, caches, instruction sets, libraries, threads and the dispatcher's profile; with --measure
    also the arithmetic peak and what the caches and the memory deliver.
    """

    examples = (
        "machine",
        "machine --measure",
        "machine --json machine.json   # to keep beside results",
    )

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""
        parser.add_argument(
            "--measure",
            action="store_true",
            help="measure peaks and bandwidths by number of threads; takes a few seconds",
        )

    def run(self, arguments: argparse.Namespace) -> Document:
        """Look, measure if asked to, and return what was found."""
        described = machine.describe()
        configuration = tensorops.show_config("dict")
        levels = machine_levels()
        memory = quiet.memory()
        findings = quiet.findings()
        reason = counters.why_unavailable()
        data: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": "machine",
            "machine": described,
            "features": cpu.features(),
            "levels": [level.to_dict() for level in levels],
            "memory": memory,
            "configuration": configuration,
            "counters": reason is None,
            "counters_reason": reason,
            "noise": [finding.to_dict() for finding in findings],
        }
        parts = [
            _processor_section(described, configuration, memory, reason),
            roofline_sections.caches_section(levels),
            _software_section(described, configuration),
            _noise_section(findings),
        ]
        if arguments.measure:
            counts = thread_counts(described["cores"], 1)
            with progress_bar("machine", len(counts) * (len(levels) + 1 + len(DTYPES))) as advance:
                peaks, roofs = measure_roofs(levels, counts, DTYPES[0], advance)
            data["peak_gflops"] = {
                dtype: {str(count): rate for count, rate in rates.items()} for dtype, rates in peaks.items()
            }
            data["bandwidths"] = [found.to_dict() for roof in roofs for found in roof.bandwidths]
            parts.append(roofline_sections.roofs_section(roofs, peaks))
        return Document("machine", tuple(parts), data)


def _facts(rows: Sequence[tuple[str, str]]) -> Table:
    return Table((Column("part", "left"), Column("found", "wrap")), tuple(rows))


def _processor_section(
    described: Mapping[str, Any],
    configuration: Mapping[str, Any],
    memory: Mapping[str, int],
    reason: str | None,
) -> Section:
    isa = configuration["isa"]
    usable = [name for name, there in cpu.features().items() if there]
    lacking = quiet.hidden_features()
    rows = [
        ("processor", described["cpu"]),
        ("system", described["os"]),
        ("cores", f"{described['cores']} for this process"),
        ("instructions", ", ".join(usable) or "none beyond the baseline that the kernels ask for"),
        ("kernels", f"{isa['name']}: {isa['why']} (usable: {', '.join(isa['supported'])})"),
    ]
    if lacking:
        rows.append(("not usable", f"{', '.join(lacking)}: instructions are missing here"))
    if memory:
        text = f"{bytes_text(memory['total'])}, {bytes_text(memory['available'])} available"
        swap = f"; swap {bytes_text(memory['swap'])}" if memory.get("swap") else "; no swap"
        rows.append(("memory", text + swap))
    else:
        rows.append(("memory", "unknown: this system has no /proc/meminfo"))
    rows.append(("counters", "the processor's counters can be read" if reason is None else f"none: {reason}"))
    return Section("Processor and memory", (_facts(rows),))


def _software_section(described: Mapping[str, Any], configuration: Mapping[str, Any]) -> Section:
    rows = [
        (
            "Python",
            f"{described['python']}, NumPy {described['numpy']}, tensorops {configuration['version']}",
        ),
    ]
    for library in described["blas"]:
        architecture = f", kernels {library['architecture']}" if library["architecture"] else ""
        text = f"{library['name']} {library['version']}{architecture}, {library['threads']} threads"
        rows.append(("NumPy's BLAS", text))
    if not described["blas"]:
        rows.append(("NumPy's BLAS", "none was found in this process"))
    openmp = "OpenMP" if configuration["openmp"] else "built without OpenMP: the kernels use one thread"
    rows.append(("threads", f"{configuration['threads']} of {configuration['cores']} cores, {openmp}"))
    for dtype, kernel in configuration["kernels"].items():
        sizes = ", ".join(f"{name.upper()} {kernel[name]}" for name in ("mr", "nr", "mc", "kc", "nc"))
        rows.append((dtype, f"{kernel['name']}: {sizes}"))
    profile = configuration["profile"]
    if profile["path"] is None:
        rows.append(("profile", "switched off by TENSOROPS_PROFILE=none"))
    elif profile["entries"] is None:
        rows.append(("profile", f"none yet; python -m profiling report matmul writes {profile['path']}"))
    else:
        rows.append(("profile", f"{profile['entries']} measured calls in {profile['path']}"))
    for name, state in configuration["backends"].items():
        rows.append((f"backend {name}", "available" if state is None else f"not available: {state}"))
    for name, value in {**described["forced"], **configuration["environment"]}.items():
        rows.append((name, value))
    return Section("Libraries and kernels", (_facts(rows),))


def _noise_section(findings: Sequence[Finding]) -> Section:
    order = ("noisy", "unknown", "quiet")
    ordered = sorted(findings, key=lambda finding: order.index(finding.state))
    columns = (
        Column("part", "left"),
        Column("state", "left"),
        Column("found", "wrap"),
        Column("what to do", "wrap"),
    )
    rows = tuple((finding.topic, MARKS[finding.state], finding.found, finding.advice) for finding in ordered)
    noisy = sum(finding.state == "noisy" for finding in findings)
    blocks: list[Block] = [Table(columns, rows)] if rows else []
    if not rows:
        blocks.append("This system tells nothing about itself that could be judged.")
    elif noisy:
        blocks.append(
            f"{noisy} of these disturb{'s' * (noisy == 1)} measuring now. Ratios of contenders "
            "that take turns, as bench measures them, suffer less from it than times do."
        )
    return Section("Quiet enough to measure?", tuple(blocks))
