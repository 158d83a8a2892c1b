"""The memory accesses of a function in a ``.pyx`` file, read from its own source.

A kernel of plain loops over typed memoryviews says itself what it accesses, line by line. This module
reads such a function, follows its loops and index arithmetic, and makes a program for
`profiling.model.lru`. There is no second copy of the kernel that could drift from the first: who edits
the kernel edits the program.

Understood are ``cdef`` declarations, ``with nogil``, loops over ranges, index variables, sums and
multiples of them, and ``min``; values of the arrays are never needed. Anything else is refused with
its line, not guessed.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .lru import MAX_VARIABLES

PAGE = 4096
_INTEGERS = frozenset(
    "Py_ssize_t ssize_t size_t int long short unsigned char int32_t int64_t uint32_t uint64_t bint".split()
)
_FROM_LOOP = re.compile(r"for\s+(\w+)\s+from\s+(.+?)\s*<=\s*\1\s*<\s*(.+?)(?:\s+by\s+(.+?))?\s*:")
_ACCESS, _SET, _LOOP = 0, 1, 2


class LoopNestError(ValueError):
    """A function whose accesses cannot be followed; the message names the line and the reason."""


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """Where an array lies in the simulated memory.

    Attributes
    ----------
    address : int
        Of its first element, in bytes.
    shape : tuple of int
        Elements along each axis.
    strides : tuple of int
        Bytes from one element to the next along each axis.
    """

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """A place of the source that reads or writes an element.

    Attributes
    ----------
    line : int
        Line of the file.
    text : str
        As the source has it, such as ``b[p, j]``.
    array : str
        Name of the array.
    is_write : bool
        Whether the element is written.
    stride : int
        Bytes from one access to the next in the innermost loop around it; 0 where they are the same.
    """

    line: int
    text: str
    array: str
    is_write: bool
    stride: int


@dataclass(frozen=True, slots=True)
class Program:
    """What `profiling.model.lru.Simulator.run` takes, and what its slots mean.

    Attributes
    ----------
    operations, forms : tuple of tuple of int
        As the simulator takes them.
    accesses : tuple of Access
        One per slot.
    """

    operations: tuple[tuple[int, ...], ...]
    forms: tuple[tuple[int, ...], ...]
    accesses: tuple[Access, ...]


def arrange(
    shapes: Mapping[str, Sequence[int]], itemsize: int, alignment: int = PAGE
) -> dict[str, ArrayLayout]:
    """Return C-ordered arrays that lie one after the other.

    Parameters
    ----------
    shapes : mapping of str to sequence of int
        Shape of each array.
    itemsize : int
        Bytes of an element.
    alignment : int
        Each array begins at a multiple of it; the first at `alignment` itself.

    Returns
    -------
    dict of str to ArrayLayout
        In the order of `shapes`.

    Examples
    --------
    >>> arrange({"a": (2, 3), "b": (4,)}, itemsize=4)["b"]
    ArrayLayout(address=8192, shape=(4,), strides=(4,))
    """
    layouts = {}
    address = alignment
    for name, shape in shapes.items():
        sizes = tuple(int(size) for size in shape)
        strides = tuple(itemsize * math.prod(sizes[axis + 1 :]) for axis in range(len(sizes)))
        layouts[name] = ArrayLayout(address, sizes, strides)
        address += -(-itemsize * math.prod(sizes) // alignment) * alignment
    return layouts


class LoopNest:
    """One function of a ``.pyx`` file, read for its accesses.

    Parameters
    ----------
    path : Path
        The file.
    function : str
        Name of a function at its top level.

    Raises
    ------
    LoopNestError
        If the file has no such function, or it is more than the loops that can be followed.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from tensorops.kernels import ladder
    >>> LoopNest(Path(ladder.__file__).parent / "ladder.pyx", "naive").arrays
    ('a', 'b', 'c')
    """

    def __init__(self, path: Path, function: str) -> None:
        self.path = path
        self.function = function
        self.source = path.read_text(encoding="utf-8").splitlines()
        self.first_line, self.last_line, body_line = _find(path, self.source, function)
        header = " ".join(self.source[self.first_line - 1 : body_line - 1])
        self.array_axes: dict[str, int] = {}
        self.defaults: dict[str, int | None] = {}
        self._read_parameters(header)
        lines = [_as_python(line) for line in self.source[body_line - 1 : self.last_line]]
        text = "\n" * (body_line - 1) + textwrap.dedent("\n".join(lines))
        try:
            self.body = ast.parse(text).body
        except SyntaxError as error:
            raise LoopNestError(
                f"{path.name}:{error.lineno}: not a loop over arrays that can be followed: "
                f"{self.source[(error.lineno or body_line) - 1].strip()!r}"
            ) from None

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the array parameters, in order."""
        return tuple(self.array_axes)

    def program(self, layouts: Mapping[str, ArrayLayout], **numbers: int) -> Program:
        """Return the accesses for arrays that lie in given places.

        Parameters
        ----------
        layouts : mapping of str to ArrayLayout
            One per array parameter.
        **numbers : int
            Values of whole-number parameters that are not left at their defaults.

        Returns
        -------
        Program
            What the simulator runs.

        Raises
        ------
        LoopNestError
            If a statement cannot be followed, an argument is missing, or the function raises for these.

        Examples
        --------
        >>> from tensorops.kernels import ladder
        >>> nest = LoopNest(Path(ladder.__file__).parent / "ladder.pyx", "naive")
        >>> layouts = arrange({name: (8, 8) for name in nest.arrays}, itemsize=4)
        >>> [access.text for access in nest.program(layouts).accesses]
        ['a[i, p]', 'b[p, j]', 'c[i, j]']
        """
        for name, axes in self.array_axes.items():
            if name not in layouts or len(layouts[name].shape) != axes:
                raise LoopNestError(f"{self.function}: array {name!r} of {axes} axes is expected")
        values = {name: numbers.get(name, default) for name, default in self.defaults.items()}
        missing = [name for name, value in values.items() if value is None]
        if missing or set(numbers) - set(values):
            wrong = missing or sorted(set(numbers) - set(values))
            raise LoopNestError(f"{self.function}: missing or unknown arguments: {', '.join(wrong)}")
        known = {name: value for name, value in values.items() if value is not None}
        return _Follower(self, layouts, known).follow()

    def _read_parameters(self, header: str) -> None:
        inside = header[header.index("(") + 1 : header.rindex(")")]
        for parameter in re.split(r",(?![^\[]*\])", inside):
            words = parameter.strip()
            if not words or words in ("*", "/"):
                continue
            found = re.fullmatch(r"(.*?)(\w+)\s*(?:=\s*(.+))?", words)
            if found is None:
                raise LoopNestError(f"{self.path.name}:{self.first_line}: cannot read parameter {words!r}")
            kind, name, default = found.groups()
            if "[" in kind:
                self.array_axes[name] = kind[kind.index("[") :].count(":", 0) - kind.count("::1")
            elif set(kind.split()) & _INTEGERS:
                self.defaults[name] = int(default) if default and default.lstrip("-").isdecimal() else None


