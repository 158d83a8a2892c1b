"""Memory that the judge shares with one box: operands going in, one result coming out.

Both are sealed: their size can change no more (a file cut short would kill the judge that reads it),
and nobody but the judge can write the operands. The box maps the operands privately, so that a
kernel may scribble on them without reaching anybody else.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .inside.protocol import ALIGNMENT, MARGIN

Array = NDArray[Any]

SEAL_SEAL, SEAL_SHRINK, SEAL_GROW, SEAL_FUTURE_WRITE = 1, 2, 4, 16
GUARD = 0xA5


class Arena:
    """The judge's side of the memory.

    Parameters
    ----------
    input_bytes, output_bytes : int
        The most that a case needs.
    """

    def __init__(self, input_bytes: int, output_bytes: int) -> None:
        self._handles: list[int] = []
        # Operands are put apart by alignment; the result has a margin before and behind it.
        self._inputs = self._memory("operands", input_bytes + 64 * ALIGNMENT)
        self._outputs = self._memory("result", output_bytes + 2 * MARGIN)
        inputs, self.outputs = self._handles
        fcntl.fcntl(inputs, fcntl.F_ADD_SEALS, SEAL_SHRINK | SEAL_GROW | SEAL_FUTURE_WRITE | SEAL_SEAL)
        fcntl.fcntl(self.outputs, fcntl.F_ADD_SEALS, SEAL_SHRINK | SEAL_GROW | SEAL_SEAL)
        # The box gets a description of its own, opened for reading.
        self.inputs = os.open(f"/proc/self/fd/{inputs}", os.O_RDONLY | os.O_CLOEXEC)
        self._handles.append(self.inputs)
        self._views: list[Array] = []
        self._result: Array = np.empty(0, np.uint8)
        self._end = 0

    def _memory(self, name: str, size: int) -> mmap.mmap:
        handle = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._handles.append(handle)
        size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        os.ftruncate(handle, size)
        return mmap.mmap(handle, size)

    def arrange(self, operands: Sequence[Array], dtype: str, shape: Sequence[int]) -> dict[str, Any]:
        """Lay a case out and return what the box has to know.

        Parameters
        ----------
        operands : sequence of ndarray
            Their shapes and dtypes count; `write` copies the values.
        dtype : str
            Of the result.
        shape : sequence of int
            Of the result.

        Returns
        -------
        dict
            JSON-ready.
        """
        offset = 0
        inputs = []
        self._views = []
        for operand in operands:
            inputs.append([operand.dtype.name, list(operand.shape), offset])
            view = np.frombuffer(self._inputs, operand.dtype, operand.size, offset)
            self._views.append(view.reshape(operand.shape))
            offset += -(-operand.nbytes // ALIGNMENT) * ALIGNMENT
        count = math.prod(shape)
        flat = np.frombuffer(self._outputs, dtype, count, MARGIN)
        self._result = flat.reshape(shape)
        self._end = MARGIN + flat.nbytes
        return {"inputs": inputs, "output": [np.dtype(dtype).name, list(shape), MARGIN]}

    def write(self, operands: Sequence[Array]) -> None:
        """Give the operands new values, and make the result and its margins unusable."""
        for view, operand in zip(self._views, operands, strict=True):
            np.copyto(view, operand)
        self._result.fill(np.nan)
        for margin in self._margins():
            margin.fill(GUARD)

    def read(self) -> Array:
        """Return a copy of the result; the box must be stopped."""
        return self._result.copy()

    def margins_intact(self) -> bool:
        """Tell whether nothing was written before or behind the result."""
        return all(bool((margin == GUARD).all()) for margin in self._margins())

    def _margins(self) -> tuple[Array, Array]:
        before = np.frombuffer(self._outputs, np.uint8, MARGIN, 0)
        behind = np.frombuffer(self._outputs, np.uint8, MARGIN, self._end)
        return before, behind

    def close(self) -> None:
        """Give the memory back."""
        self._views, self._result = [], np.empty(0, np.uint8)
        for memory in (self._inputs, self._outputs):
            memory.close()
        for handle in self._handles:
            os.close(handle)
        self._handles = []
