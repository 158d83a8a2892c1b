"""Recognise a matrix product written as nested Python loops, in the syntax tree of a function.

Three loops in any order that add ``A[i, k] * B[k, j]`` to ``C[i, j]`` or to a number that is stored there,
and two loops that store a product of a row and a column. Operands may be read transposed, as ``A[k, i]``;
rows, columns and factors may have names of their own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_DOT_CALLS = ("dot", "inner", "vdot")
_SUM_CALLS = ("sum", "fsum")
WHOLE = ":"
"""In place of an index: the whole axis."""


@dataclass(frozen=True, slots=True)
class Nest:
    """A product found in loops: ``result (m, n) = left (m, k) @ right (k, n)``.

    Attributes
    ----------
    result, left, right : ast.expr
        The arrays, as the loops name them.
    m, n : ast.expr
        Bounds of the loops over rows and columns.
    k : ast.expr or None
        Bound of the inner loop; None where whole rows and columns are multiplied.
    accumulate : bool
        Whether the product is added to what `result` holds.
    left_transposed, right_transposed : bool
        Whether the loops read ``left[k, i]`` or ``right[j, k]``.
    names : frozenset of str
        Variables that the loops set.
    """

    result: ast.expr
    left: ast.expr
    right: ast.expr
    m: ast.expr
    n: ast.expr
    k: ast.expr | None
    accumulate: bool
    left_transposed: bool
    right_transposed: bool
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Element:
    """``base[first, second]``; each index the name of a loop's variable or `WHOLE`."""

    base: ast.expr
    first: str
    second: str

    @property
    def indices(self) -> tuple[str, str]:
        return self.first, self.second


def find_nest(loop: ast.For) -> Nest | None:
    """Return the product that a loop computes, or None where it is no product or does more.

    Parameters
    ----------
    loop : ast.For
        The outermost loop.

    Returns
    -------
    Nest or None
        The product.

    Examples
    --------
    >>> import ast
    >>> text = '''
    ... for i in range(m):
    ...     for j in range(n):
    ...         for k in range(d):
    ...             c[i, j] += a[i, k] * b[k, j]
    ... '''
    >>> nest = find_nest(ast.parse(text).body[0])
    >>> ast.unparse(nest.left), ast.unparse(nest.k), nest.accumulate
    ('a', 'd', True)
    """
    return _Reader().read(loop)


