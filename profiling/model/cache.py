"""Cache misses of the kernels, line by line: simulated, and in one form with what other tools count."""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..cases import Case, result_shape
from ..targets import TARGETS
from .accesses import Access, ArrayLayout, Program, arrange
from .cachegrind import LADDER_MODULE
from .geometry import CacheLevel
from .loop_nest import LoopNest
from .lru import Simulator, count_accesses

LADDER = "ladder"
MOST_ACCESSES = 4 * 10**9
"""About half a minute of simulating; beyond it the question is better asked at a smaller size."""


CLOCK_TICK = 1e-6
"""Shorter than any simulation; some systems' clocks of threads do not move in a short one."""


class TooManyAccessesError(ValueError):
    """A simulation that would take too long; the message says how many accesses are possible."""


@dataclass(frozen=True, slots=True)
class Site:
    """One access of the source, with what became of it.

    Attributes
    ----------
    access : Access
        Where and what.
    count : int
        How often it was made.
    misses : tuple of int
        By level, from the one nearest to the core.
    """

    access: Access
    count: int
    misses: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the site as JSON-ready values."""
        return {
            "line": self.access.line,
            "text": self.access.text,
            "write": self.access.is_write,
            "stride": self.access.stride,
            "accesses": self.count,
            "misses": list(self.misses),
        }


@dataclass(frozen=True, slots=True)
class KernelMisses:
    """One kernel on one case.

    Attributes
    ----------
    kernel : str
        Name of the function.
    path : Path
        Its file.
    first_line, last_line : int
        Where it stands.
    sites : tuple of Site
        In the order of the source.
    seconds : float
        Processor time of the simulation.
    """

    kernel: str
    path: Path
    first_line: int
    last_line: int
    sites: tuple[Site, ...]
    seconds: float

    @property
    def accesses(self) -> int:
        """Elements read and written."""
        return sum(site.count for site in self.sites)

    @property
    def misses(self) -> tuple[int, ...]:
        """Misses of each level."""
        return tuple(map(sum, zip(*(site.misses for site in self.sites), strict=True)))

    @property
    def by_line(self) -> dict[int, tuple[int, ...]]:
        """Accesses and misses of each level, by line of the file."""
        found: dict[int, tuple[int, ...]] = {}
        for site in self.sites:
            values = (site.count, *site.misses)
            before = found.get(site.access.line, (0,) * len(values))
            found[site.access.line] = tuple(map(sum, zip(before, values, strict=True)))
        return found

    @property
    def rate(self) -> float:
        """Accesses simulated per second."""
        return self.accesses / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready values."""
        return {
            "kernel": self.kernel,
            "file": self.path.name,
            "accesses": self.accesses,
            "misses": list(self.misses),
            "sites": [site.to_dict() for site in self.sites],
            "seconds": self.seconds,
            "accesses_per_second": self.rate,
        }


def ladder_kernels(op: str) -> tuple[str, ...]:
    """Return the functions of an operation's ladder whose accesses can be read from their source.

    Parameters
    ----------
    op : str
        A target of the report.

    Returns
    -------
    tuple of str
        From the slowest to the fastest; empty for an operation without a ladder of plain loops.

    Examples
    --------
    >>> ladder_kernels("matmul")
    ('naive', 'reordered', 'blocked')
    """
    parts = (rung.contender.partition(":") for rung in TARGETS[op].ladder)
    return tuple(function for kind, _, function in parts if kind == LADDER and function)


def ladder_path() -> Path:
    """Return the source of the ladder.

    Returns
    -------
    Path
        ``ladder.pyx``, which is installed beside the compiled module.

    Raises
    ------
    FileNotFoundError
        If the source was not installed.

    Examples
    --------
    >>> ladder_path().name
    'ladder.pyx'
    """
    module = importlib.import_module(LADDER_MODULE)
    path = Path(str(module.__file__)).with_name("ladder.pyx")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: the accesses are read from the source of the kernels")
    return path


def layouts_of(names: Sequence[str], case: Case) -> dict[str, ArrayLayout]:
    """Return where the operands and the result of a product lie in the simulated memory.

    Parameters
    ----------
    names : sequence of str
        Of the operands and the result, in order.
    case : Case
        A product of two matrices in C order.

    Returns
    -------
    dict of str to ArrayLayout
        One after the other, each from a page's beginning.

    Examples
    --------
    >>> from profiling.cases import square_case
    >>> layouts_of("abc", square_case(8, "float32"))["b"].address
    8192
    """
    itemsize = 4 if case.dtype == "float32" else 8
    return arrange(dict(zip(names, (*case.shapes, result_shape(case)), strict=True)), itemsize)


def kernel_program(
    kernel: str, case: Case, numbers: Mapping[str, int] = MappingProxyType({})
) -> tuple[LoopNest, Program]:
    """Return the accesses of one kernel of the ladder.

    Parameters
    ----------
    kernel : str
        One of `ladder_kernels`.
    case : Case
        A product of two matrices in C order.
    numbers : mapping of str to int
        Values of the kernel's own parameters, such as ``block``; those it has not are left out.

    Returns
    -------
    LoopNest
        The function.
    Program
        Its accesses, the operands and the result one after the other, each from a page's beginning.

    Raises
    ------
    LoopNestError
        If the source has more in it than can be followed.

    Examples
    --------
    >>> from profiling.cases import square_case
    >>> len(kernel_program("naive", square_case(8, "float32"))[1].accesses)
    3
    """
    nest = LoopNest(ladder_path(), kernel)
    own = {name: value for name, value in numbers.items() if name in nest.defaults}
    return nest, nest.program(layouts_of(nest.arrays, case), **own)


