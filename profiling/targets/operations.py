"""What can be profiled: for each operation its ladder, its traced functions, the cases of its profile."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from tensorops.backends import Call, usable_paths

from ..cases import Case, flops, product_case, square_case


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


PYTHON_LARGEST = 128
COMPILED_LARGEST = 1024
LOOPS_LARGEST_FLOPS = 2 * 64**3
"""Above this many flops nobody waits for compiled plain loops to be measured as a path."""


def profile_paths(case: Case, threads: int) -> tuple[str, ...]:
    """Return the paths that are worth measuring on a case.

    Parameters
    ----------
    case : Case
        What to compute.
    threads : int
        Threads of the call.

    Returns
    -------
    tuple of str
        Usable paths; pure Python never, the compiled plain loops only where the problem is small.

    Examples
    --------
    >>> "naive" in profile_paths(square_case(16, "float32"), 1)
    True
    >>> "naive" in profile_paths(square_case(512, "float32"), 1)
    False
    """
    call = Call.of(case.op, case.dtype, case.shapes, case.layout, dict(case.params), threads)
    slow = {"python"} if flops(case) <= LOOPS_LARGEST_FLOPS else {"python", "naive"}
    return tuple(path for path in usable_paths(call)[0] if path not in slow)


def _product_profile_cases(dtype: str) -> tuple[Case, ...]:
    squares = tuple(square_case(n, dtype) for n in (16, 64, 128, 512))
    return (*squares, product_case(64, 784, 128, dtype))


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "matmul": Target(
            op="matmul",
            default_size=512,
            smallest_size=16,
            largest_size=8192,
            case=square_case,
            ladder=(
                Rung(
                    "Python loops",
                    "path:python",
                    "three loops over Python numbers: the interpreter works far longer on each "
                    "multiplication than the processor does",
                    PYTHON_LARGEST,
                ),
                Rung(
                    "naive",
                    "ladder:naive",
                    "the same loops (i, j, k) compiled: no interpreter, but the inner loop jumps down a "
                    "column of B, a new cache line at each step",
                    COMPILED_LARGEST,
                ),
                Rung(
                    "reordered",
                    "ladder:reordered",
                    "loops exchanged (i, k, j): the inner loop walks along rows, so a cache line serves all "
                    "of its elements and the compiler can use vectors",
                    COMPILED_LARGEST,
                ),
                Rung(
                    "blocked",
                    "ladder:blocked",
                    "one block of B at a time, used by all rows of A while it is in the cache; nothing is "
                    "copied",
                    COMPILED_LARGEST,
                ),
                Rung(
                    "optimised",
                    "path:blocked/packed",
                    "panels packed in the order in which they are read, a tile of C kept in registers, fused "
                    "multiply-add on vectors",
                ),
                Rung("NumPy", "numpy", "the BLAS that NumPy was built with"),
            ),
            base="ladder:naive",
            traced=(
                TracedCall("ladder", "naive", "ladder:naive", path="naive"),
                TracedCall("ladder", "blocked", "ladder:blocked", options=(("block", 8),)),
            ),
            traced_size=64,
            sampled=(("blocked/small", 32), ("blocked/packed", 512)),
            profile_cases=_product_profile_cases,
        )
    }
)


def traced_functions(target: Target) -> list[Callable[..., Any]]:
    """Return the twins of a target's traced functions.

    Parameters
    ----------
    target : Target
        What is profiled.

    Returns
    -------
    list of callable
        In the order of ``target.traced``.
    """
    return [
        getattr(importlib.import_module(f"tensorops._traced.{call.module}"), call.function)
        for call in target.traced
    ]


def run_traced(target: Target, dtype: str) -> None:
    """Run a target's traced functions once each, at its traced size.

    Parameters
    ----------
    target : Target
        What is profiled.
    dtype : str
        Of the operands.
    """
    case = target.case(target.traced_size, dtype)
    operands = case.operands()
    out = np.empty((target.traced_size, target.traced_size), dtype)
    for call, function in zip(target.traced, traced_functions(target), strict=True):
        function(*operands, out, **dict(call.options))
