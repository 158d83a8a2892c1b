"""One problem: an operation on operands of given shapes, dtype and layout, and how it is made."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorops.backends.base import PRODUCTS, Call
from tensorops.dispatch.records import Entry
from tensorops.operations import OPERATIONS, OpSpec

from .steps import STEPS

Shape = tuple[int, ...]
Results = NDArray[Any] | tuple[NDArray[Any], ...]
DTYPES = ("float32", "float64")
LARGEST_VALUE = 8
"""Operands of products hold integers of at most this size."""
SPECS: Mapping[str, OpSpec] = ChainMap(OPERATIONS, STEPS)
"""What a case may name: every operation of the registry, and whole training steps."""


@dataclass(frozen=True, slots=True)
class Case:
    """One problem: an operation on operands of given shapes, dtype and memory layout.

    Attributes
    ----------
    op : str
        Name in `SPECS`.
    dtype : str
        ``"float32"`` or ``"float64"``, of all operands.
    shapes : tuple of tuple of int
        Shape of each operand.
    layout : str
        One letter per operand: ``C`` as allocated, ``F`` with the last two axes transposed in memory, ``S``
        with every other element of the last axis of a larger array.
    group : str
        Group it is summarised in.
    params : tuple of (str, object)
        Parameters of the call beside the operands, sorted by name.
    """

    op: str
    dtype: str
    shapes: tuple[Shape, ...]
    layout: str = "CC"
    group: str = field(default="", compare=False)
    params: tuple[tuple[str, object], ...] = ()

    def __post_init__(self) -> None:
        """Check dtype and layout."""
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {self.dtype!r}")
        if len(self.layout) != len(self.shapes) or set(self.layout) - set("CFS"):
            raise ValueError(f"layout needs one letter C, F or S per operand, got {self.layout!r}")

    @property
    def name(self) -> str:
        """Short name: sizes, dtype and, where an operand is transposed, the layout.

        Examples
        --------
        >>> square_case(128, "float32", "FC").name
        '128x128x128 float32 FC'
        >>> Case("matmul", "float64", ((12, 128, 64), (12, 64, 128))).name
        '12x(128x64x128) float64'
        """
        if self.op == "matmul" and min(map(len, self.shapes)) > 1:
            (*batch, m, k), n = self.shapes[0], self.shapes[1][-1]
            core = f"{m}x{k}x{n}"
            sizes = f"{'x'.join(map(str, batch))}x({core})" if batch else core
        else:
            sizes = ", ".join("x".join(map(str, shape)) for shape in self.shapes)
        params = [f"{name}={value}" for name, value in self.params]
        return " ".join([sizes, self.dtype, *params] + [self.layout] * (set(self.layout) != {"C"}))

    def operands(self, seed: int = 0) -> tuple[NDArray[Any], ...]:
        """Return fresh operands: of products small integers, else normally distributed, or what is valid.

        Parameters
        ----------
        seed : int
            Seed of the generator.

        Returns
        -------
        tuple of ndarray
            One per shape, of the case's dtype, with the case's layout; as allocated where the operation asks
            for operands of its own.

        Examples
        --------
        >>> a, b = square_case(4, "float32", "CF").operands()
        >>> a.flags.c_contiguous, b.flags.c_contiguous, b.dtype
        (True, False, dtype('float32'))
        """
        rng = np.random.default_rng(seed)
        spec = SPECS.get(self.op)
        if spec is not None and spec.operands is not None:
            return tuple(spec.operands(self.shapes, self.dtype, rng, dict(self.params)))
        arrays = []
        exact = spec is None or spec.cost_class == PRODUCTS
        for shape, order in zip(self.shapes, self.layout, strict=True):
            stored = shape
            if order == "F":
                stored = (*shape[:-2], *reversed(shape[-2:]))
            elif order == "S":
                stored = (*shape[:-1], 2 * shape[-1])
            values: NDArray[Any] = (
                rng.integers(-LARGEST_VALUE, LARGEST_VALUE, size=stored, endpoint=True)
                if exact
                else rng.standard_normal(stored, np.float32)
            ).astype(self.dtype)
            if order == "F":
                values = values.T if len(shape) < 2 else np.swapaxes(values, -1, -2)
            arrays.append(values[..., ::2] if order == "S" else values)
        return tuple(arrays)

    def results(self) -> Results:
        """Return memory for the result, filled with NaN.

        Returns
        -------
        ndarray or tuple of ndarray
            An array for each result; of an operation in place, of the shapes of what it changes.

        Examples
        --------
        >>> Case("matmul", "float32", ((2, 3), (3, 4))).results().shape
        (2, 4)
        """
        spec = SPECS[self.op]
        shapes = spec.out_shape(self.shapes, dict(self.params))
        if spec.outputs > 1:
            return tuple(np.full(shape, np.nan, self.dtype) for shape in shapes)
        return np.full(shapes, np.nan, self.dtype)

    def call(self, threads: int) -> Call:
        """Return the case as the dispatcher sees it.

        Parameters
        ----------
        threads : int
            Threads that it may use.

        Returns
        -------
        Call
            Without the parameters that decide nothing.

        Examples
        --------
        >>> square_case(2, "float64").call(1).layout
        'CC'
        """
        return Call.of(self.op, self.dtype, self.shapes, self.layout, dict(self.params), threads)

    def to_dict(self) -> dict[str, Any]:
        """Return the case as JSON-ready values."""
        return {
            "op": self.op,
            "dtype": self.dtype,
            "shapes": [list(shape) for shape in self.shapes],
            "layout": self.layout,
            "group": self.group,
            "params": dict(self.params),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Case:
        """Return the case that `to_dict` wrote."""
        shapes = tuple(tuple(shape) for shape in values["shapes"])
        params = tuple(
            sorted(
                (name, tuple(value) if isinstance(value, list) else value)
                for name, value in values.get("params", {}).items()
            )
        )
        return cls(values["op"], values["dtype"], shapes, values["layout"], values["group"], params)


def product_case(m: int, k: int, n: int, dtype: str, layout: str = "CC", batch: Shape = ()) -> Case:
    """Return the product of (m, k) and (k, n), for every element of a batch.

    Parameters
    ----------
    m, k, n : int
        Sizes.
    dtype : str
        Of both operands.
    layout : str
        One letter per operand.
    batch : tuple of int
        Leading axes of both operands.

    Returns
    -------
    Case
        A product.

    Examples
    --------
    >>> product_case(64, 784, 128, "float32").name
    '64x784x128 float32'
    """
    return Case("matmul", dtype, ((*batch, m, k), (*batch, k, n)), layout)


def square_case(n: int, dtype: str, layout: str = "CC") -> Case:
    """Return the product of two (n, n) matrices.

    Parameters
    ----------
    n : int
        Size.
    dtype : str
        Of both operands.
    layout : str
        One letter per operand.

    Returns
    -------
    Case
        A product.

    Examples
    --------
    >>> square_case(2, "float64").shapes
    ((2, 2), (2, 2))
    """
    return product_case(n, n, n, dtype, layout)


def example_case(
    op: str,
    dtype: str,
    shapes: Sequence[Shape] | None = None,
    layout: str = "",
    **params: Any,
) -> Case:
    """Return a call of an operation with its usual parameters.

    Parameters
    ----------
    op : str
        Name in the operation registry.
    dtype : str
        Of the operands.
    shapes : sequence of tuple of int, optional
        Shapes of the operands; by default those of the largest example of the registry.
    layout : str
        Letters of the first operands; the others are as allocated.
    **params : object
        Parameters that differ from the usual ones.

    Returns
    -------
    Case
        A case.

    Examples
    --------
    >>> example_case("clip", "float32", ((5,),)).params
    (('high', 1.0), ('low', -1.0))
    """
    spec = SPECS[op]
    chosen = tuple(tuple(shape) for shape in (spec.example_shapes[-1] if shapes is None else shapes))
    letters = layout.ljust(len(chosen), "C")[: len(chosen)]
    return Case(op, dtype, chosen, letters, "", tuple(sorted({**spec.example_params[0], **params}.items())))


def case_of_entry(entry: Entry) -> Case:
    """Return the case that an entry of the profile was measured on.

    Parameters
    ----------
    entry : Entry
        An entry.

    Returns
    -------
    Case
        The same call; parameters that decide nothing have their usual values.

    Examples
    --------
    >>> from tensorops.dispatch.records import Entry
    >>> case_of_entry(Entry("matmul", "float32", ((2, 3), (3, 4)))).name
    '2x3x4 float32'
    """
    usual = OPERATIONS[entry.op].example_params[0] if entry.op in OPERATIONS else {}
    params = tuple(sorted({**usual, **dict(entry.params)}.items()))
    return Case(entry.op, entry.dtype, entry.shapes, entry.layout, "", params)


def result_shape(case: Case) -> Shape:
    """Return the shape of a case's result.

    Parameters
    ----------
    case : Case
        Any case.

    Returns
    -------
    tuple of int
        For a product batch axes, rows, columns.

    Examples
    --------
    >>> result_shape(product_case(2, 3, 4, "float32", batch=(5,)))
    (5, 2, 4)
    """
    shape: tuple[int, ...] = SPECS[case.op].out_shape(case.shapes, dict(case.params))
    return shape


def flops(case: Case) -> int:
    """Return the floating-point operations of a case, as the operation registry counts them.

    Parameters
    ----------
    case : Case
        Any case.

    Returns
    -------
    int
        For a product 2 * batch * m * k * n.

    Examples
    --------
    >>> flops(square_case(128, "float32"))
    4194304
    """
    return SPECS[case.op].flops(case.shapes, dict(case.params))


def moved_bytes(case: Case) -> int:
    """Return the least memory traffic of a case, as the operation registry counts it.

    Parameters
    ----------
    case : Case
        Any case.

    Returns
    -------
    int
        Bytes of the operands and the result, each counted once.

    Examples
    --------
    >>> moved_bytes(square_case(128, "float32"))
    196608
    """
    return SPECS[case.op].bytes(case.shapes, np.dtype(case.dtype).itemsize, dict(case.params))
