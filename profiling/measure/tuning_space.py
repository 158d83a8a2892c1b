"""The problems that a tune may measure: calls of an operation, spread over the logarithms of their sizes.

Points come from an additive recurrence, which fills a space evenly however many are taken of it, so a tune
that is cut short has seen a bit of everything, and two tunes measure the same first points.

References
----------
.. [1] M. Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from tensorops.operations import OPERATIONS

from ..cases import Case

Sizes = tuple[int, int, int, int]

LARGEST_BYTES = 48 * 2**20
"""Operands and result together: more tells nothing new and takes long to prepare."""

LARGEST_SIDE = 8192
WORK = (0.9, 8.5)
"""Multiply-adds of a product, as powers of ten."""

ELEMENTS = (1.0, 6.6)
"""Elements of an elementwise operation or of rows, as powers of ten."""

BATCHED = 0.12
TRANSPOSED = 0.25
"""Shares of batched products, and of products with a transposed operand."""

SPREAD = 4.0
"""Doublings over which the sizes of an operation are drawn about those of its examples."""

_DIMENSIONS = 6


def unit_points(start: int = 0, seed: float = 0.5) -> Iterator[tuple[float, ...]]:
    """Yield evenly spread points of the unit cube in six dimensions, without end.

    Parameters
    ----------
    start : int
        Number of the first point.
    seed : float
        Shifts the whole sequence.

    Yields
    ------
    tuple of float
        Coordinates from 0 to 1.

    Examples
    --------
    >>> [round(value, 3) for value in next(unit_points())]
    [0.399, 0.308, 0.226, 0.152, 0.086, 0.027]
    """
    # The positive root of x ** (d + 1) = x + 1 makes the powers of its inverse badly approximable.
    root = 1.5
    for _ in range(60):
        root = (1 + root) ** (1 / (_DIMENSIONS + 1))
    steps = [root ** -(place + 1) for place in range(_DIMENSIONS)]
    for number in itertools.count(start + 1):
        yield tuple((seed + number * step) % 1.0 for step in steps)


def _between(bounds: tuple[float, float], share: float) -> float:
    return 10 ** (bounds[0] + (bounds[1] - bounds[0]) * share)


def _product_sizes(point: Sequence[float]) -> Sizes:
    work = _between(WORK, point[0])
    count = 1
    if point[4] < BATCHED:
        count = round(2 ** (1 + 7 * point[4] / BATCHED))
        work = max(work / count, 1.0)
    # Two cuts divide the logarithm of the work among m, k and n.
    low, high = sorted(point[1:3])
    m, k, n = (min(LARGEST_SIDE, max(1, round(work**share))) for share in (low, high - low, 1.0 - high))
    return m, k, n, count


def _element_sizes(point: Sequence[float]) -> Sizes:
    elements = round(_between(ELEMENTS, point[0]))
    inner = 1
    if point[1] < TRANSPOSED:
        inner = max(1, min(elements, round(elements ** point[2])))
        elements = max(1, elements // inner) * inner
    return elements, inner, 1, 1


def _row_sizes(point: Sequence[float]) -> Sizes:
    elements = _between(ELEMENTS, point[0])
    columns = max(1, min(round(elements ** (0.15 + 0.7 * point[1])), 65536))
    return max(1, round(elements / columns)), columns, 1, 1


def _like_examples(op: str) -> Callable[[Sequence[float]], Sizes]:
    """Return sizes about those of the registry's examples, for a class that has no range of its own."""
    spec = OPERATIONS[op]
    params = dict(spec.example_params[0])
    examples = [spec.sizes(shapes, params) for shapes in spec.example_shapes]

    def draw(point: Sequence[float]) -> Sizes:
        example = examples[min(int(point[4] * len(examples)), len(examples) - 1)]
        a, b, c, d = (
            size if size == 1 else max(1, round(size * 2 ** (SPREAD * (share - 0.5))))
            for size, share in zip(example, point, strict=False)
        )
        return a, b, c, d

    return draw


_SIZES: Mapping[str, Callable[[Sequence[float]], Sizes]] = {
    "product": _product_sizes,
    "elementwise": _element_sizes,
    "rows": _row_sizes,
}


