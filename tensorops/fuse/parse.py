"""From the syntax tree to the graph: what is not on the list goes no further."""

from __future__ import annotations

import ast
import builtins
import inspect
import math
from types import ModuleType
from typing import Any

import numpy as np

from tensorops.fuse.errors import FuseError, UnknownName
from tensorops.fuse.nodes import MAX_INLINED, Graph
from tensorops.fuse.source import Source, check_source, read_source
from tensorops.fuse.whitelist import BY_NAME, REDUCTIONS, callables

MAX_ARGUMENTS = 32
MAX_DEPTH = 32

BINARY = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
    ast.FloorDiv: "floor_divide",
    ast.Mod: "remainder",
    ast.BitAnd: "bitwise_and",
    ast.BitOr: "bitwise_or",
    ast.BitXor: "bitwise_xor",
}
UNARY = {ast.USub: "negative", ast.UAdd: "positive", ast.Invert: "invert"}
COMPARED = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}
REFUSED: dict[type[ast.AST], str] = {
    ast.For: "a loop cannot be fused: arrays take its place",
    ast.While: "a loop cannot be fused: arrays take its place",
    ast.If: "a branch cannot be fused: np.where(condition, a, b) chooses for each element",
    ast.IfExp: "a branch cannot be fused: np.where(condition, a, b) chooses for each element",
    ast.BoolOp: "'and' and 'or' ask for one truth value: use & and | between comparisons in brackets",
    ast.Not: "'not' asks for one truth value: use ~ or np.logical_not",
    ast.Subscript: "indexing cannot be fused: pass the part as an argument",
    ast.Lambda: "a function inside cannot be fused",
    ast.FunctionDef: "a function inside cannot be fused",
    ast.Tuple: "a fused function returns one array",
    ast.Attribute: "only functions of NumPy and numbers of modules may be named with a dot",
    ast.Global: "a fused function changes no variable outside",
    ast.Nonlocal: "a fused function changes no variable outside",
    ast.NamedExpr: "assign on a line of its own",
}
KINDS = {id(function): name for name, function in REDUCTIONS.items()} | {
    id(np.amax): "max",
    id(np.amin): "min",
}
CONVERSIONS: dict[int, Any] = {id(kind): kind for kind in (float, int, np.float32, np.float64)}
MATHS = {id(value): name for name, value in vars(math).items() if callable(value)}
MATHS |= {id(min): "minimum", id(max): "maximum", id(round): "rint", id(sum): "sum"}


def parse_function(function: Any) -> Graph:
    """Return the graph of a function's expression.

    Parameters
    ----------
    function : function
        A ``def`` of assignments and one return.

    Returns
    -------
    Graph
        Its nodes.

    Raises
    ------
    FuseError
        If something in it cannot be fused; it says where.
    """
    source = read_source(function)
    names = _parameters(source)
    graph = Graph(tuple(names))
    parser = _Parser(source, graph, dict(zip(names, range(len(names)), strict=True)), (function,))
    try:
        graph.root = parser.run()
        check_source(source)
    except RecursionError:
        raise FuseError("too deeply nested an expression", source.place(source.tree)) from None
    if graph.nodes[graph.root].operation is None and graph.reduction is None:
        raise FuseError(
            "nothing is computed: it returns an argument or a number", source.place(source.tree.body[-1])
        )
    return graph


def _parameters(source: Source) -> list[str]:
    arguments = source.tree.args
    if arguments.vararg or arguments.kwarg:
        raise FuseError(
            "*args and **kwargs cannot be fused", source.place(arguments.vararg or arguments.kwarg)
        )
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    if not every:
        raise FuseError("a fused function needs an argument", source.place(source.tree))
    if len(every) > MAX_ARGUMENTS:
        raise FuseError(
            f"{len(every)} arguments: a fused function takes at most {MAX_ARGUMENTS}",
            source.place(every[MAX_ARGUMENTS]),
        )
    for argument in every:
        if argument.arg == "out":
            raise FuseError("the name 'out' is that of the array to be written", source.place(argument))
    return [argument.arg for argument in every]


