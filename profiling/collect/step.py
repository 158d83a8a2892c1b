"""What each line of a small training step allocates, and where the process grows."""

from __future__ import annotations

import linecache
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import mlp_step
from .allocations import count_allocations
from .memory import resident_by_line


@dataclass(frozen=True, slots=True)
class StepLine:
    """One line of the step.

    Attributes
    ----------
    line : int
        Number of the line.
    count, bytes : int
        NumPy buffers it allocates, and their bytes; exact.
    peak : int
        Most bytes of these buffers alive at once.
    growth : int or None
        Bytes by which the process grew; None where memory_profiler did not see the line.
    source : str
        Text of the line.
    """

    line: int
    count: int
    bytes: int
    peak: int
    growth: int | None
    source: str


@dataclass(frozen=True, slots=True)
class StepCost:
    """The step, line by line and in total.

    Attributes
    ----------
    file : str
        Name of the source.
    lines : tuple of StepLine
        In the order of the source: lines that allocate or grow.
    count, bytes, peak : int
        Buffers, their bytes, and the most bytes alive at once.
    min_bytes : int
        Smaller buffers are not counted.
    memory_reason : str or None
        Why there is no resident memory, or None.
    """

    file: str
    lines: tuple[StepLine, ...]
    count: int
    bytes: int
    peak: int
    min_bytes: int
    memory_reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the cost as JSON-ready values."""
        return asdict(self)


def measure_step(dtype: str) -> StepCost:
    """Run the step once for the counter and once for memory_profiler.

    Parameters
    ----------
    dtype : str
        ``"float32"`` or ``"float64"``.

    Returns
    -------
    StepCost
        What each line costs.
    """
    filename = mlp_step.mlp_step.__code__.co_filename
    arguments = mlp_step.make_arguments(dtype)
    growth: dict[int, int] = {}
    reason = None
    try:
        # First, on a fresh heap: what the process has once grown to, a later run finds there.
        resident = resident_by_line(lambda: mlp_step.mlp_step(*arguments), [mlp_step.mlp_step])
        growth = {entry.line: entry.growth for entry in resident.lines}
        reason = " ".join(resident.notes) or None
    except (ImportError, RuntimeError) as error:
        reason = str(error)
    with count_allocations(lines=filename) as counter:
        mlp_step.mlp_step(*arguments)
    counted = {entry.line: entry for entry in counter.lines()}
    lines = []
    for number in sorted(counted.keys() | {line for line, size in growth.items() if size}):
        entry = counted.get(number)
        count, size, peak = (entry.count, entry.bytes, entry.peak) if entry else (0, 0, 0)
        source = linecache.getline(filename, number).strip()
        lines.append(StepLine(number, count, size, peak, growth.get(number), source))
    return StepCost(
        Path(filename).name,
        tuple(lines),
        counter.count,
        counter.bytes,
        counter.peak,
        counter.min_bytes,
        reason,
    )
