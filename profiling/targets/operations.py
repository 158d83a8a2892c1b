"""What can be profiled: for each operation its ladder, its traced functions, the cases of its profile."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tensorops.backends import usable_paths, why_unknown_elsewhere
from tensorops.operations import OPERATIONS

from ..cases import Case, flops, product_case, square_case
from .ladder import Rung, Target, TracedCall
from .registered import registered_target

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
    slow = {"python"} if flops(case) <= LOOPS_LARGEST_FLOPS else {"python", "naive"}
    return tuple(
        path
        for path in usable_paths(case.call(threads))[0]
        if path not in slow and why_unknown_elsewhere(path) is None
    )


def unknown_elsewhere(case: Case, threads: int) -> dict[str, str]:
    """Return the paths that could compute a case, but cannot be measured, and why.

    Parameters
    ----------
    case : Case
        What to compute.
    threads : int
        Threads of the call.

    Returns
    -------
    dict of str to str
        Paths of backends that were registered in this process: the processes that measure do not know them.

    Examples
    --------
    >>> unknown_elsewhere(square_case(16, "float32"), 1)
    {}
    """
    reasons = {path: why_unknown_elsewhere(path) for path in usable_paths(case.call(threads))[0]}
    return {path: reason for path, reason in reasons.items() if reason is not None}


def _product_profile_cases(dtype: str) -> tuple[Case, ...]:
    squares = tuple(square_case(n, dtype) for n in (16, 64, 128, 512))
    return (*squares, product_case(64, 784, 128, dtype))


_OWN: Mapping[str, Target] = MappingProxyType(
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


TARGETS: Mapping[str, Target] = MappingProxyType(
    {op: _OWN[op] if op in _OWN else registered_target(op) for op in OPERATIONS}
)
"""One for every operation of the registry."""


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
    out = case.results()
    for call, function in zip(target.traced, traced_functions(target), strict=True):
        function(*operands, out, **dict(call.options))
