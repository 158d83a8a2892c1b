"""Expressions as trees of named operations: to be compared, computed on probes, and written down again."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

BINARY: Mapping[str, type[ast.operator]] = {
    "add": ast.Add,
    "subtract": ast.Sub,
    "multiply": ast.Mult,
    "divide": ast.Div,
    "power": ast.Pow,
    "floor_divide": ast.FloorDiv,
    "remainder": ast.Mod,
    "matmul": ast.MatMult,
    "bitwise_and": ast.BitAnd,
    "bitwise_or": ast.BitOr,
}
COMPARISONS: Mapping[str, type[ast.cmpop]] = {
    "less": ast.Lt,
    "less_equal": ast.LtE,
    "greater": ast.Gt,
    "greater_equal": ast.GtE,
    "equal": ast.Eq,
    "not_equal": ast.NotEq,
}
UNARY: Mapping[str, type[ast.unaryop]] = {"negative": ast.USub, "positive": ast.UAdd, "invert": ast.Invert}
REDUCTIONS: Mapping[str, Callable[..., Any]] = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
    "var": np.var,
    "std": np.std,
}
_ERF = np.vectorize(math.erf, otypes=[np.float64])
SPECIAL: Mapping[str, Callable[..., Any]] = {
    "erf": _ERF,
    "expit": lambda x: 1 / (1 + np.exp(-np.asarray(x))),
    "normal": lambda x: 0.5 * (1 + _ERF(np.asarray(x) / math.sqrt(2))),
}
"""Functions of SciPy's that gelu and sigmoid are written with, by names of ours."""

ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
    **{
        name: function
        for name, function in vars(np).items()
        if isinstance(function, np.ufunc) and function.nout == 1 and function.signature is None
    },
    "where": np.where,
    "clip": np.clip,
    **SPECIAL,
}


@dataclass(frozen=True, slots=True)
class Tree:
    """An operation on trees, a number, or a name.

    Attributes
    ----------
    op : str
        Name of an operation; ``name``, ``number``, or ``unknown`` for what is not understood.
    args : tuple of Tree
        Operands.
    value : object
        Of a name its text, of a number the number, of a reduction the axis and whether it is kept.
    since : int
        Of a name: the statement that gave it its value, -1 for one before.
    statement : int or None
        The statement whose target holds this value, if there is one.
    place : str
        That target.
    source : ast.expr or None
        Where it stands; not compared.
    """

    op: str
    args: tuple[Tree, ...] = ()
    value: Any = None
    since: int = -1
    statement: int | None = field(default=None, compare=False)
    place: str = field(default="", compare=False)
    source: ast.expr | None = field(default=None, compare=False, repr=False)

    def walk(self) -> Iterator[Tree]:
        """Yield the tree and all trees in it, from the top down."""
        yield self
        for arg in self.args:
            yield from arg.walk()

    @property
    def names(self) -> tuple[Tree, ...]:
        """The different names in it."""
        return tuple(dict.fromkeys(tree for tree in self.walk() if tree.op == "name"))

    @property
    def is_known(self) -> bool:
        """Whether all of it is understood."""
        return all(tree.op != "unknown" for tree in self.walk())

    def held(self, statement: int, place: str) -> Tree:
        """Return the tree as the value of a statement's target."""
        return replace(self, statement=statement, place=place)


class UnwritableError(ValueError):
    """An operation that Python has no text for; the message is its name."""


def number(value: float) -> Tree:
    """Return a number's tree.

    Parameters
    ----------
    value : float
        The number.

    Returns
    -------
    Tree
        Its tree.

    Examples
    --------
    >>> compute(number(2.0), {})
    2.0
    """
    return Tree("number", value=value)


def compute(tree: Tree, values: Mapping[Tree, Any]) -> Any:
    """Compute a tree.

    Parameters
    ----------
    tree : Tree
        What to compute.
    values : mapping of Tree to object
        Values of names, and of any trees whose insides do not matter.

    Returns
    -------
    ndarray or float
        The value.

    Raises
    ------
    KeyError
        If a name has no value.
    ValueError, TypeError
        As NumPy, where shapes or types do not go together.

    Examples
    --------
    >>> x = Tree("name", value="x")
    >>> compute(Tree("add", (x, number(1))), {x: np.arange(3)})
    array([1, 2, 3])
    """
    found: dict[Tree, Any] = dict(values)

    def of(part: Tree) -> Any:
        if part not in found:
            found[part] = _applied(part, [of(arg) for arg in part.args])
        return found[part]

    with np.errstate(all="ignore"):
        return of(tree)


def _applied(tree: Tree, operands: list[Any]) -> Any:
    if tree.op == "number":
        return tree.value
    if tree.op in REDUCTIONS:
        axis, keepdims = tree.value
        return REDUCTIONS[tree.op](operands[0], axis=axis, keepdims=keepdims)
    if tree.op == "matmul":
        return np.matmul(*operands)
    if tree.op in ELEMENTWISE:
        return ELEMENTWISE[tree.op](*operands)
    raise KeyError(tree.op)


def expression(tree: Tree, written: Mapping[Tree, ast.expr], numpy: str = "np") -> ast.expr:
    """Return a tree as Python writes it.

    Parameters
    ----------
    tree : Tree
        Of known operations.
    written : mapping of Tree to ast.expr
        Trees that are written otherwise, such as by a name.
    numpy : str
        What NumPy is called there.

    Returns
    -------
    ast.expr
        For ``ast.unparse``.

    Raises
    ------
    UnwritableError
        For an operation that has no text.

    Examples
    --------
    >>> x = Tree("name", value="x")
    >>> ast.unparse(expression(Tree("exp", (Tree("subtract", (x, number(1))),)), {}))
    'np.exp(x - 1)'
    """

    def of(part: Tree) -> ast.expr:
        if part in written:
            return written[part]
        if part.op == "number":
            return ast.Constant(part.value)
        if part.op == "name":
            return ast.parse(str(part.value), mode="eval").body
        operands = [of(arg) for arg in part.args]
        if part.op in BINARY:
            return ast.BinOp(operands[0], BINARY[part.op](), operands[1])
        if part.op in COMPARISONS:
            return ast.Compare(operands[0], [COMPARISONS[part.op]()], [operands[1]])
        if part.op in UNARY:
            return ast.UnaryOp(UNARY[part.op](), operands[0])
        keywords = []
        if part.op in REDUCTIONS:
            axis, keepdims = part.value
            keywords = [ast.keyword("axis", ast.Constant(axis))] if axis is not None else []
            keywords += [ast.keyword("keepdims", ast.Constant(True))] if keepdims else []
        elif part.op in SPECIAL and isinstance(part.source, ast.Call):
            return ast.Call(part.source.func, operands, [])
        elif part.op in SPECIAL or part.op not in ELEMENTWISE:
            raise UnwritableError(part.op)
        function = ast.Attribute(ast.Name(numpy, ast.Load()), part.op, ast.Load())
        return ast.Call(function, operands, keywords)

    return of(tree)