def cost_class(op: str) -> str:
    """Return the class of operations with which an operation shares a cost model.

    Parameters
    ----------
    op : str
        Name in the operation registry.

    Returns
    -------
    str
        Such as "product".

    Examples
    --------
    >>> cost_class("matmul")
    'product'
    """
    return OPERATIONS[op].cost_class


def problems(op: str, dtype: str, start: int = 0, seed: float = 0.5) -> Iterator[Case]:
    """Yield calls of an operation, evenly spread over the logarithms of its sizes, without end.

    Parameters
    ----------
    op : str
        Name in the operation registry.
    dtype : str
        Of all operands.
    start : int
        Number of the first point of the sequence.
    seed : float
        Shifts the whole sequence: other seeds give other problems.

    Yields
    ------
    Case
        Of moderate memory, with a few batches and transposed operands among products.

    Examples
    --------
    >>> next(problems("matmul", "float32")).op
    'matmul'
    """
    draw = _SIZES.get(cost_class(op)) or _like_examples(op)
    for point in unit_points(start, seed):
        try:
            case = case_of(op, dtype, draw(point), _layout(op, point[3]))
            fits = footprint(case) <= LARGEST_BYTES
        except ValueError:
            # Sizes that fit no call, such as a window larger than its images.
            continue
        if fits:
            yield case


def case_of(
    op: str, dtype: str, sizes: Sizes, layout: str = "", params: tuple[tuple[str, object], ...] = ()
) -> Case:
    """Return the call of an operation that has these sizes.

    Parameters
    ----------
    op : str
        Name in the operation registry.
    dtype : str
        Of all operands.
    sizes : tuple of four int
        As ``OpSpec.sizes``.
    layout : str
        Letters of the first operands; the others are as allocated.
    params : tuple of (str, object)
        Parameters of the call; by default the usual ones.

    Returns
    -------
    Case
        A case.

    Examples
    --------
    >>> case_of("matmul", "float32", (2, 3, 4, 1)).shapes
    ((2, 3), (3, 4))
    """
    params = params or tuple(sorted(OPERATIONS[op].example_params[0].items()))
    shapes = tuple(tuple(shape) for shape in OPERATIONS[op].shapes_of(sizes, dict(params)))
    return Case(op, dtype, shapes, layout.ljust(len(shapes), "C")[: len(shapes)], "", params)


def sizes_of(case: Case) -> Sizes:
    """Return the four sizes on which the time of a case depends.

    Parameters
    ----------
    case : Case
        Any case.

    Returns
    -------
    tuple of four int
        As ``OpSpec.sizes``.

    Examples
    --------
    >>> sizes_of(case_of("matmul", "float32", (2, 3, 4, 5)))
    (2, 3, 4, 5)
    """
    return OPERATIONS[case.op].sizes(case.shapes, dict(case.params))


def middle(first: Case, second: Case) -> Case:
    """Return the case half way between two of one operation, dtype and layout, on logarithmic axes.

    Parameters
    ----------
    first, second : Case
        Two cases.

    Returns
    -------
    Case
        Its sizes are the geometric means.

    Examples
    --------
    >>> middle(case_of("matmul", "float32", (2, 8, 4, 1)), case_of("matmul", "float32", (8, 8, 16, 1))).shapes
    ((4, 8), (8, 8))
    """
    pairs = zip(sizes_of(first), sizes_of(second), strict=True)
    a, b, c, d = (round(math.sqrt(low * high)) for low, high in pairs)
    return case_of(first.op, first.dtype, (a, b, c, d), first.layout, first.params)


def footprint(case: Case) -> int:
    """Return the bytes of all operands and of the result.

    Parameters
    ----------
    case : Case
        Any case.

    Returns
    -------
    int
        Bytes.

    Examples
    --------
    >>> footprint(case_of("matmul", "float32", (2, 2, 2, 1)))
    48
    """
    itemsize = 8 if case.dtype == "float64" else 4
    return OPERATIONS[case.op].bytes(case.shapes, itemsize, dict(case.params))


def _layout(op: str, share: float) -> str:
    if cost_class(op) != "product" or share >= TRANSPOSED:
        return ""
    return ("CF", "FC", "FF")[min(2, int(3 * share / TRANSPOSED))]
