"""The verb ``compare``: what changed between two files."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..document import Document, Section
from ..measure import machine
from . import _compare_sections as sections
from ._base import Command, CommandError
from ._compare_files import Recording, read_recording
from ._compare_rows import compare
from ._compare_summary import summary_section

SCHEMA = 1
DIFFERENCES = ("kind of target differs", "target differs", "arguments differ")
SAME_MACHINE = ("cpu", "cores", "caches", "os")


def threshold(text: str) -> float:
    """Return a threshold such as ``5%`` or ``0.05``, for argparse.

    Parameters
    ----------
    text : str
        A percentage, or a fraction below 1.

    Returns
    -------
    float
        The fraction.

    Raises
    ------
    argparse.ArgumentTypeError
        For anything else.

    Examples
    --------
    >>> threshold("5%"), threshold("0.05")
    (0.05, 0.05)
    """
    number, percent = text.strip().removesuffix("%").strip(), text.strip().endswith("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = math.nan
    # A bare 5 may be meant as 5 %, and would pass everything as 500 %.
    if not 0 <= value < (math.inf if percent else 1):
        raise argparse.ArgumentTypeError(
            f"expected a percentage or a fraction, such as 5% or 0.05, got {text!r}"
        )
    return value


class CompareCommand(Command):
    """Compare two reports, benchmarks or runs: what got faster, slower or allocates more.

    Lines are matched by function and text, so moved lines are found again; times are compared with an
    interval that allows for the noise of sampling and for the machine's drift, which the calibration in
    each file or a rival measured in the same runs divides out; hits, allocations and operations are
    compared exactly.

    Exit codes: 0; 1 with --fail-above, if something is significantly slower by more than that, or if the
    number or the bytes of all allocations grew by more than that; 2 for files that cannot be compared.
    """

    examples = (
        "compare before.json after.json",
        "compare before.json after.json --fail-above 5%  # for continuous integration: exit code 1",
        "compare before.json after.json --all --html changes.html",
        "compare laptop.json server.json --force  # other machines: only the counts mean something",
    )

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""
        parser.add_argument("before", type=Path, metavar="BEFORE", help="what --json wrote the first time")
        parser.add_argument("after", type=Path, metavar="AFTER", help="what --json wrote the second time")
        parser.add_argument(
            "--fail-above",
            type=threshold,
            metavar="SHARE",
            help="end with exit code 1 if something got worse by more than this, such as 5%% or 0.05; "
            "default: only tell",
        )
        parser.add_argument("--all", action="store_true", help="list what did not change too")
        parser.add_argument(
            "--force", action="store_true", help="compare files of different machines all the same"
        )

    def run(self, arguments: argparse.Namespace) -> Document:
        """Read both files, and return what changed."""
        before, after = read_recording(arguments.before), read_recording(arguments.after)
        differing = _check(before, after, force=arguments.force)
        comparison = compare(before, after)
        if before.timings and after.timings and not comparison.timings and not after.lines:
            raise CommandError(
                f"{before.path} and {after.path} have no case in common (sizes, dtypes or thread counts "
                f"differ): {before.timings[0].name} ...; {after.timings[0].name} ..."
            )
        limit = arguments.fail_above
        failures = [] if limit is None else comparison.failures(limit)
        parts = [summary_section(before, after, comparison, failures, limit)]
        if comparison.timings:
            parts.append(sections.timings_section(comparison, every=arguments.all))
        if comparison.lines:
            parts.append(sections.lines_section(comparison, every=arguments.all))
        if before.kind == "report":
            parts.append(sections.counts_section(comparison))
        parts.append(_files_section(before, after, differing))
        data = {
            "schema": SCHEMA,
            "kind": "comparison",
            "before": str(before.path),
            "after": str(after.path),
            "other_machine": differing,
            "fail_above": limit,
            "failures": failures,
            **sections.comparison_data(comparison),
        }
        named = f"{before.target[0]} {before.target[1]}"
        return Document(f"compare {named}", tuple(parts), data, exit_code=int(bool(failures)))


def _check(before: Recording, after: Recording, *, force: bool) -> list[str]:
    """Refuse files that measure different things; return how the machines differ, if that was forced."""
    if before.kind != after.kind and "report" in (before.kind, after.kind):
        raise CommandError(
            f"{before.path} is a {before.kind} and {after.path} a {after.kind}: compare files of one kind"
        )
    for number, what in enumerate(DIFFERENCES[: len(before.target)]):
        if before.target[number] != after.target[number]:
            raise CommandError(
                f"the {what}: {before.target[number]} in {before.path}, {after.target[number]} in "
                f"{after.path}; measure the same target with the same arguments twice"
            )
    differing = [
        f"{name} {before.machine.get(name)} and {after.machine.get(name)}"
        for name in SAME_MACHINE
        if before.machine.get(name) != after.machine.get(name)
    ]
    if differing and not force:
        raise CommandError(
            f"the files come from different machines ({'; '.join(differing)}), so their times cannot be "
            "compared; --force compares them all the same"
        )
    return differing


def _files_section(before: Recording, after: Recording, differing: list[str]) -> Section:
    blocks = [f"Before: {before.path}. After: {after.path}."]
    if differing:
        blocks.append(f"DIFFERENT MACHINES: {'; '.join(differing)}. Times mean nothing; counts do.")
    described: Mapping[str, Any] = after.machine
    # A report of an unknown origin may lack some of it.
    if all(name in described for name in (*SAME_MACHINE, "isa", "blas", "python", "numpy")):
        blocks.append(f"Machine: {machine.one_line(described)}.")
    return Section("Files", tuple(blocks))
