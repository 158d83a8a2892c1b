"""The function ``profiling.bench``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

from ..measure.callables import Check
from .callables import CallablePlan
from .operations import OperationPlan
from .plan import Against, Effort, Plan
from .result import BenchResult, BenchSeries


@overload
def bench(
    function: Callable[..., Any] | str,
    /,
    *args: Any,
    against: Against | None = None,
    setup: Callable[[], Any] | None = None,
    threads: int | None = None,
    blocks: int = 50,
    budget_seconds: float = 5.0,
    launches: int = 1,
    verify: Check | bool | None = None,
    name: str | None = None,
    shapes: int | Sequence[Sequence[int]] | None = None,
    dtype: str | None = None,
) -> BenchResult: ...
@overload
def bench(
    function: Callable[..., Any] | str,
    /,
    *args: Any,
    against: Against | None = None,
    setup: Callable[[], Any] | None = None,
    threads: Sequence[int],
    blocks: int = 50,
    budget_seconds: float = 5.0,
    launches: int = 1,
    verify: Check | bool | None = None,
    name: str | None = None,
    shapes: int | Sequence[Sequence[int]] | None = None,
    dtype: str | None = None,
) -> BenchSeries: ...
def bench(
    function: Callable[..., Any] | str,
    /,
    *args: Any,
    against: Against | None = None,
    setup: Callable[[], Any] | None = None,
    threads: int | Sequence[int] | None = None,
    blocks: int = 50,
    budget_seconds: float = 5.0,
    launches: int = 1,
    verify: Check | bool | None = None,
    name: str | None = None,
    shapes: int | Sequence[Sequence[int]] | None = None,
    dtype: str | None = None,
) -> BenchResult | BenchSeries:
    """Time a callable, or an operation of tensorops by name, beside others.

    The contenders take turns (A B B A), each sample repeats the call until it is long enough for the
    clock, and what is estimated is the ratio of their times, with an interval. All samples are kept.

    Parameters
    ----------
    function : callable or str
        What is timed; or the name of an operation, such as ``"matmul"``.
    *args : object
        Positional arguments of every call, the same objects each time and for every contender.
    against : mapping of str to callable, sequence of callable, or sequence of str, optional
        The others, called with the same arguments. For an operation the names of libraries: "numpy",
        "torch"; by default "numpy".
    setup : callable, optional
        Called without arguments once for each contender and launch; the tuple it returns is used as the
        arguments instead of `args` (anything else is one argument). For functions that change theirs.
    threads : int or sequence of int, optional
        Threads of BLAS, OpenMP, tensorops and PyTorch while this runs. A sequence gives a result for each
        count. By default an operation runs on 1 thread, a callable with what is set.
    blocks : int
        Blocks of four samples of each contender in a launch, if the budget allows.
    budget_seconds : float
        All launches of one thread count together; no sample is begun that would probably end later. A
        single call that is longer still runs once.
    launches : int
        Times to begin anew. An operation is measured in new processes each time; callables stay in this
        process, with new arguments from `setup`.
    verify : callable or True, optional
        ``verify(result)`` judges one result of each contender: True or None is right, False or a sentence
        wrong. True compares with the first contender's: numbers within rounding, all else with ``==``. A
        wrong contender is timed, marked and listed in ``errors``. Operations are always verified.
    name : str, optional
        Name of the first contender; by default its own.
    shapes : int or sequence of sequence of int, optional
        For an operation: shapes of the operands, or the size of a square case.
    dtype : str, optional
        For an operation: "float32" (the default) or "float64".

    Returns
    -------
    BenchResult or BenchSeries
        A series for several thread counts.

    Raises
    ------
    TypeError
        For what cannot be called, for generator and coroutine functions, and for arguments that belong to
        the other kind of benchmark.
    ValueError
        For an unknown operation or library, for two contenders of the same name, and for numbers out of
        range.
    Interrupted
        On Ctrl-C; ``error.result`` holds what was measured. It is a KeyboardInterrupt.
    Exception
        What a callable raises, with a note that says which.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.arange(1000.0)
    >>> result = bench(np.sum, values, against={"python": sum}, blocks=2, verify=True)
    >>> result.contenders, result.errors
    (('sum', 'python'), {})
    >>> ratio = result.ratio("python")
    >>> ratio.low <= ratio.estimate <= ratio.high
    True
    """
    counts = list(threads) if isinstance(threads, Sequence) else [threads]
    if not counts or any(count is not None and count < 1 for count in counts):
        raise ValueError(f"threads must be at least 1, or None to leave them as they are; got {threads!r}")
    if blocks < 1 or launches < 1 or not budget_seconds > 0:
        given = f"blocks={blocks}, launches={launches}, budget_seconds={budget_seconds}"
        raise ValueError(f"blocks and launches must be at least 1, the budget above 0 seconds; got {given}")
    effort = Effort(blocks, budget_seconds, launches)
    plan: Plan
    if isinstance(function, str):
        if args or setup is not None or name is not None or callable(verify):
            raise TypeError(
                f"{function!r} names an operation, which has operands, verification and a name of its own: "
                "give shapes= and dtype=, not arguments, setup=, name= or a callable verify="
            )
        plan = OperationPlan.of(function, against, shapes, dtype or "float32", effort)
    else:
        if shapes is not None or dtype is not None:
            raise TypeError("shapes= and dtype= belong to operations by name; give a callable its arguments")
        plan = CallablePlan.of(function, args, against, setup, verify, name, effort)
    results = tuple(plan.measure(count) for count in counts)
    return BenchSeries(results) if isinstance(threads, Sequence) else results[0]