class _Reader:
    """What has been seen on the way from the outer loop to the inner one."""

    def __init__(self) -> None:
        self.bounds: dict[str, ast.expr] = {}
        self.named: dict[str, ast.expr] = {}
        # A moment: how deep the statement stands, and how many loops have begun before it.
        self.sums: dict[str, tuple[int, int]] = {}
        self.zeroed: list[tuple[tuple[int, int], ast.expr]] = []
        self.stores: list[tuple[tuple[int, int], ast.expr, ast.expr, bool]] = []

    def read(self, loop: ast.For) -> Nest | None:
        if not self._descend(loop) or not self.stores:
            return None
        names = frozenset([*self.bounds, *self.named, *self.sums])
        if len(self.stores) == 1:
            return self._one_store(names)
        return self._sum_then_store(names)

    def _descend(self, loop: ast.For) -> bool:
        bound = _range_bound(loop)
        if bound is None or loop.orelse or not isinstance(loop.target, ast.Name):
            return False
        if loop.target.id in self.bounds or _names(bound) & (set(self.bounds) | set(self.named)):
            return False
        self.bounds[loop.target.id] = bound
        depth = len(self.bounds)
        inner = [statement for statement in loop.body if isinstance(statement, ast.For)]
        if len(inner) > 1 or depth > 3:
            return False
        for statement in loop.body:
            done = (
                self._descend(statement) if isinstance(statement, ast.For) else self._take(statement, depth)
            )
            if not done:
                return False
        return True

    def _take(self, statement: ast.stmt, depth: int) -> bool:
        """Note a statement that is no loop."""
        moment = depth, len(self.bounds)
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            return True
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
            adds = False
        elif isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add):
            target, value, adds = statement.target, statement.value, True
        else:
            return False
        if not adds and isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
            # x = x + term
            for own, term in ((value.left, value.right), (value.right, value.left)):
                if ast.unparse(own) == ast.unparse(target):
                    value, adds = term, True
                    break
        if isinstance(target, ast.Name):
            if adds:
                if target.id not in self.sums:
                    return False
                self.stores.append((moment, target, value, True))
            elif _is_zero(value):
                self.sums[target.id] = moment
            elif target.id in self.named or not _is_pure(value):
                return False
            else:
                self.named[target.id] = self._spelled_out(value)
            return True
        if not isinstance(target, ast.Subscript):
            return False
        if not adds and _is_zero(value):
            self.zeroed.append((moment, target))
            return True
        self.stores.append((moment, target, value, adds))
        return True

    def _one_store(self, names: frozenset[str]) -> Nest | None:
        (depth, _), target, value, adds = self.stores[0]
        if isinstance(target, ast.Name) or self.sums:
            return None
        if self.zeroed:
            # Zero before the inner loop, then sums: nothing of what the result held is left.
            if not adds or len(self.zeroed) > 1 or self.zeroed[0][0] != (2, 2):
                return None
            if ast.unparse(self.zeroed[0][1]) != ast.unparse(target):
                return None
            result = self._element(target)
            if result is None or list(self.bounds)[:2] not in ([*result.indices], [*result.indices][::-1]):
                return None
            adds = False
        elif depth == 3 and not adds:
            return None
        return self._nest(target, value, depth, adds, names)

    def _sum_then_store(self, names: frozenset[str]) -> Nest | None:
        if len(self.stores) != 2 or self.zeroed or len(self.sums) != 1:
            return None
        (inner, total, term, _), (outer, target, value, adds) = self.stores
        ((name, started),) = self.sums.items()
        if (inner, outer, started) != ((3, 3), (2, 3), (2, 2)) or not isinstance(total, ast.Name):
            return None
        value = value.args[0] if _is_cast(value) else value  # type: ignore[attr-defined]
        if isinstance(target, ast.Name) or not isinstance(value, ast.Name) or value.id != name:
            return None
        return self._nest(target, term, 3, adds, names)

    def _nest(
        self, target: ast.expr, value: ast.expr, depth: int, adds: bool, names: frozenset[str]
    ) -> Nest | None:
        result = self._element(target)
        factors = self._factors(value, depth)
        if result is None or factors is None or WHOLE in result.indices or result.first == result.second:
            return None
        row, column = result.indices
        first, second, inner, k = factors
        if row not in first.indices:
            first, second = second, first
        if {row, inner} != set(first.indices) or {inner, column} != set(second.indices):
            return None
        if row not in self.bounds or column not in self.bounds or len(self.bounds) != depth:
            return None
        arrays = [result.base, first.base, second.base]
        if any(_names(array) & names for array in arrays):
            return None
        if ast.unparse(result.base) in map(ast.unparse, arrays[1:]):
            return None
        return Nest(
            result.base,
            first.base,
            second.base,
            self.bounds[row],
            self.bounds[column],
            k,
            adds,
            first.first == inner,
            second.second == inner,
            names,
        )

    def _factors(self, value: ast.expr, depth: int) -> tuple[_Element, _Element, str, ast.expr | None] | None:
        """Return the two factors, the index that is summed over, and its bound."""
        value = self._spelled_out(value)
        while _is_cast(value):
            value = value.args[0]  # type: ignore[attr-defined]
        if depth == 3:
            pair = self._pair(value, ast.Mult)
            free = list(self.bounds)
            if pair is None or WHOLE in (*pair[0].indices, *pair[1].indices):
                return None
            shared = set(pair[0].indices) & set(pair[1].indices)
            if len(shared) != 1 or not shared <= set(free):
                return None
            inner = shared.pop()
            return *pair, inner, self.bounds[inner]
        if depth != 2:
            return None
        if isinstance(value, ast.Call) and len(value.args) == 1 and not value.keywords:
            summed = value.args[0]
            if _called(value) in _SUM_CALLS and isinstance(summed, ast.GeneratorExp | ast.ListComp):
                return self._generated(summed)
        pair = self._rows_and_columns(value)
        if pair is None or any(element.indices.count(WHOLE) != 1 for element in pair):
            return None
        return *pair, WHOLE, None

    def _generated(
        self, summed: ast.GeneratorExp | ast.ListComp
    ) -> tuple[_Element, _Element, str, ast.expr | None] | None:
        if len(summed.generators) != 1:
            return None
        (part,) = summed.generators
        bound = _range_bound(part)
        if bound is None or part.ifs or part.is_async or not isinstance(part.target, ast.Name):
            return None
        if part.target.id in self.bounds or _names(bound) & set(self.bounds):
            return None
        pair = self._pair(summed.elt, ast.Mult)
        return None if pair is None else (*pair, part.target.id, bound)

    def _rows_and_columns(self, value: ast.expr) -> tuple[_Element, _Element] | None:
        if isinstance(value, ast.Call) and not value.keywords:
            name = _called(value)
            if name in _DOT_CALLS and len(value.args) == 2:
                return self._both(*value.args)
            if name in _SUM_CALLS and len(value.args) == 1:
                return self._pair(value.args[0], ast.Mult)
            if name in _SUM_CALLS and not value.args and isinstance(value.func, ast.Attribute):
                return self._pair(value.func.value, ast.Mult)
            if name in _DOT_CALLS and len(value.args) == 1 and isinstance(value.func, ast.Attribute):
                return self._both(value.func.value, value.args[0])
        return self._pair(value, ast.MatMult)

    def _pair(self, value: ast.expr, operator: type[ast.operator]) -> tuple[_Element, _Element] | None:
        if not isinstance(value, ast.BinOp) or not isinstance(value.op, operator):
            return None
        return self._both(value.left, value.right)

    def _both(self, left: ast.expr, right: ast.expr) -> tuple[_Element, _Element] | None:
        first, second = self._element(left), self._element(right)
        return None if first is None or second is None else (first, second)

    def _element(self, value: ast.expr) -> _Element | None:
        """Read ``a[i, k]``, ``a[i][k]``, ``a[i]``, ``a[:, j]`` and what temporaries stand for."""
        value = self._spelled_out(value)
        chain: list[list[str]] = []
        while isinstance(value, ast.Subscript):
            indices = _indices(value.slice)
            if indices is None:
                return None
            chain.append(indices)
            value = value.value
        if not chain or not _is_pure(value) or isinstance(value, ast.Constant):
            return None
        found = [WHOLE, WHOLE]
        for indices in reversed(chain):
            # An index takes the place of the first axes that are still whole.
            free = [place for place in range(2) if found[place] == WHOLE]
            if len(indices) > len(free):
                return None
            for place, index in zip(free, indices, strict=False):
                found[place] = index
        return _Element(value, *found)

    def _spelled_out(self, value: ast.expr) -> ast.expr:
        named = self.named

        class Spell(ast.NodeTransformer):
            def visit_Name(self, node: ast.Name) -> ast.expr:
                return named.get(node.id, node)

        result: ast.expr = Spell().visit(ast.parse(ast.unparse(value), mode="eval").body)
        return result


