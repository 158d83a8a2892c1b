"""What one call allocates: NumPy's form of an operation, line by line, beside this library's."""

from __future__ import annotations

import linecache
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tensorops
from tensorops.operations import OPERATIONS

from ..cases import Case
from ..measure.libraries import operation_loop
from .allocations import AllocationCounter, count_allocations
from .step import StepLine


@dataclass(frozen=True, slots=True)
class CallCost:
    """Buffers of one call.

    Attributes
    ----------
    count, bytes, peak : int
        Buffers, their bytes, and the most bytes alive at once.
    """

    count: int
    bytes: int
    peak: int

    @classmethod
    def of(cls, counter: AllocationCounter) -> CallCost:
        """Return what was counted."""
        return cls(counter.count, counter.bytes, counter.peak)


@dataclass(frozen=True, slots=True)
class TwinCost:
    """One call of each form, both given the memory of the result.

    Attributes
    ----------
    file : str
        Source of NumPy's form; empty where it is one of NumPy's own functions, or there is none.
    lines : tuple of StepLine
        Its lines that allocate.
    numpy : CallCost or None
        Its total; None where there is no such form.
    ours : CallCost
        This library's total.
    """

    file: str
    lines: tuple[StepLine, ...]
    numpy: CallCost | None
    ours: CallCost

    def to_dict(self) -> dict[str, Any]:
        """Return the costs as JSON-ready values."""
        return asdict(self)


def measure_twins(case: Case) -> TwinCost:
    """Count what one call of each form allocates.

    Parameters
    ----------
    case : Case
        What is computed.

    Returns
    -------
    TwinCost
        Buffers of 64 bytes or more.

    Examples
    --------
    >>> found = measure_twins(Case("silu", "float32", ((1000,),), "C"))
    >>> found.ours.count, found.numpy.count > 0
    (0, True)
    """
    operands = case.operands()
    function = OPERATIONS[case.op].numpy_function()
    own = operation_loop(getattr(tensorops, case.op), case, operands, case.results())
    own(1)
    with count_allocations() as ours:
        own(1)
    if function is None:
        return TwinCost("", (), None, CallCost.of(ours))
    loop = operation_loop(function, case, operands, case.results(), twin=True)
    loop(1)
    code = getattr(function, "__code__", None)
    source = None if code is None else code.co_filename
    with count_allocations() if source is None else count_allocations(lines=source) as counter:
        loop(1)
    lines = []
    if source is not None:
        for entry in counter.lines():
            text = linecache.getline(source, entry.line).strip()
            lines.append(StepLine(entry.line, entry.count, entry.bytes, entry.peak, None, text))
    file = "" if source is None else Path(source).name
    return TwinCost(file, tuple(lines), CallCost.of(counter), CallCost.of(ours))
