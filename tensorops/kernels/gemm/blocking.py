"""Block sizes of the five loops, from the tile and the caches.

The rules follow Goto and van de Geijn: a KC x NR strip of B is read in order from L1 or L2 while A
streams past it, an MC x KC block of A stays in L2, a KC x NC panel of B stays in L3.
"""

from __future__ import annotations

from dataclasses import dataclass

# The panel of B is bounded whatever the caches claim: some machines report hundreds of MiB.
PANEL_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Blocking:
    """Rows, depth and columns of one block, in elements.

    Attributes
    ----------
    mc : int
        Rows of a packed block of A; a multiple of MR.
    kc : int
        Depth of both packed operands.
    nc : int
        Columns of a packed panel of B; a multiple of NR.
    """

    mc: int
    kc: int
    nc: int


def block_sizes(mr: int, nr: int, itemsize: int, l1: int, l2: int) -> Blocking:
    """Return the block sizes for one micro-kernel on one processor.

    Parameters
    ----------
    mr, nr : int
        The register tile, in elements.
    itemsize : int
        Bytes of one element.
    l1, l2 : int
        Bytes of a core's first and second level data caches.

    Returns
    -------
    Blocking
        Multiples of the tile, so that only the last block of a dimension is ragged.

    Examples
    --------
    >>> block_sizes(6, 16, 4, 32 << 10, 512 << 10)
    Blocking(mc=84, kc=512, nc=1024)
    """
    # A deeper block makes fewer passes over C, which gains more than a strip of B that overflows L1 loses:
    # the strip is read in order. The error does not depend on it, see LONGEST_RUN.
    kc = max(64, min(512, 2 * l1 // (nr * itemsize) // 8 * 8))
    # A third of L2 for the block of A.
    mc = max(mr, min(1024, l2 // 3 // (kc * itemsize)) // mr * mr)
    nc = max(nr, PANEL_BYTES // (kc * itemsize) // nr * nr)
    return Blocking(mc, kc, nc)
