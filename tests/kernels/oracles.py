"""What a product must be, and how far from it a result may lie."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from tensorops.kernels.gemm.batched import matmul_into
from tensorops.operations import OPERATIONS
from tests.kernels.operands import Array, Framed, arrange

SPEC = OPERATIONS["matmul"]
Kernel = Callable[[Array, Array, Array], object]


def wrong_numbers(result: Array, a: Array, b: Array) -> str | None:
    """Return where a product of whole numbers is not exact, or None if it is everywhere."""
    expected = SPEC.reference(a, b)
    # NaN differs from everything: an element that was never written counts.
    wrong = np.argwhere(~(result == expected))
    if not len(wrong):
        return None
    at = tuple(int(index) for index in wrong[0])
    return f"{len(wrong)} of {result.size} elements, first {at}: {result[at]} for {expected[at]}"


def too_far(result: Array, a: Array, b: Array, expected: Array | None = None) -> str | None:
    """Return where a product is outside the documented bound, or None if it is within everywhere."""
    expected = SPEC.reference(a, b) if expected is None else expected
    distance = np.abs(result.astype(np.float64) - expected)
    wrong = np.argwhere(~(distance <= SPEC.error_bound(a, b)))
    if not len(wrong):
        return None
    at = tuple(int(index) for index in wrong[0])
    return f"{len(wrong)} of {result.size} elements, first {at}: {result[at]!r} for {expected[at]!r}"


def exact_product(a: Array, b: Array) -> Array:
    """Return a product in rational arithmetic, each element rounded once, to float64."""
    rows = [[Fraction(float(x)) for x in line] for line in a]
    columns = [[Fraction(float(x)) for x in line] for line in b.T]
    return np.array([[float(sum(map(Fraction.__mul__, row, column))) for column in columns] for row in rows])


def gemm(pack: str, threads: int) -> Kernel:
    """Return the packed kernels' entry with its choices made."""
    return lambda a, b, out: matmul_into(a, b, out, pack, threads)


def failure(kernel: Kernel, a: Array, b: Array, layouts: tuple[str, str, str]) -> str | None:
    """Run a kernel on whole numbers in given layouts; return what is wrong, or None."""
    left, right = arrange(a, layouts[0]), arrange(b, layouts[1])
    kept = left.copy(), right.copy()
    framed = Framed((a.shape[0], b.shape[1]), a.dtype.name, layouts[2])
    kernel(left, right, framed.out)
    what = wrong_numbers(framed.out, left, right)
    if what is None and framed.stray_writes():
        what = f"{framed.stray_writes()} writes beside the result"
    if what is None and not (np.array_equal(left, kept[0]) and np.array_equal(right, kept[1])):
        what = "an operand was changed"
    return what and f"{a.shape} @ {b.shape} {a.dtype}, layouts {layouts}: {what}"
