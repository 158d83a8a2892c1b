"""Products whose operands touch pages that must not be read: a stray access ends the process.

``python -m tests.kernels.page_edges`` prints the number of products that it has computed.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap

import numpy as np

from tensorops.kernels.gemm.batched import matmul_into
from tests.kernels.operands import DTYPES, PACKING, Array, edge_sizes, selected_row, whole_numbers
from tests.kernels.oracles import wrong_numbers

PROT_NONE = 0


class FencedPage:
    """Readable memory between two pages that nobody may touch."""

    def __init__(self, size: int) -> None:
        page = mmap.PAGESIZE
        self._inside = -(-size // page) * page
        self._map = mmap.mmap(-1, self._inside + 2 * page)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        for fence in (address, address + page + self._inside):
            if libc.mprotect(ctypes.c_void_p(fence), ctypes.c_size_t(page), PROT_NONE):
                raise OSError(ctypes.get_errno(), "mprotect")
        self._bytes = np.frombuffer(self._map, np.uint8)[page : page + self._inside]

    def array(self, shape: tuple[int, int], dtype: str, *, at_the_end: bool, order: str) -> Array:
        """Return a matrix that begins where the memory begins, or ends where it ends."""
        size = shape[0] * shape[1] * np.dtype(dtype).itemsize
        part = self._bytes[-size:] if at_the_end else self._bytes[:size]
        line = part.view(dtype)
        return line.reshape(shape) if order == "C" else line.reshape(shape[::-1]).T


def main() -> None:
    """Put every operand at both edges of its memory."""
    rng = np.random.default_rng(0)
    pages = [FencedPage(1 << 17) for _ in range(3)]
    done = 0
    for dtype in DTYPES:
        sizes = edge_sizes(selected_row(dtype), 9)
        dims = [*itertools.product(sizes, repeat=3), (3, 17, 70), (70, 17, 3), (3, 67, 1), (66, 1, 67)]
        # Few rows and columns, each end of a row within a vector.
        dims += [(3, 133, 2), (5, 133, 6), (101, 3, 7), (7, 5, 101), (9, 2, 75), (75, 7, 9)]
        arrangements = itertools.cycle(itertools.product(PACKING, (True, False), "CF", "CF", "CF"))
        # Five at a time of the 48 arrangements: every size meets others of them.
        for (m, k, n), _ in itertools.product(dims, range(5)):
            pack, at_the_end, *orders = next(arrangements)
            a, b, out = (
                page.array(shape, dtype, at_the_end=at_the_end, order=order)
                for page, shape, order in zip(pages, [(m, k), (k, n), (m, n)], orders, strict=True)
            )
            a[...], b[...] = whole_numbers(rng, (m, k), dtype), whole_numbers(rng, (k, n), dtype)
            matmul_into(a, b, out, pack, 1)
            if wrong := wrong_numbers(out, a, b):
                raise SystemExit(wrong)
            done += 1
    print(done)


if __name__ == "__main__":
    main()
