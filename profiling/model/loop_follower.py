"""From the statements of a function to the program of its accesses, for `profiling.model.loop_nest`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .accesses import Access, ArrayLayout, LoopNestError, Program
from .lru import MAX_VARIABLES

_ACCESS, _SET, _LOOP = 0, 1, 2
_Form = tuple[int, dict[int, int]]
"""A constant, and the factor of each variable."""


@dataclass(frozen=True, slots=True)
class FunctionSource:
    """A function as it is followed.

    Attributes
    ----------
    path : Path
        Its file.
    lines : sequence of str
        The lines of the file.
    body : sequence of ast.stmt
        Its statements, as Python, with the line numbers of the file.
    integers : set of str
        Names that are declared as whole numbers.
    """

    path: Path
    lines: Sequence[str]
    body: Sequence[ast.stmt]
    integers: frozenset[str]


class LoopFollower:
    """Turns the statements of one function into operations.

    Parameters
    ----------
    function : FunctionSource
        What is followed.
    layouts : mapping of str to ArrayLayout
        Where its arrays lie.
    numbers : mapping of str to int
        Values of its whole-number parameters.
    """

    def __init__(
        self, function: FunctionSource, layouts: Mapping[str, ArrayLayout], numbers: Mapping[str, int]
    ) -> None:
        self.function = function
        self.layouts = layouts
        self.constants = dict(numbers)
        self.variables: dict[str, int] = {}
        self.loops: list[tuple[int, int]] = []
        self.operations: list[tuple[int, ...]] = []
        self.forms: list[_Form] = []
        self.accesses: list[Access] = []
        counted = [
            node.id
            for statement in function.body
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        ]
        self.assigned_once = {name for name in counted if counted.count(name) == 1}

    def follow(self) -> Program:
        """Return the program of the whole function."""
        self.block(self.function.body)
        width = len(self.variables)
        forms = tuple(
            (constant, *(factors.get(place, 0) for place in range(width))) for constant, factors in self.forms
        )
        return Program(tuple(self.operations), forms, tuple(self.accesses))

    def refuse(self, node: ast.stmt | ast.expr, reason: str) -> LoopNestError:
        """Return the error for a statement or expression, with its line."""
        line = node.lineno
        source = self.function.lines[line - 1].strip()
        return LoopNestError(f"{self.function.path.name}:{line}: {reason}: {source!r}")

    def block(self, statements: Sequence[ast.stmt]) -> None:
        """Follow statements in order."""
        for statement in statements:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        """Follow one statement."""
        if isinstance(node, ast.Pass):
            return
        if isinstance(node, ast.Expr):
            if self.elements(node):
                raise self.refuse(node, "a call that is given elements of arrays cannot be followed")
        elif isinstance(node, ast.With):
            self.block(node.body)
        elif isinstance(node, ast.If):
            self.block(node.body if self.test(node.test) else node.orelse)
        elif isinstance(node, ast.Raise):
            raise self.refuse(node, "the function raises for these arguments")
        elif isinstance(node, ast.For) and not node.orelse:
            self.loop(node)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            self.assignment(node, node.targets[0], node.value)
        elif isinstance(node, ast.AugAssign) and not self.is_integer(node.target):
            for element in self.elements(node.target):
                self.access(element, is_write=False)
            self.assignment(node, node.target, node.value)
        else:
            raise self.refuse(node, "cannot be followed")

    def loop(self, node: ast.For) -> None:
        """Follow a loop over a range."""
        call = node.iter
        is_range = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"
        if not (is_range and isinstance(node.target, ast.Name)):
            raise self.refuse(node, "only loops over ranges can be followed")
        assert isinstance(call, ast.Call)
        arguments = [self.form(argument) for argument in call.args]
        one: _Form = (1, {})
        if len(arguments) == 1:
            arguments.insert(0, (0, {}))
        low, high, step = (*arguments, one)[:3]
        if step[1] or step[0] < 1:
            raise self.refuse(node, "the step of a loop must be known and positive")
        variable = self.variable(node.target)
        place = len(self.operations)
        self.operations.append(())
        bounds = self.add_form(low), self.add_form(high)
        self.loops.append((variable, step[0]))
        self.block(node.body)
        self.loops.pop()
        self.operations[place] = (_LOOP, variable, *bounds, step[0], len(self.operations))

    def assignment(self, node: ast.stmt, target: ast.expr, value: ast.expr) -> None:
        """Follow an assignment: the elements read, then the one written."""
        if self.is_integer(target):
            assert isinstance(target, ast.Name)
            if self.elements(value):
                raise self.refuse(node, "an index that is read from an array cannot be followed")
            self.index(node, target, value)
            return
        for element in self.elements(value):
            self.access(element, is_write=False)
        for element in self.elements(target):
            self.access(element, is_write=True)

    def index(self, node: ast.stmt, target: ast.Name, value: ast.expr) -> None:
        """Follow an assignment to an index variable."""
        is_least = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "min"
        parts = value.args if is_least and isinstance(value, ast.Call) else [value]
        forms = [self.form(part) for part in parts]
        if not self.loops and target.id in self.assigned_once and not any(form[1] for form in forms):
            self.constants[target.id] = min(form[0] for form in forms)
            return
        places = [self.add_form(form) for form in forms]
        self.operations.append((_SET, self.variable(target), places[0], places[-1] + 1))

    def access(self, element: ast.Subscript, *, is_write: bool) -> None:
        """Add an access to an element."""
        assert isinstance(element.value, ast.Name)
        layout = self.layouts[element.value.id]
        indices = element.slice.elts if isinstance(element.slice, ast.Tuple) else [element.slice]
        if len(indices) != len(layout.shape):
            raise self.refuse(element, "one index per axis is expected")
        constant = layout.address
        factors: dict[int, int] = {}
        for index, stride in zip(indices, layout.strides, strict=True):
            part, variables = self.form(index)
            constant += part * stride
            for variable, factor in variables.items():
                factors[variable] = factors.get(variable, 0) + factor * stride
        variable, step = self.loops[-1] if self.loops else (-1, 0)
        access = Access(
            element.lineno, ast.unparse(element), element.value.id, is_write, factors.get(variable, 0) * step
        )
        self.operations.append((_ACCESS, len(self.accesses), self.add_form((constant, factors))))
        self.accesses.append(access)

    def elements(self, node: ast.AST) -> list[ast.Subscript]:
        """Return the elements of arrays in an expression, in the order of their evaluation."""
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            return [node] if node.value.id in self.layouts else []
        return [element for child in ast.iter_child_nodes(node) for element in self.elements(child)]

    def is_integer(self, target: ast.expr) -> bool:
        """Tell whether a name is declared as a whole number."""
        return isinstance(target, ast.Name) and target.id in self.function.integers

    def variable(self, name: ast.Name) -> int:
        """Return the place of a variable among the program's."""
        self.constants.pop(name.id, None)
        place = self.variables.setdefault(name.id, len(self.variables))
        if place >= MAX_VARIABLES:
            raise self.refuse(name, f"more than {MAX_VARIABLES} index variables")
        return place

    def add_form(self, form: _Form) -> int:
        """Add a form to the program and return its place."""
        self.forms.append(form)
        return len(self.forms) - 1

    def test(self, node: ast.expr) -> bool:
        """Decide a comparison of numbers that are known."""
        operators: dict[type, Callable[[int, int], bool]] = {
            ast.Lt: operator.lt,
            ast.LtE: operator.le,
            ast.Gt: operator.gt,
            ast.GtE: operator.ge,
            ast.Eq: operator.eq,
            ast.NotEq: operator.ne,
        }
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in operators:
            left, right = self.form(node.left), self.form(node.comparators[0])
            if not left[1] and not right[1]:
                return operators[type(node.ops[0])](left[0], right[0])
        raise self.refuse(node, "a condition inside the loops cannot be followed")

    def form(self, node: ast.expr) -> _Form:
        """Return an index expression as a constant and multiples of variables."""
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return int(node.value), {}
        if isinstance(node, ast.Name) and node.id in self.constants:
            return self.constants[node.id], {}
        if isinstance(node, ast.Name) and node.id in self.variables:
            return 0, {self.variables[node.id]: 1}
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute):
            owner = node.value.value
            if node.value.attr == "shape" and isinstance(owner, ast.Name) and owner.id in self.layouts:
                axis = self.form(node.slice)
                if not axis[1]:
                    return self.layouts[owner.id].shape[axis[0]], {}
        if isinstance(node, ast.BinOp):
            left, right = self.form(node.left), self.form(node.right)
            if isinstance(node.op, ast.Add):
                return _sum(left, right, 1)
            if isinstance(node.op, ast.Sub):
                return _sum(left, right, -1)
            if isinstance(node.op, ast.Mult) and not (left[1] and right[1]):
                factor, form = (left[0], right) if not left[1] else (right[0], left)
                return _sum((0, {}), form, factor)
            if isinstance(node.op, ast.FloorDiv) and not left[1] and not right[1] and right[0]:
                return left[0] // right[0], {}
        raise self.refuse(node, "an index must be a sum of multiples of loop variables")


def _sum(left: _Form, right: _Form, factor: int) -> _Form:
    """Return left + factor * right."""
    factors = dict(left[1])
    for variable, value in right[1].items():
        factors[variable] = factors.get(variable, 0) + factor * value
    return left[0] + factor * right[0], factors
