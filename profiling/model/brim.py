"""How much a kernel's misses hang on having a cache for itself.

A simulation gives the whole cache to the operands. The compiled code keeps a few lines of its stack there
too. Mostly they make no difference; where the operands alone fill the cache to the brim, they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from ..cases import Case
from .cache import KernelMisses, simulate
from .geometry import CacheLevel

WORTH_TELLING = 0.1
"""Growth of the misses, in a cache with one way less, from which a kernel is said to fill the cache."""


def brim_sentence(
    found: KernelMisses,
    case: Case,
    levels: Sequence[CacheLevel],
    numbers: Mapping[str, int] = MappingProxyType({}),
) -> str | None:
    """Say whether a kernel needs L1 for itself: whether it misses more where each set has one line less.

    Parameters
    ----------
    found : KernelMisses
        Simulated with L1 for itself.
    case : Case
        What was computed.
    levels : sequence of CacheLevel
        The caches.
    numbers : mapping of str to int
        As for `profiling.model.cache.simulate`.

    Returns
    -------
    str or None
        None where that makes no difference, or L1 has one way only.

    Examples
    --------
    >>> from profiling.cases import square_case
    >>> case, levels = square_case(128, "float32"), [CacheLevel("L1", 32768, 8, 64)]
    >>> brim_sentence(simulate("blocked", case, levels, {"block": 16}), case, levels, {"block": 16})
    >>> brim_sentence(simulate("blocked", case, levels), case, levels)[:29]
    'blocked fills L1 to the brim:'
    """
    first = levels[0]
    if first.ways < 2:
        return None
    smaller = replace(first, size=first.sets * (first.ways - 1) * first.line, ways=first.ways - 1)
    misses = simulate(found.kernel, case, (smaller,), numbers).misses[0]
    growth = misses / found.misses[0] - 1
    if growth < WORTH_TELLING:
        return None
    return (
        f"{found.kernel} fills {first.name} to the brim: what the compiled code keeps on its stack, which "
        "the source does not show, takes lines from it and costs more misses than these; cachegrind counts "
        "them."
    )