def simulate(
    kernel: str,
    case: Case,
    levels: Sequence[CacheLevel],
    numbers: Mapping[str, int] = MappingProxyType({}),
) -> KernelMisses:
    """Simulate one kernel on empty caches.

    Parameters
    ----------
    kernel : str
        One of `ladder_kernels`.
    case : Case
        A product of two matrices in C order.
    levels : sequence of CacheLevel
        With lines of the same length.
    numbers : mapping of str to int
        Values of the kernel's own parameters, such as ``block``; those it has not are left out.

    Returns
    -------
    KernelMisses
        By access of the source.

    Raises
    ------
    TooManyAccessesError
        For more than `MOST_ACCESSES`.
    ValueError
        For levels with lines of different lengths.
    LoopNestError
        If the source of the kernel cannot be followed.

    Examples
    --------
    A product of 8 by 8 fits into a cache of 32 KiB: each of its 12 lines is fetched once.

    >>> from profiling.cases import square_case
    >>> simulate("naive", square_case(8, "float32"), [CacheLevel("L1", 32768, 8, 64)]).misses
    (12,)
    """
    if len({level.line for level in levels}) != 1:
        found = ", ".join(level.text for level in levels)
        raise ValueError(f"all levels need lines of the same length, got {found}")
    nest, program = kernel_program(kernel, case, numbers)
    total = count_accesses(program.operations, program.forms)
    if total > MOST_ACCESSES:
        raise TooManyAccessesError(
            f"{kernel} on {case.name} makes {total:,} accesses; at most {MOST_ACCESSES:,} are simulated"
        )
    shape = [(level.sets, level.ways) for level in levels]
    simulator = Simulator(shape, levels[0].line, max(1, len(program.accesses)))
    # The processor's time of this thread: what others do meanwhile says nothing about the simulator.
    start = time.thread_time()
    simulator.run(program.operations, program.forms)
    seconds = max(time.thread_time() - start, CLOCK_TICK)
    counted = zip(program.accesses, simulator.counts(), strict=True)
    sites = tuple(Site(access, values[0], values[1:]) for access, values in counted)
    return KernelMisses(kernel, nest.path, nest.first_line, nest.last_line, sites, seconds)


def explain(found: KernelMisses, levels: Sequence[CacheLevel], itemsize: int, least_lines: int = 0) -> str:
    """Say in a sentence or two where the misses of a kernel come from.

    Parameters
    ----------
    found : KernelMisses
        Simulated.
    levels : sequence of CacheLevel
        The caches.
    itemsize : int
        Bytes of an element.
    least_lines : int
        Lines that operands and result take.

    Returns
    -------
    str
        The access that misses L1 most, how often, and why.

    Examples
    --------
    >>> from profiling.cases import square_case
    >>> levels = [CacheLevel("L1", 32768, 8, 64)]
    >>> explain(simulate("naive", square_case(128, "float32"), levels), levels, 4)[:43]
    'naive: most misses come from b[p, j] on lin'
    """
    first = levels[0]
    worst = max(found.sites, key=lambda site: site.misses[0])
    if found.misses[0] <= least_lines:
        return f"{found.kernel}: all that it uses fits {first.name}: each line is fetched once."
    share = worst.misses[0] / worst.count
    served = first.line // itemsize
    access = worst.access
    head = (
        f"{found.kernel}: most misses come from {access.text} on line {access.line}: {_percent(share)} of "
        f"its {worst.count:,} accesses miss {first.name}"
    )
    if abs(access.stride) >= first.line:
        reason = f". Its steps are {abs(access.stride):,} bytes apart, so each lands on another line"
        if share > 2 / served:
            return f"{head}{reason}, and that line is gone before its neighbours are needed."
        return f"{head}{reason}, but most lines are still there when their neighbours are needed."
    walk = f". It walks along its lines, each of which serves up to {served} accesses"
    if share > 0.7 / served:
        return f"{head}{walk}, and each is fetched anew every time that it comes by."
    return f"{head}{walk}, and most are still there from the time before."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 else f"{100 * share:.2g} %"


def heat(by_line: Mapping[int, Sequence[int]]) -> dict[int, float]:
    """Return how hot each line is: its share of the L1 misses of the line with the most.

    Parameters
    ----------
    by_line : mapping of int to sequence of int
        Accesses and misses, as `KernelMisses.by_line`.

    Returns
    -------
    dict of int to float
        From 0 to 1.

    Examples
    --------
    >>> heat({5: (10, 4), 7: (10, 1)})
    {5: 1.0, 7: 0.25}
    """
    most = max((values[1] for values in by_line.values()), default=0)
    return {line: values[1] / most if most else 0.0 for line, values in by_line.items()}