def _find(path: Path, source: Sequence[str], function: str) -> tuple[int, int, int]:
    """Return the first and last line of a function, and the first line of its body, from 1."""
    start = re.compile(rf"(?:def|cpdef)\s[^(]*\b{re.escape(function)}\s*\(")
    first = next((number for number, line in enumerate(source) if start.match(line)), None)
    if first is None:
        raise LoopNestError(f"{path.name} has no function {function!r}")
    body = first
    while body < len(source) and not re.search(r"\)\s*[^()]*:\s*(#.*)?$", source[body]):
        body += 1
    last = body + 1
    while last < len(source) and (not source[last].strip() or source[last][0].isspace()):
        last += 1
    while last > body + 1 and not source[last - 1].strip():
        last -= 1
    return first + 1, last, body + 2


def _as_python(line: str) -> str:
    """Return one line of Cython as a line of Python that means the same to the follower."""
    indent = line[: len(line) - len(line.lstrip())]
    text = line.strip()
    if text.startswith("cdef "):
        declared = re.fullmatch(r"cdef\s+(?:const\s+)?([\w ]+?)\s+(\w+)\s*=\s*(.+)", text)
        if declared is None:
            return indent + "pass"
        kind, name, value = declared.groups()
        return f"{indent}{name} = {value}" if set(kind.split()) & _INTEGERS else indent + "pass"
    found = _FROM_LOOP.match(text)
    if found:
        name, low, high, step = found.groups()
        return f"{indent}for {name} in range({low}, {high}, {step or 1}):{text[found.end() :]}"
    return line


_Form = tuple[int, dict[int, int]]
"""A constant, and the factor of each variable."""


class _Follower:
    """Turns the statements of one function into operations."""

    def __init__(
        self, nest: LoopNest, layouts: Mapping[str, ArrayLayout], numbers: Mapping[str, int]
    ) -> None:
        self.nest = nest
        self.layouts = layouts
        self.constants = dict(numbers)
        self.variables: dict[str, int] = {}
        self.loops: list[tuple[int, int]] = []
        self.operations: list[tuple[int, ...]] = []
        self.forms: list[_Form] = []
        self.accesses: list[Access] = []
        self.declared = self._integers()
        counted = [
            node.id
            for statement in nest.body
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        ]
        self.assigned_once = {name for name in counted if counted.count(name) == 1}

    def follow(self) -> Program:
        """Return the program of the whole function."""
        self.block(self.nest.body)
        width = len(self.variables)
        forms = tuple(
            (constant, *(factors.get(place, 0) for place in range(width))) for constant, factors in self.forms
        )
        return Program(tuple(self.operations), forms, tuple(self.accesses))

    def _integers(self) -> set[str]:
        """Return the names that are declared as whole numbers."""
        names = set(self.nest.defaults)
        for line in self.nest.source[self.nest.first_line - 1 : self.nest.last_line]:
            found = re.match(r"\s*cdef\s+([\w ]+?)\s+(\w+(?:\s*(?:=.*|,\s*\w+))*)\s*$", line)
            if found and set(found[1].split()) & _INTEGERS:
                names |= {part.split("=")[0].strip() for part in found[2].split(",")}
        return names

    def refuse(self, node: ast.AST, reason: str) -> LoopNestError:
        line = getattr(node, "lineno", self.nest.first_line)
        source = self.nest.source[line - 1].strip()
        return LoopNestError(f"{self.nest.path.name}:{line}: {reason}: {source!r}")

    def block(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
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
        return isinstance(target, ast.Name) and target.id in self.declared

    def variable(self, name: ast.Name) -> int:
        self.constants.pop(name.id, None)
        place = self.variables.setdefault(name.id, len(self.variables))
        if place >= MAX_VARIABLES:
            raise self.refuse(name, f"more than {MAX_VARIABLES} index variables")
        return place

    def add_form(self, form: _Form) -> int:
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
