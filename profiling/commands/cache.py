"""The verb ``cache``: which lines of the kernels miss the caches."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from ..cases import DTYPES, Case, flops, result_shape
from ..document import Document, Section
from ..measure import machine
from ..measure.contenders import get_library
from ..model import cachegrind, counters
from ..model.accesses import LoopNestError
from ..model.brim import brim_sentence
from ..model.cache import KernelMisses, TooManyAccessesError, kernel_program, ladder_kernels, simulate
from ..model.cachegrind import PACKED
from ..model.cachegrind_file import CachegrindError
from ..model.geometry import LEVEL_NAMES, CacheLevel, machine_levels, parse_level
from ..progress import progress_bar
from ..targets import TARGETS
from . import _cache_sections as sections
from ._base import Command, CommandError, nearest, whole_number
from ._cache_counts import Counted

SCHEMA = 1
DEFAULT_SIZE = 128
LARGEST_SIZE = 4096
PATIENCE = 60.0
"""Seconds that cachegrind may be expected to take before it has to be asked for."""


class CacheCommand(Command):
    """Count cache misses of the kernels of an operation's ladder, line by line.

    The accesses are read from the source of the kernels and simulated. Where valgrind is installed, its
    cachegrind counts the real instructions beside it, for the packed product too; where the processor has
    counters, they are read.
    """

    examples = (
        "cache matmul",
        "cache matmul --size 256 --dtype float64",
        "cache matmul --kernels blocked --block 16 --no-cachegrind",
        "cache matmul --l1 48K/12/64 --l2 2M/16/64 --l3 32M/16/64   # another processor",
        "cache matmul --html cache.html --json cache.json",
    )
    draws = True

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""
        known = ", ".join(name for name in TARGETS if ladder_kernels(name))
        parser.add_argument("target", metavar="TARGET", help=f"one of: {known}")
        parser.add_argument(
            "--size",
            type=whole_number(1, LARGEST_SIZE),
            default=DEFAULT_SIZE,
            metavar="N",
            help="rows and columns of the operands; default: %(default)s",
        )
        parser.add_argument("--dtype", choices=DTYPES, default="float32", help="default: %(default)s")
        parser.add_argument(
            "--kernels",
            nargs="+",
            metavar="KERNEL",
            help=f"some of the ladder's functions, and {PACKED} (cachegrind only); default: all",
        )
        parser.add_argument(
            "--block",
            type=whole_number(1, LARGEST_SIZE),
            metavar="N",
            help="block of the kernels that have one; default: the kernel's own",
        )
        for name in LEVEL_NAMES:
            parser.add_argument(
                f"--{name.lower()}",
                metavar="SIZE/WAYS/LINE",
                help=f"another {name} than this machine's, such as 32K/8/64",
            )
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--no-cachegrind", action="store_true", help="simulate only")
        group.add_argument(
            "--cachegrind",
            action="store_true",
            help=f"run cachegrind though it takes more than {PATIENCE:.0f} s; an error where it is missing",
        )

    def run(self, arguments: argparse.Namespace) -> Document:
        """Simulate and count, and return the tables."""
        kernels = self._kernels(arguments)
        plain = [kernel for kernel in kernels if kernel != PACKED]
        numbers = {} if arguments.block is None else {"block": arguments.block}
        levels = machine_geometry(arguments)
        case = TARGETS[arguments.target].case(arguments.size, arguments.dtype)
        reason = why_no_cachegrind(arguments, case, kernels)
        if reason and arguments.cachegrind:
            raise CommandError(f"--cachegrind: {reason}", exit_code=1)
        described = machine.describe()
        counted: Counted | None = None
        with progress_bar("cache", len(plain) + 2) as advance:
            found = [_simulated(kernel, case, levels, numbers, advance) for kernel in plain]
            brims = [brim_sentence(entry, case, levels, numbers) for entry in found]
            if reason is None:
                expected = cachegrind.expected_seconds(flops(case), kernels)
                advance(f"cachegrind, about {expected:.0f} s on a quiet machine")
                try:
                    counted = Counted.of(_with_numbers(kernels, case, numbers), case, levels, found)
                except CachegrindError as error:
                    if arguments.cachegrind:
                        raise CommandError(str(error), exit_code=1) from error
                    reason = str(error)
            advance("the processor's counters")
            native, missing = _count_natively(kernels, case)
        parts = [
            Section("Machine", (machine.one_line(described),)),
            sections.geometry_section(levels),
            *(
                [sections.summary_section(found, levels, case, [text for text in brims if text])]
                if found
                else []
            ),
            *(
                sections.listing_section(entry, levels, counted.lines[entry.kernel] if counted else None)
                for entry in found
            ),
            sections.cachegrind_section(found, counted, levels, reason),
            sections.counters_section(native, missing, tuple(counters.HARDWARE_EVENTS)),
        ]
        data = {
            "schema": SCHEMA,
            "kind": "cache",
            "target": {"kind": "operation", "name": arguments.target, "arguments": case.to_dict()},
            "machine": described,
            "levels": [level.to_dict() for level in levels],
            "kernels": [entry.to_dict() for entry in found],
            "cachegrind": counted.to_dict() if counted else None,
            "cachegrind_reason": reason,
            "counters": native,
            "counters_reasons": missing,
        }
        return Document(f"cache {arguments.target}: {case.name}", tuple(parts), data)

    def _kernels(self, arguments: argparse.Namespace) -> list[str]:
        known = [name for name in TARGETS if ladder_kernels(name)]
        if ":" in arguments.target:
            raise CommandError(
                f"{arguments.target!r}: misses are counted for the kernels of an operation "
                f"({', '.join(known)}). For a compiled function of your own: valgrind --tool=cachegrind "
                "--cache-sim=yes python SCRIPT, then cg_annotate"
            )
        if arguments.target not in known:
            hint = nearest(arguments.target, known)
            raise CommandError(f"unknown target {arguments.target!r}; known: {', '.join(known)}{hint}")
        functions = (*ladder_kernels(arguments.target), PACKED)
        chosen = list(dict.fromkeys(arguments.kernels or functions))
        for name in chosen:
            if name not in functions:
                raise CommandError(
                    f"unknown kernel {name!r}; known: {', '.join(functions)}{nearest(name, functions)}"
                )
        return chosen


def machine_geometry(arguments: argparse.Namespace) -> tuple[CacheLevel, ...]:
    """Return the caches to simulate: this machine's, with what the options change.

    Parameters
    ----------
    arguments : Namespace
        With `l1`, `l2` and `l3`, each text or None.

    Returns
    -------
    tuple of CacheLevel
        From the one nearest to the core.

    Raises
    ------
    CommandError
        If an option is not of the form, or the levels do not fit each other.
    """
    known = {level.name: level for level in machine_levels()}
    for name in LEVEL_NAMES:
        text = getattr(arguments, name.lower())
        if text is not None:
            try:
                known[name] = parse_level(name, text, known.get(name))
            except ValueError as error:
                raise CommandError(f"--{name.lower()}: {error}") from error
    levels = tuple(known[name] for name in LEVEL_NAMES if name in known)
    if len({level.line for level in levels}) > 1:
        found = ", ".join(f"{level.name} {level.line}" for level in levels)
        raise CommandError(f"the bytes of a line must be the same in all levels, got {found}")
    return levels


def why_no_cachegrind(arguments: argparse.Namespace, case: Case, kernels: Sequence[str]) -> str | None:
    """Return why cachegrind is not run, or None.

    Parameters
    ----------
    arguments : Namespace
        With the switches `cachegrind` and `no_cachegrind`.
    case : Case
        What would be computed.
    kernels : sequence of str
        What would be run.

    Returns
    -------
    str or None
        One sentence without a full stop.
    """
    if arguments.no_cachegrind:
        return "not run, because of --no-cachegrind"
    reason = cachegrind.why_unavailable()
    expected = cachegrind.expected_seconds(flops(case), kernels)
    if reason is None and expected > PATIENCE and not arguments.cachegrind:
        return f"not run, because it would take about {expected:.0f} s here; ask for it with --cachegrind"
    return reason


def _with_numbers(
    kernels: Sequence[str], case: Case, numbers: Mapping[str, int]
) -> dict[str, dict[str, int]]:
    """Return the kernels with those of the numbers that are parameters of theirs."""
    return {
        kernel: {}
        if kernel == PACKED
        else {
            name: value for name, value in numbers.items() if name in kernel_program(kernel, case)[0].defaults
        }
        for kernel in kernels
    }


def _simulated(
    kernel: str,
    case: Case,
    levels: Sequence[CacheLevel],
    numbers: Mapping[str, int],
    advance: Callable[[str], None],
) -> KernelMisses:
    advance(kernel)
    try:
        return simulate(kernel, case, levels, numbers)
    except TooManyAccessesError as error:
        raise CommandError(f"{error}; take a smaller --size") from error
    except (LoopNestError, OSError) as error:
        raise CommandError(str(error), exit_code=1) from error


def _count_natively(kernels: Sequence[str], case: Case) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """Count each kernel's events with the processor's own counters, after one call to warm up."""
    counts: dict[str, dict[str, int]] = {}
    missing = dict.fromkeys(counters.HARDWARE_EVENTS, counters.why_unavailable() or "")
    if any(missing.values()):
        return counts, missing
    operands = case.operands()
    out = np.empty(result_shape(case), case.dtype)
    reasons: dict[str, str] = {}
    for kernel in kernels:
        library = get_library("path:blocked/packed" if kernel == PACKED else f"ladder:{kernel}")
        library.set_threads(1)
        loop = library.loop(case, operands, out)
        loop(1)
        counts[kernel], lacking = counters.count_events(counters.HARDWARE_EVENTS, partial(loop, 1))
        reasons |= lacking
    return counts, reasons
