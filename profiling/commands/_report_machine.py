"""The section about the machine, and words that several sections share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..document import Block, Section
from ..measure import machine


def threads_text(threads: int) -> str:
    """Return a number of threads in words.

    Parameters
    ----------
    threads : int
        At least 1.

    Returns
    -------
    str
        Number and noun.

    Examples
    --------
    >>> threads_text(1), threads_text(2)
    ('1 thread', '2 threads')
    """
    return f"{threads} thread{'s' * (threads != 1)}"


def machine_section(described: Mapping[str, Any]) -> Section:
    """Return section 1: the machine in a line.

    Parameters
    ----------
    described : mapping
        As ``profiling.measure.machine.describe``.

    Returns
    -------
    Section
        One paragraph, and a warning where something is forced.
    """
    blocks: list[Block] = [machine.one_line(described)]
    for values, text in (
        (described["forced"], "These force the rivals' kernels, so their figures are not their own"),
        (described["own"], "Set for this library"),
    ):
        if values:
            blocks.append(f"{text}: {', '.join(f'{name}={value}' for name, value in values.items())}.")
    load = described["load"]
    if load is not None and load > 0.5 * described["cores"]:
        blocks.append(f"The machine was busy (load {load}) when this began: expect wider intervals.")
    return Section("1. Machine", tuple(blocks))