def names_read_outside(function: ast.AST, loop: ast.AST, names: Iterable[str]) -> set[str]:
    r"""Return which of some variables a function reads outside a loop without setting them there anew.

    Parameters
    ----------
    function : ast.AST
        The function, or any node around the loop.
    loop : ast.AST
        What is left out.
    names : iterable of str
        The variables.

    Returns
    -------
    set of str
        Those that the loop must leave behind.

    Examples
    --------
    >>> import ast
    >>> tree = ast.parse("for i in a: pass\nprint(i)\nfor i in b: print(i)")
    >>> names_read_outside(tree, tree.body[0], ["i"])
    {'i'}
    >>> names_read_outside(tree.body[2], tree.body[0], ["i"])
    set()
    """
    wanted = set(names)

    def read(node: ast.AST, bound: frozenset[str]) -> Iterator[str]:
        if node is loop:
            return
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if node.id in wanted - bound:
                yield node.id
            return
        if isinstance(node, ast.For):
            stored = {
                part.id
                for part in ast.walk(node)
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
            }
            yield from read(node.iter, bound)
            bound = bound | stored
        elif isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp):
            targets = (part for comprehension in node.generators for part in ast.walk(comprehension.target))
            bound = bound | {part.id for part in targets if isinstance(part, ast.Name)}
        for child in ast.iter_child_nodes(node):
            yield from read(child, bound)

    return set(read(function, frozenset()))


def _indices(index: ast.expr) -> list[str] | None:
    found = []
    for part in index.elts if isinstance(index, ast.Tuple) else [index]:
        if isinstance(part, ast.Name):
            found.append(part.id)
        elif isinstance(part, ast.Slice) and part.lower is part.upper is part.step is None:
            found.append(WHOLE)
        else:
            return None
    return found


def _range_bound(loop: ast.For | ast.comprehension) -> ast.expr | None:
    call = loop.iter
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "range":
        return None
    if len(call.args) != 1 or call.keywords or not _is_pure(call.args[0]):
        return None
    return call.args[0]


def _is_pure(value: ast.expr) -> bool:
    """Tell whether reading it once is the same as reading it in every round."""
    if isinstance(value, ast.Call):
        known = isinstance(value.func, ast.Name) and value.func.id in ("len", "int", "float", "range")
        return known and all(map(_is_pure, value.args)) and not value.keywords
    if isinstance(value, ast.Attribute | ast.Subscript):
        return _is_pure(value.value)
    return isinstance(value, ast.Name | ast.Constant)


def _is_zero(value: ast.expr) -> bool:
    if isinstance(value, ast.Call) and len(value.args) <= 1 and not value.keywords:
        return _called(value) in ("float", "int", "float32", "float64") and all(map(_is_zero, value.args))
    return isinstance(value, ast.Constant) and type(value.value) in (int, float) and value.value == 0


def _is_cast(value: ast.expr) -> bool:
    return (
        isinstance(value, ast.Call)
        and len(value.args) == 1
        and not value.keywords
        and _called(value) in ("float", "float32", "float64")
        and not _is_zero(value)
    )


def _called(value: ast.Call) -> str:
    if isinstance(value.func, ast.Name):
        return value.func.id
    return value.func.attr if isinstance(value.func, ast.Attribute) else ""


def _names(value: ast.expr) -> set[str]:
    return {part.id for part in ast.walk(value) if isinstance(part, ast.Name)}
