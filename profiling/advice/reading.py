"""From Python's syntax to trees: what names of functions mean, and which places can be looked at."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .trees import BINARY, COMPARISONS, ELEMENTWISE, REDUCTIONS, UNARY, Tree

_BINARY_NAMES = {kind: name for name, kind in BINARY.items()}
_COMPARED_NAMES = {kind: name for name, kind in COMPARISONS.items()}
_UNARY_NAMES = {kind: name for name, kind in UNARY.items()}
_CONSTANTS = {
    f"{module}.{name}": getattr(math, name) for module in ("numpy", "math") for name in ("pi", "e", "inf")
}
_OTHER_NAMES = {
    "numpy.amax": "max",
    "numpy.amin": "min",
    "numpy.abs": "absolute",
    "numpy.dot": "matmul",
    "tensorops.matmul": "matmul",
    "scipy.special.erf": "erf",
    "scipy.special.expit": "expit",
    "scipy.special.ndtr": "normal",
    "scipy.stats.norm.cdf": "normal",
    "vectorized.math.erf": "erf",
    "abs": "absolute",
}
_ON_NUMBERS = frozenset({"sqrt", "exp", "log", "tanh", "pow"})
_VECTORIZED = frozenset({"numpy.vectorize", "numpy.frompyfunc"})
METHODS = frozenset({*REDUCTIONS, "clip", "dot"})
Assigned = Mapping[str, Tree]


@dataclass(frozen=True, slots=True)
class Meanings:
    """What the names that a file imports stand for.

    Attributes
    ----------
    dotted : mapping of str to str
        By name: ``np`` is ``numpy``, ``erf`` may be ``scipy.special.erf``.
    statements : mapping of str to str
        The statement that says so.
    """

    dotted: Mapping[str, str]
    statements: Mapping[str, str]

    @classmethod
    def of(cls, module: ast.Module) -> Meanings:
        """Read the imports of a file, wherever they stand; a name that is bound otherwise too means nothing.

        Parameters
        ----------
        module : ast.Module
            The file.

        Returns
        -------
        Meanings
            Of its names.

        Examples
        --------
        >>> dict(Meanings.of(ast.parse("import numpy as np")).dotted)
        {'np': 'numpy'}
        """
        dotted: dict[str, str] = {}
        statements: dict[str, str] = {}
        for node in ast.walk(module):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    dotted[name] = alias.name if alias.asname else name
                    statements[name] = ast.unparse(ast.Import([alias]))
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    name = alias.asname or alias.name
                    dotted[name] = f"{node.module}.{alias.name}"
                    statements[name] = ast.unparse(ast.ImportFrom(node.module, [alias], 0))
        for statement in module.body:
            found = _vectorized(statement, dotted)
            if found is not None:
                name, dotted[name] = found
                statements[name] = ast.unparse(statement)
        for name in _bound_otherwise(module, statements):
            dotted.pop(name, None)
        return cls(dotted, statements)

    def meaning(self, node: ast.expr) -> str | None:
        """Return the full name of a function or module, or None.

        Parameters
        ----------
        node : ast.expr
            A name, or attributes of one.

        Returns
        -------
        str or None
            Such as ``numpy.exp``; a bare name of a builtin is itself.
        """
        if isinstance(node, ast.Name):
            return self.dotted.get(node.id, node.id if node.id in ("abs", "max", "min") else None)
        if isinstance(node, ast.Attribute):
            owner = self.meaning(node.value)
            return None if owner is None else f"{owner}.{node.attr}"
        return None


def _vectorized(statement: ast.stmt, dotted: Mapping[str, str]) -> tuple[str, str] | None:
    """Return name and meaning of a function that is made for arrays: ``erf = np.vectorize(math.erf)``."""
    if not (isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call)):
        return None
    target, call, known = statement.targets[0], statement.value, Meanings(dotted, {})
    if isinstance(target, ast.Name) and call.args and known.meaning(call.func) in _VECTORIZED:
        return target.id, f"vectorized.{known.meaning(call.args[0])}"
    return None


def _bound_otherwise(module: ast.Module, statements: Mapping[str, str]) -> set[str]:
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            if not statements.get(node.id, "").startswith(f"{node.id} = "):
                found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            found.add(node.name)
    return found


def is_place(node: ast.expr) -> bool:
    """Tell whether an expression only looks something up: a name, an attribute, an item, a slice, ``.T``.

    Parameters
    ----------
    node : ast.expr
        Any expression.

    Returns
    -------
    bool
        True where looking is all that it does.

    Examples
    --------
    >>> [is_place(ast.parse(text, mode="eval").body) for text in ("self.w", "x[i:, 0]", "f(x)[0]")]
    [True, True, False]
    """
    if isinstance(node, ast.Name):
        return True
    if isinstance(node, ast.Attribute):
        return is_place(node.value)
    return isinstance(node, ast.Subscript) and is_place(node.value) and _is_index(node.slice)


def _is_index(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.Tuple):
        return all(map(_is_index, node.elts))
    if isinstance(node, ast.Slice):
        return all(part is None or _is_index(part) for part in (node.lower, node.upper, node.step))
    if isinstance(node, ast.UnaryOp):
        return _is_index(node.operand)
    if isinstance(node, ast.BinOp):
        return _is_index(node.left) and _is_index(node.right)
    return isinstance(node, ast.Name)


def read(node: ast.expr, meanings: Meanings, assigned: Assigned) -> Tree:
    """Return the tree of an expression.

    Parameters
    ----------
    node : ast.expr
        The expression.
    meanings : Meanings
        Of the file's names.
    assigned : mapping of str to Tree
        Values of places that statements before it have given.

    Returns
    -------
    Tree
        Parts that are not understood are ``unknown``.

    Examples
    --------
    >>> meanings = Meanings.of(ast.parse("import numpy as np"))
    >>> tree = read(ast.parse("np.exp(x) + 1", mode="eval").body, meanings, {})
    >>> tree.op, tree.args[0].op, tree.args[0].args[0].value
    ('add', 'exp', 'x')
    """

    def of(part: ast.expr) -> Tree:
        return read(part, meanings, assigned)

    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return Tree("number", value=node.value, source=node)
    meaning = meanings.meaning(node) if isinstance(node, ast.Attribute | ast.Name) else None
    if meaning in _CONSTANTS:
        return Tree("number", value=_CONSTANTS[meaning], source=node)
    if is_place(node):
        text = ast.unparse(node)
        known = assigned.get(text)
        return Tree("name", value=text, source=node) if known is None else _standing(known, node)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY_NAMES:
        return Tree(_BINARY_NAMES[type(node.op)], (of(node.left), of(node.right)), source=node)
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY_NAMES:
        operand = of(node.operand)
        if operand.op == "number" and isinstance(node.op, ast.USub):
            return Tree("number", value=-operand.value, source=node)
        return Tree(_UNARY_NAMES[type(node.op)], (operand,), source=node)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARED_NAMES:
        operands = (of(node.left), of(node.comparators[0]))
        return Tree(_COMPARED_NAMES[type(node.ops[0])], operands, source=node)
    if isinstance(node, ast.Call):
        found = _read_call(node, meanings, of)
        if found is not None:
            return found
    # Its parts are kept: what stands in them may be understood.
    parts = tuple(of(part) for part in _inner_expressions(node))
    return Tree("unknown", parts, value=ast.unparse(node), source=node)


def _standing(tree: Tree, node: ast.expr) -> Tree:
    """Return a known value where its name stands."""
    return Tree(tree.op, tree.args, tree.value, tree.since, tree.statement, tree.place, node)


def _inner_expressions(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.Call):
        return [*node.args, *(keyword.value for keyword in node.keywords)]
    if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        # Names of its own.
        return []
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def function_name(node: ast.Call, meanings: Meanings) -> str | None:
    """Return an operation's name by the function that is called, or None.

    Parameters
    ----------
    node : ast.Call
        A call.
    meanings : Meanings
        Of the file's names.

    Returns
    -------
    str or None
        A name of `trees`.
    """
    meaning = meanings.meaning(node.func)
    if meaning is None:
        return None
    if meaning in _OTHER_NAMES:
        return _OTHER_NAMES[meaning]
    module, _, name = meaning.rpartition(".")
    if module == "numpy" and (name in ELEMENTWISE or name in REDUCTIONS or name == "matmul"):
        return "divide" if name == "true_divide" else name
    return {"pow": "power"}.get(name, name) if module == "math" and name in _ON_NUMBERS else None


def _read_call(node: ast.Call, meanings: Meanings, of: Callable[[ast.expr], Tree]) -> Tree | None:
    if any(isinstance(arg, ast.Starred) for arg in node.args):
        return None
    name, args = function_name(node, meanings), list(node.args)
    if name is None and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
        if meanings.meaning(node.func) is not None:
            return None
        name, args = node.func.attr, [node.func.value, *args]
        name = "matmul" if name == "dot" else name
    if name is None or not args:
        return None
    keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg != "out"}
    if name in REDUCTIONS:
        return _read_reduction(name, args, keywords, of, node)
    if keywords:
        return None
    return Tree(name, tuple(map(of, args)), source=node)


def _read_reduction(
    name: str,
    args: list[ast.expr],
    keywords: Mapping[str | None, ast.expr],
    of: Callable[[ast.expr], Tree],
    node: ast.Call,
) -> Tree | None:
    given: dict[str | None, ast.expr] = dict(keywords)
    if len(args) == 2:
        given["axis"] = args[1]
    if len(args) > 2 or not given.keys() <= {"axis", "keepdims"}:
        return None
    try:
        values: dict[str | None, Any] = {key: ast.literal_eval(value) for key, value in given.items()}
    except ValueError:
        return None
    return Tree(name, (of(args[0]),), (values.get("axis"), bool(values.get("keepdims"))), source=node)
