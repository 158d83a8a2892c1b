"""The section about one training step: what each of its lines allocates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..advice.advising import Advised
from ..collect.step import StepCost
from ..document import Block, Column, Section, Table, bytes_text
from ._report_advice import advice_section
from ._report_totals import operations_section


def step_section(cost: StepCost, operations: Mapping[str, Any], advised: Advised | None = None) -> Section:
    """Return section 4: what each line of the training step allocates.

    Parameters
    ----------
    cost : StepCost
        The step, line by line.
    operations : mapping
        What it computes, as ``OperationCounter.to_dict``.
    advised : profiling.advice.advising.Advised, optional
        What its lines had better be.

    Returns
    -------
    Section
        A table and the totals.
    """
    columns = (
        Column("line"),
        Column("buffers"),
        Column("bytes"),
        Column("process", optional=1),
        Column("source", "wrap"),
    )
    rows = []
    for entry in cost.lines:
        growth = "-" if entry.growth is None else f"{'+' * (entry.growth > 0)}{bytes_text(entry.growth)}"
        rows.append(
            (
                str(entry.line),
                str(entry.count),
                f"{entry.bytes:,}",
                growth if entry.growth else "-",
                entry.source,
            )
        )
    blocks: list[Block] = [Table(columns, tuple(rows))]
    blocks.append(
        f"In all {cost.count} buffers of {cost.min_bytes} bytes or more, {bytes_text(cost.bytes)}; at "
        f"most {bytes_text(cost.peak)} alive at once. The counts are exact, by NumPy's allocation hook."
    )
    if cost.memory_reason is None:
        blocks.append(
            "Process: growth of the resident set, by memory_profiler. It is counted in pages, and freed "
            "memory is used again, so it shows where a process grows and not what a line allocates."
        )
    else:
        blocks.append(f"No resident memory: {cost.memory_reason}.")
    blocks += operations_section("", operations, "the step", None).blocks
    advice = advice_section("", advised, "one step")
    if advice is not None:
        blocks += ["What this library does better than these lines:", *advice.blocks]
    return Section(f"4. Allocations of one training step, {cost.file}", tuple(blocks))