class _Parser:
    """Reads one function into a graph; calls of other fused functions are read in their place."""

    def __init__(
        self, source: Source, graph: Graph, values: dict[str, int], callers: tuple[Any, ...]
    ) -> None:
        self.source = source
        self.graph = graph
        self.values = values
        self.callers = callers
        self.parameters = set(values)
        # Names of which another one may be the same array.
        self.shared = set(values)

    def error(self, reason: str, node: Any) -> FuseError:
        """Return an error that points at a part of the source."""
        return FuseError(reason, self.source.place(node))

    def run(self) -> int:
        """Return the node that the function returns."""
        body = self.source.tree.body
        if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            body = body[1:]
        for statement in body[:-1]:
            self.statement(statement)
        last = body[-1] if body else self.source.tree
        if isinstance(last, ast.Return) and last.value is not None:
            return self.value(last.value)
        if not isinstance(last, ast.Return):
            self.refuse_statement(last)
        raise self.error("a fused function ends with the return of one value", last)

    def statement(self, statement: ast.stmt) -> None:
        """Read an assignment to a local name."""
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            self.assign(statement.targets[0], statement.value)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            self.assign(statement.target, statement.value)
        elif isinstance(statement, ast.AugAssign):
            self.change(statement)
        elif isinstance(statement, ast.Return):
            raise self.error("nothing may follow the return", statement)
        else:
            self.refuse_statement(statement)
            raise self.error("only assignments to local names and a return can be fused", statement)

    def refuse_statement(self, statement: ast.AST) -> None:
        """Raise the error of a statement that has one of its own."""
        if type(statement) in REFUSED and statement is not self.source.tree:
            raise self.error(REFUSED[type(statement)], statement)

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        """Give a local name a value, or several their own."""
        targets, values = [target], [value]
        if (
            isinstance(target, ast.Tuple)
            and isinstance(value, ast.Tuple)
            and len(target.elts) == len(value.elts)
        ):
            targets, values = target.elts, value.elts
        numbers = [self.value(part) for part in values]
        for name, part, number in zip(targets, values, numbers, strict=True):
            if not isinstance(name, ast.Name):
                raise self.error("only a plain name can be assigned to", name)
            self.shared.discard(name.id)
            if isinstance(part, ast.Name):
                self.shared |= {name.id, part.id}
            self.values[name.id] = number

    def change(self, statement: ast.AugAssign) -> None:
        """Read ``y += value``, which NumPy does in place."""
        if not isinstance(statement.target, ast.Name) or type(statement.op) not in BINARY:
            raise self.error("only a plain name can be assigned to", statement)
        name = statement.target.id
        before = self.values.get(name)
        if before is None:
            raise self.error(f"{name!r} has no value yet", statement)
        if name in self.shared:
            raise self.error(
                f"in NumPy this changes an array that has another name too: write {name} = {name} … instead",
                statement,
            )
        place = self.source.place(statement)
        after = self.graph.operation(
            BY_NAME[BINARY[type(statement.op)]], (before, self.value(statement.value)), place
        )
        self.graph.grown.append((before, after, place))
        self.values[name] = after

    def value(self, node: ast.expr) -> int:
        """Return the node of an expression."""
        place = self.source.place(node)
        operands: list[ast.expr]
        if isinstance(node, ast.Constant):
            return self.number(node.value, node)
        if isinstance(node, ast.Name):
            return self.name(node)
        if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
            name, operands = BINARY[type(node.op)], [node.left, node.right]
        elif isinstance(node, ast.UnaryOp) and type(node.op) in UNARY:
            name, operands = UNARY[type(node.op)], [node.operand]
        elif isinstance(node, ast.Compare):
            if len(node.ops) > 1:
                raise self.error(
                    "a chain of comparisons asks for one truth value: write (a < b) & (b < c)", node
                )
            if type(node.ops[0]) not in COMPARED:
                raise self.error("'is' and 'in' cannot be fused", node)
            name, operands = COMPARED[type(node.ops[0])], [node.left, node.comparators[0]]
        elif isinstance(node, ast.Call):
            return self.call(node)
        elif isinstance(node, ast.Attribute):
            return self.number(self.resolve(node), node)
        else:
            kind = type(node.op) if isinstance(node, ast.UnaryOp) else type(node)
            raise self.error(REFUSED.get(kind, f"{kind.__name__} is not among what can be fused"), node)
        return self.graph.operation(BY_NAME[name], [self.value(operand) for operand in operands], place)

    def number(self, value: Any, node: ast.expr) -> int:
        """Return the node of a constant."""
        if isinstance(value, np.ndarray):
            raise self.error("an array from outside: pass it as an argument", node)
        return self.graph.constant(value, self.source.place(node))

    def name(self, node: ast.Name) -> int:
        """Return the node of a local name, or that of a number of the module."""
        if node.id in self.values:
            return self.values[node.id]
        return self.number(self.resolve(node), node)

    def resolve(self, node: ast.expr) -> Any:
        """Return the object that a name of the module leads to."""
        if isinstance(node, ast.Name):
            function = self.source.function
            if node.id in function.__code__.co_freevars:
                raise self.error(
                    f"{node.id!r} belongs to the function around it: a closure cannot be fused, pass it in",
                    node,
                )
            if node.id in function.__code__.co_varnames:
                raise self.error(f"{node.id!r} has no value yet", node)
            for names in (function.__globals__, vars(builtins)):
                if node.id in names:
                    return names[node.id]
            raise UnknownName(f"{node.id!r} is not defined", self.source.place(node))
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in self.values:
                raise self.error(REFUSED[ast.Attribute], node)
            module = self.resolve(node.value)
            if isinstance(module, ModuleType):
                # Straight from its names: a module may answer getattr with code of its own.
                found = vars(module).get(node.attr, self)
                if found is self:
                    raise self.error(f"{module.__name__} has no {node.attr!r}", node)
                return found
        raise self.error(REFUSED.get(type(node), "this cannot be called"), node)

    def call(self, node: ast.Call) -> int:
        """Return the node of a call."""
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                raise self.error("*arguments cannot be fused", argument)
        if any(keyword.arg is None for keyword in node.keywords):
            raise self.error("**arguments cannot be fused", node)
        method = self.method(node.func)
        if method is not None:
            name, owner = method
            arguments, function = [owner, *node.args], REDUCTIONS.get(name, np.clip)
        else:
            arguments, function = node.args, self.resolve(node.func)
        if id(function) in KINDS:
            return self.reduction(KINDS[id(function)], arguments, node)
        if function is np.clip:
            return self.clip(arguments, node)
        if hasattr(function, "fused_function"):
            return self.inline(function, node)
        if id(function) in CONVERSIONS and len(arguments) == 1 and not node.keywords:
            value = self.graph.nodes[self.value(arguments[0])]
            if value.constant:
                try:
                    return self.number(CONVERSIONS[id(function)](value.value), node)
                except (ArithmeticError, ValueError) as error:
                    raise self.error(f"{type(error).__name__}: {error}", node) from None
            raise self.error("a conversion of an array cannot be fused", node)
        operation = callables().get(id(function))
        if operation is None:
            hint = MATHS.get(id(function))
            raise self.error(
                f"np.{hint} computes arrays, this does not"
                if hint and hasattr(np, hint)
                else f"{ast.unparse(node.func)} is not among the functions that can be fused",
                node,
            )
        if node.keywords:
            raise self.error(f"{operation.name}: keyword arguments cannot be fused", node)
        if len(arguments) != len(operation.operands):
            raise self.error(
                f"{operation.name} takes {len(operation.operands)} arguments here, not {len(arguments)}", node
            )
        numbers = [self.value(argument) for argument in arguments]
        return self.graph.operation(operation, numbers, self.source.place(node))

    def method(self, function: ast.expr) -> tuple[str, ast.expr] | None:
        """Return name and owner of a method of an array, None for a function of a module."""
        if not isinstance(function, ast.Attribute):
            return None
        owner = function.value
        if isinstance(owner, ast.Name | ast.Attribute) and not (
            isinstance(owner, ast.Name) and owner.id in self.values
        ):
            return None
        if function.attr != "clip" and function.attr not in REDUCTIONS:
            raise self.error(f"the method {function.attr!r} cannot be fused", function)
        return function.attr, owner

    def clip(self, arguments: list[ast.expr], node: ast.Call) -> int:
        """Return the node of np.clip, a maximum and a minimum."""
        given: dict[str, ast.expr] = dict(zip(("a", "a_min", "a_max"), arguments, strict=False))
        for keyword in node.keywords:
            name = {"min": "a_min", "max": "a_max"}.get(keyword.arg or "", keyword.arg or "")
            if name not in ("a_min", "a_max") or name in given:
                raise self.error(f"clip: the argument {keyword.arg!r} cannot be fused", node)
            given[name] = keyword.value
        if len(arguments) > 3 or "a" not in given:
            raise self.error("clip takes an array and two bounds", node)
        place = self.source.place(node)
        number = self.value(given["a"])
        for name, operation in (("a_min", "maximum"), ("a_max", "minimum")):
            bound = given.get(name)
            if bound is not None and not (isinstance(bound, ast.Constant) and bound.value is None):
                number = self.graph.operation(BY_NAME[operation], (number, self.value(bound)), place)
        return number

    def reduction(self, kind: str, arguments: list[ast.expr], node: ast.Call) -> int:
        """Return the node of a sum, mean or extreme."""
        given: dict[str, ast.expr] = dict(zip(("a", "axis"), arguments, strict=False))
        given |= {keyword.arg or "": keyword.value for keyword in node.keywords}
        if len(arguments) > 2 or "a" not in given or not given.keys() <= {"a", "axis", "keepdims"}:
            raise self.error(f"{kind}: only axis and keepdims can be fused", node)
        axis = self.whole(given["axis"]) if "axis" in given else None
        keepdims = self.whole(given["keepdims"]) if "keepdims" in given else False
        number = self.value(given["a"])
        return self.graph.reduce(kind, number, axis, bool(keepdims), self.source.place(node))

    def whole(self, node: ast.expr) -> Any:
        """Return the value of an axis: a whole number, several of them, or None."""
        if isinstance(node, ast.Tuple):
            return tuple(self.whole(part) for part in node.elts)
        if isinstance(node, ast.Constant) and node.value is None:
            return None
        value = self.graph.nodes[self.value(node)]
        if not value.constant or not isinstance(value.value, int | np.integer):
            raise self.error("the axis must be a whole number of the source", node)
        return int(value.value)

    def inline(self, fused: Any, node: ast.Call) -> int:
        """Return the node of a fused function's result, read in the place of its call."""
        function = fused.fused_function
        if function in self.callers:
            raise self.error(f"{function.__name__!r} calls itself: recursion cannot be fused", node)
        if len(self.callers) >= MAX_DEPTH:
            raise self.error(f"calls of fused functions more than {MAX_DEPTH} deep", node)
        self.graph.inlined += 1
        if self.graph.inlined > MAX_INLINED:
            raise self.error(f"more than {MAX_INLINED} calls of fused functions", node)
        source = read_source(function)
        names = _parameters(source)
        try:
            bound = inspect.signature(function).bind(
                *[self.value(argument) for argument in node.args],
                **{keyword.arg: self.value(keyword.value) for keyword in node.keywords if keyword.arg},
            )
        except TypeError as error:
            raise self.error(f"{function.__name__}: {error}", node) from None
        values = dict(bound.arguments)
        for name, parameter in inspect.signature(function).parameters.items():
            if name not in values:
                values[name] = self.number(parameter.default, node)
        inner = _Parser(source, self.graph, {name: values[name] for name in names}, (*self.callers, function))
        result = inner.run()
        check_source(source)
        if result in values.values():
            raise self.error(f"{function.__name__} returns its argument", node)
        return result
