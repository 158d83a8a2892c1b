"""Matrices in every arrangement in memory, each inside a larger block that shows a stray access.

An operand lies among NaNs: a kernel that reads beside it returns NaN. A result lies among guard
values and holds NaN beforehand: one that is written beside, or not at all, shows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorops.kernels.gemm import family
from tensorops.kernels.table import KernelRow, family_rows

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

DTYPES = ("float32", "float64")
PACKING = ("auto", "never", "always")
THREADS = (1, 2, 3)
GUARD = 12345.0
_MARGIN = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """How a matrix lies in a larger block: the block's shape, and where in it the matrix is."""

    block: Callable[[int, int], Shape]
    carve: Callable[[Array, int, int], Array]


def _dense(block: Array, rows: int, columns: int) -> Array:
    return block[_MARGIN : _MARGIN + rows * columns].reshape(rows, columns)


def _window(block: Array, rows: int, columns: int) -> Array:
    return block[_MARGIN : _MARGIN + rows, _MARGIN : _MARGIN + columns]


def _every_other(block: Array, rows: int, columns: int) -> Array:
    return block[_MARGIN : _MARGIN + 2 * rows : 2, _MARGIN : _MARGIN + 3 * columns : 3]


def _around(rows: int, columns: int) -> Shape:
    return rows + 2 * _MARGIN, columns + 2 * _MARGIN


def _line(rows: int, columns: int) -> Shape:
    return (rows * columns + 2 * _MARGIN,)


def _wide(rows: int, columns: int) -> Shape:
    return 2 * rows + 2 * _MARGIN, 3 * columns + 2 * _MARGIN


def _turned(
    block: Callable[[int, int], Shape], carve: Callable[[Array, int, int], Array]
) -> tuple[Callable[[int, int], Shape], Callable[[Array, int, int], Array]]:
    return (lambda rows, columns: block(columns, rows)), (
        lambda base, rows, columns: carve(base, columns, rows).T
    )


LAYOUTS: dict[str, Layout] = {
    "C": Layout(_line, _dense),
    "F": Layout(*_turned(_line, _dense)),
    "C with gaps": Layout(_around, _window),
    "F with gaps": Layout(*_turned(_around, _window)),
    "strided": Layout(_wide, _every_other),
    "strided F": Layout(*_turned(_wide, _every_other)),
    "rows reversed": Layout(_around, lambda base, rows, columns: _window(base, rows, columns)[::-1]),
    "columns reversed": Layout(_around, lambda base, rows, columns: _window(base, rows, columns)[:, ::-1]),
    "both reversed F": Layout(
        *_turned(_around, lambda base, rows, columns: _window(base, rows, columns)[::-1, ::-1])
    ),
}
# Operands may also repeat a row or a column by a stride of zero; a result may not.
REPEATED: dict[str, Callable[[Array], Array]] = {
    "one row": lambda x: np.broadcast_to(x[:1], x.shape),
    "one column": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "one number": lambda x: np.broadcast_to(x[:1, :1], x.shape),
}
OPERAND_LAYOUTS = (*LAYOUTS, *REPEATED)


def arrange(values: Array, layout: str) -> Array:
    """Return a matrix with these values in a layout, NaN around it."""
    if layout in REPEATED:
        return REPEATED[layout](arrange(values, "C"))
    chosen = LAYOUTS[layout]
    view = chosen.carve(np.full(chosen.block(*values.shape), np.nan, values.dtype), *values.shape)
    view[...] = values
    return view


class Framed:
    """A result to be overwritten, and the memory around it."""

    def __init__(self, shape: tuple[int, int], dtype: str, layout: str) -> None:
        chosen = LAYOUTS[layout]
        self._block = np.full(chosen.block(*shape), GUARD, dtype)
        self._outside = np.ones(self._block.shape, bool)
        chosen.carve(self._outside, *shape)[...] = False
        self.out = chosen.carve(self._block, *shape)
        self.out[...] = np.nan

    def stray_writes(self) -> int:
        """Return how many guard values are no longer there."""
        return int(np.count_nonzero(self._block[self._outside] != GUARD))


def whole_numbers(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> Array:
    """Return small integers but 0: products and sums are exact, and no lost term is without effect."""
    magnitudes = rng.integers(1, 8, size=shape)
    return (magnitudes * rng.choice([-1, 1], size=shape)).astype(dtype)


def selected_row(dtype: str) -> KernelRow:
    """Return the row of the build table whose kernel computes a dtype now."""
    (row,) = (row for row in family_rows("products") if row.name == family.kernel_name(dtype))
    return row


def edge_sizes(row: KernelRow, kc: int) -> list[int]:
    """Return the sizes at which a loop over tiles or blocks begins, ends or is cut."""
    return sorted({1, row.mr - 1, row.mr, row.mr + 1, row.nr, row.nr + 1, 2 * row.nr + 3, kc + 1})


@contextmanager
def small_blocks(dtype: str, kc: int = 7) -> Iterator[int]:
    """Let the loops work on blocks of two tiles and a depth of `kc`, so that small products have many."""
    before = family.block_sizes_in_use(dtype)
    mr, nr = family.tile_shape(dtype)
    family.set_block_sizes(dtype, 2 * mr, kc, 2 * nr)
    try:
        yield kc
    finally:
        family.set_block_sizes(dtype, *before)


def rotation() -> Iterator[tuple[str, str, str]]:
    """Yield layouts of A, B and C without end, so that every triple comes up."""
    return itertools.cycle(itertools.product(OPERAND_LAYOUTS, OPERAND_LAYOUTS, LAYOUTS))
