"""What a report looks at of an operation: its ladder, its traced functions, the cases of its profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..cases import Case


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the ladder from plain loops to the fastest code.

    Attributes
    ----------
    title : str
        Name for people.
    contender : str
        Name for ``profiling.measure.contenders.get_library``.
    idea : str
        What it does that the rung before does not.
    largest : int or None
        Largest size it is measured at; its time at a larger one is extrapolated by the flops.
    """

    title: str
    contender: str
    idea: str
    largest: int | None = None


@dataclass(frozen=True, slots=True)
class TracedCall:
    """A compiled function whose lines are counted on its traced twin.

    Attributes
    ----------
    module : str
        Name of the source's module below ``tensorops.kernels`` and of the twin below ``tensorops._traced``.
    function : str
        Name of the function.
    contender : str
        The same function untraced, for ``profiling.measure.contenders.get_library``.
    path : str or None
        The dispatcher's path that it is; its hottest line is noted in the profile.
    options : tuple of (str, object)
        Keyword arguments beside the operands and the result.
    """

    module: str
    function: str
    contender: str
    path: str | None = None
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """One operation, as the report looks at it.

    Attributes
    ----------
    op : str
        Name in the operation registry.
    default_size, smallest_size, largest_size : int
        Sizes of the ladder.
    case : callable
        ``case(size, dtype) -> Case``.
    ladder : tuple of Rung
        From the slowest to the fastest; the base of the speed-ups is `base`.
    base : str
        Contender that speed-ups are relative to.
    traced : tuple of TracedCall
        Functions whose lines are counted.
    traced_size : int
        Size they are counted at: large enough for the loops to show, small enough for the tracer.
    sampled : tuple of (str, int)
        Paths whose lines get their time by sampling alone, and the size they run at.
    profile_cases : callable
        ``profile_cases(dtype) -> tuple of Case``: where the dispatcher's paths are measured.
    """

    op: str
    default_size: int
    smallest_size: int
    largest_size: int
    case: Callable[[int, str], Case]
    ladder: tuple[Rung, ...]
    base: str
    traced: tuple[TracedCall, ...]
    traced_size: int
    sampled: tuple[tuple[str, int], ...]
    profile_cases: Callable[[str], tuple[Case, ...]]
