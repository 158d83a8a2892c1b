"""The section about what one call allocates: NumPy's form beside this library's."""

from __future__ import annotations

from ..cases import Case
from ..collect.twin import CallCost, TwinCost
from ..document import Block, Column, Section, Table, bytes_text


def twins_section(case: Case, cost: TwinCost) -> Section:
    """Return section 4: buffers of one call, line by line.

    Parameters
    ----------
    case : Case
        What was computed.
    cost : TwinCost
        What was counted.

    Returns
    -------
    Section
        NumPy's lines, and both totals.
    """
    title = f"4. Allocations of one call, {case.name}"
    totals = [("this library", cost.ours)]
    blocks: list[Block] = []
    if cost.lines:
        columns = (Column("line"), Column("buffers"), Column("bytes"), Column("source", "wrap"))
        rows = tuple((str(one.line), str(one.count), f"{one.bytes:,}", one.source) for one in cost.lines)
        blocks += [f"NumPy's form, {cost.file}:", Table(columns, rows)]
    if cost.numpy is not None:
        totals.insert(0, ("NumPy's form", cost.numpy))
    columns = (Column("", "left"), Column("buffers"), Column("bytes"), Column("alive at once"))
    blocks.append(Table(columns, tuple((name, *_cells(one)) for name, one in totals)))
    blocks.append(
        "Both are given the memory of the result where they take it. Buffers of 64 bytes or more; exact, by "
        "NumPy's allocation hook."
    )
    return Section(title, tuple(blocks))


def _cells(cost: CallCost) -> tuple[str, str, str]:
    return str(cost.count), f"{cost.bytes:,}", bytes_text(cost.peak)
