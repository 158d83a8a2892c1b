"""The verb ``roofline``: operations under the measured limits of this machine."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from tensorops.operations import OPERATIONS
from tensorops.runtime import openmp

from ..cases import DTYPES, Case, example_case, flops, product_case, square_case
from ..document import Document, Section
from ..measure import machine
from ..measure.launches import Job, measure_launches
from ..measure.run import Measurement, Run
from ..measure.timer import Schedule
from ..measure.worker import WorkerError
from ..model import quiet
from ..model.geometry import CacheLevel, machine_levels
from ..model.roofline import Roof, capacities, fastest_mean, measure_bandwidths, measure_peak
from ..progress import progress_bar
from . import _roofline_sections as sections
from ._base import Command, CommandError, known_name, whole_number

SCHEMA = 1
SHORT = Schedule(sample_seconds=2e-3, blocks=4, min_blocks=1, budget_seconds=0.8)
"""For each case: several cases together show the shape, so each may be short."""

MATMUL_SQUARES = (64, 128, 256, 512, 1024, 2048)
MATMUL_LAYERS = ((1, 4096, 4096), (8, 1024, 4096), (64, 784, 128), (1024, 768, 3072), (100_000, 16, 16))


def _matmul_cases(dtype: str) -> tuple[Case, ...]:
    squares = tuple(square_case(n, dtype) for n in MATMUL_SQUARES)
    return (*squares, *(product_case(*sizes, dtype) for sizes in MATMUL_LAYERS))


CASES: dict[str, Callable[[str], tuple[Case, ...]]] = {"matmul": _matmul_cases}
"""Where an operation is placed by default; the examples of the registry for the others."""


class RooflineCommand(Command):
    """Place operations under the measured limits of this machine.

    Measures the arithmetic peak and what each level of caches and memory delivers, then the operations,
    and says how far each is from its roof and what the roof is made of.
    """

    examples = (
        "roofline matmul gelu",
        "roofline matmul --dtype float64 --threads 2",
        "roofline matmul --shapes 64x784,784x128 512x512,512x512",
        "roofline --html roofline.html --json roofline.json",
    )
    draws = True

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""
        parser.add_argument(
            "operations",
            nargs="*",
            type=known_name("operation", OPERATIONS),
            metavar="OPERATION",
            help=f"some of: {', '.join(OPERATIONS)}; default: {', '.join(CASES)}",
        )
        parser.add_argument(
            "--threads",
            type=whole_number(1, 1024),
            default=1,
            metavar="N",
            help="threads of the operations and of the roof above them; default: %(default)s",
        )
        parser.add_argument(
            "--dtype",
            type=known_name("dtype", DTYPES),
            default="float32",
            metavar="DTYPE",
            help=f"one of: {', '.join(DTYPES)}; default: %(default)s",
        )
        parser.add_argument(
            "--shapes",
            nargs="+",
            metavar="SHAPES",
            help="cases instead of the default ones, for one operation: the shapes of all operands, such as "
            "64x784,784x128",
        )

    def run(self, arguments: argparse.Namespace) -> Document:
        """Measure, and return tables and picture."""
        names = list(dict.fromkeys(arguments.operations)) or list(CASES)
        cases = self._cases(names, arguments)
        described = machine.describe()
        if arguments.threads > described["cores"]:
            raise CommandError(
                f"--threads {arguments.threads}: this process may use {described['cores']} "
                f"core{'s' * (described['cores'] != 1)}"
            )
        if arguments.threads > 1 and not openmp.enabled():
            raise CommandError(f"--threads {arguments.threads}: the kernels were built without OpenMP")
        levels = machine_levels()
        counts = thread_counts(described["cores"], arguments.threads)
        steps = len(cases) + len(counts) * (len(levels) + 1 + len(DTYPES))
        with progress_bar("roofline", steps) as advance:
            peaks, roofs = measure_roofs(levels, counts, arguments.dtype, advance)
            roof = next(found for found in roofs if found.threads == arguments.threads)
            try:
                collected = measure_launches(
                    [Job(case, (sections.OURS,), SHORT) for case in cases], arguments.threads, on_case=advance
                )
            except WorkerError as error:
                raise CommandError(str(error), exit_code=1) from error
        placed = [sections.Placed(entry, _place(entry, roof)) for entry in collected.measurements]
        data = {
            "schema": SCHEMA,
            "kind": "roofline",
            "levels": [level.to_dict() for level in levels],
            "peak_gflops": {
                dtype: {str(count): rate for count, rate in rates.items()} for dtype, rates in peaks.items()
            },
            "roofs": [found.to_dict() for found in roofs],
            "operations": [entry.to_dict() for entry in placed],
            "run": Run(described, _settings(arguments), tuple(collected.measurements)).to_dict(),
        }
        missing = sections.missing_levels(roof, [level.name for level in levels])
        busy = "; ".join(
            finding.found
            for finding in quiet.findings()
            if finding.topic in ("load", "waiting") and finding.state == "noisy"
        )
        busy = busy and f"A busy machine: {busy}. The figures below are lower than those of a quiet one."
        head = Section("Machine", tuple(filter(None, (machine.one_line(described), missing, busy))))
        picture = Section("Picture", (sections.roofline_figure(placed, roof),))
        parts = (
            head,
            sections.roofs_section(roofs, peaks),
            sections.places_section(placed, roof),
            picture,
        )
        wrong = any(entry.measurement.errors for entry in placed)
        title = f"roofline {' '.join(names)}: {arguments.dtype}, {sections.threads_text(arguments.threads)}"
        return Document(title, parts, data, exit_code=int(wrong))

    def _cases(self, names: Sequence[str], arguments: argparse.Namespace) -> list[Case]:
        if arguments.shapes is None:
            return [case for name in names for case in default_cases(name, arguments.dtype)]
        if len(names) != 1:
            raise CommandError(f"--shapes goes with one operation, not with {len(names)}: {', '.join(names)}")
        return [parse_case(names[0], text, arguments.dtype) for text in arguments.shapes]


def default_cases(name: str, dtype: str) -> tuple[Case, ...]:
    """Return the cases that an operation is placed with.

    Parameters
    ----------
    name : str
        Name in the operation registry.
    dtype : str
        Of the operands.

    Returns
    -------
    tuple of Case
        At least one.

    Examples
    --------
    >>> default_cases("matmul", "float32")[0].name
    '64x64x64 float32'
    >>> [case.shapes for case in default_cases("gelu", "float32")]
    [((1000,),), ((100000,),), ((4000000,),)]
    """
    if name in CASES:
        return CASES[name](dtype)
    return tuple(example_case(name, dtype, shapes) for shapes in OPERATIONS[name].example_shapes)


def parse_case(name: str, text: str, dtype: str) -> Case:
    """Return the case that an option's text means.

    Parameters
    ----------
    name : str
        Name in the operation registry.
    text : str
        Shapes of all operands: sizes joined by ``x``, operands by commas.
    dtype : str
        Of the operands.

    Returns
    -------
    Case
        Operands in C order.

    Raises
    ------
    CommandError
        If the text is not of this form, or the operation does not take such shapes.

    Examples
    --------
    >>> parse_case("matmul", "64x784,784x128", "float32").name
    '64x784x128 float32'
    """
    try:
        shapes = tuple(tuple(int(size) for size in part.split("x")) for part in text.split(","))
        if min(size for shape in shapes for size in shape) < 1:
            raise ValueError
    except ValueError:
        raise CommandError(f"--shapes {text}: expected such as 64x784,784x128") from None
    try:
        case = example_case(name, dtype, shapes)
        count = flops(case)
    except ValueError as error:
        raise CommandError(f"--shapes {text}: {error}") from error
    if not count:
        raise CommandError(f"--shapes {text}: {name} computes nothing there, so that it has no place")
    return case


def thread_counts(cores: int, wanted: int) -> list[int]:
    """Return the numbers of threads that a roof is measured for.

    Parameters
    ----------
    cores : int
        Cores that this process may use.
    wanted : int
        A number that must be among them.

    Returns
    -------
    list of int
        Powers of two, all cores, and `wanted`, in order; only 1 in a build without OpenMP.

    Examples
    --------
    >>> thread_counts(1, 1)
    [1]
    """
    if not openmp.enabled():
        return [1]
    powers = [1 << place for place in range(cores.bit_length())]
    return sorted({count for count in (*powers, cores, wanted) if count <= cores})


def measure_roofs(
    levels: Sequence[CacheLevel], counts: Sequence[int], dtype: str, advance: Callable[[str], None]
) -> tuple[dict[str, dict[int, float]], list[Roof]]:
    """Measure peaks and bandwidths.

    Parameters
    ----------
    levels : sequence of CacheLevel
        Caches of this machine.
    counts : sequence of int
        Numbers of threads.
    dtype : str
        Whose peak the roofs have.
    advance : callable
        Told what begins.

    Returns
    -------
    peaks : dict of str to dict of int to float
        GFLOP/s by dtype and threads.
    roofs : list of Roof
        One per number of threads.

    Raises
    ------
    CommandError
        If fewer threads take part than were asked for.
    """
    peaks: dict[str, dict[int, float]] = {name: {} for name in DTYPES}
    roofs = []
    for count in counts:
        for name in DTYPES:
            advance(f"{name}, {sections.threads_text(count)}")
            peaks[name][count] = measure_peak(name, count)
        try:
            bandwidths = measure_bandwidths(levels, count, fastest_mean, advance)
        except RuntimeError as error:
            raise CommandError(str(error), exit_code=1) from error
        roofs.append(Roof(dtype, count, peaks[dtype][count], bandwidths, capacities(levels, count)))
    return peaks, roofs


def _place(entry: Measurement, roof: Roof) -> Any:
    case = entry.case
    return roof.place(flops(case), sections.moved_bytes(case), entry.seconds(sections.OURS).estimate)


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    return {"dtype": arguments.dtype, "threads": arguments.threads, "shapes": arguments.shapes}
