"""Put this library's products into the functions of a module: its syntax tree, changed and compiled again.

Line numbers stay, so that tracebacks and profiles still point at the source. What is called is a constant of
the new code, no name in the module: code that runs while it is put back goes on to work.
"""

from __future__ import annotations

import ast
import copy
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from tensorops.adapters.loop_nests import Nest, find_nest, names_read_outside

_PLACEHOLDER = "\0tensorops "
Key = tuple[str, int]
"""Qualified name and first line of a function."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product in a function's source.

    Attributes
    ----------
    function : str
        Qualified name of the function.
    line : int
        Where it stands.
    kind : {"fresh", "loops", "operator", "function"}
        Nested loops over new zeros, or over another result, ``a @ b``, or ``np.matmul``.
    nest : Nest or None
        What the loops compute.
    loop : ast.For or None
        The loops.
    """

    function: str
    line: int
    kind: str
    nest: Nest | None = None
    loop: ast.For | None = None


class Rewriter(ast.NodeTransformer):
    """Replace products in a syntax tree by calls of placeholders.

    Parameters
    ----------
    namespace : mapping
        The module's names: which of them is NumPy.

    Attributes
    ----------
    found : list of Product
        What was replaced, in the order of the placeholders.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self.namespace = namespace
        self.found: list[Product] = []
        self._path: list[str] = []
        self._functions: list[ast.AST] = []
        # Loops, with the statement just before that makes zeros.
        self._zeros: dict[ast.AST, ast.Assign] = {}
        self._moved: set[ast.AST] = set()

    def _enter(self, node: Any, local: bool) -> Any:
        self._path.append(node.name)
        if local:
            self._functions.append(node)
            self._path.append("<locals>")
            for statements in _blocks(node):
                self._note_zeros(statements)
        self.generic_visit(node)
        if local:
            for statements in _blocks(node):
                statements[:] = [statement for statement in statements if statement not in self._moved]
            self._functions.pop()
            self._path.pop()
        self._path.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        """Go on inside."""
        return self._enter(node, local=False)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        """Go on inside, knowing which zeros were written just before a loop."""
        return self._enter(node, local=True)

    def visit_For(self, node: ast.For) -> Any:
        """Guard a product in loops by the call that computes it."""
        nest = find_nest(node) if self._functions else None
        if nest is None or names_read_outside(self._functions[-1], node, nest.names):
            self.generic_visit(node)
            return node
        zeros = self._zeros.get(node)
        if zeros is not None and ast.unparse(zeros.targets[0]) != ast.unparse(nest.result):
            zeros = None
        called = self._placeholder(node, "fresh" if zeros else "loops", nest, copy.deepcopy(node))
        arguments: list[ast.expr] = [nest.left, nest.right, nest.m, nest.n, nest.k or ast.Constant(None)]
        turned = [ast.Constant(nest.left_transposed), ast.Constant(nest.right_transposed)]
        if zeros is None:
            arguments = [nest.result, *arguments, ast.Constant(nest.accumulate), *turned]
            return _placed(ast.If(ast.UnaryOp(ast.Not(), ast.Call(called, arguments, [])), [node], []), node)
        # result = fresh(…); where that is None: the zeros, the loops.
        call = zeros.value
        assert isinstance(call, ast.Call)
        name = ast.Name(ast.unparse(nest.result), ast.Load())
        self._moved.add(zeros)
        asked = ast.Assign(
            copy.deepcopy(zeros.targets), ast.Call(called, [*arguments, *turned, *call.args], call.keywords)
        )
        test = ast.Compare(name, [ast.Is()], [ast.Constant(None)])
        as_before = ast.If(test, [copy.deepcopy(zeros), node], [])
        return [_placed(asked, node), _placed(as_before, node)]

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        """Replace ``a @ b``."""
        self.generic_visit(node)
        if not isinstance(node.op, ast.MatMult) or not self._functions:
            return node
        called = self._placeholder(node, "operator")
        return _placed(ast.Call(called, [node.left, node.right], []), node)

    def visit_Call(self, node: ast.Call) -> Any:
        """Replace ``np.matmul``."""
        self.generic_visit(node)
        function = node.func
        if (
            self._functions
            and isinstance(function, ast.Attribute)
            and function.attr == "matmul"
            and isinstance(function.value, ast.Name)
            and self.namespace.get(function.value.id) is np
        ):
            node.func = self._placeholder(node, "function")
        return node

    def _note_zeros(self, statements: list[ast.stmt]) -> None:
        for before, statement in itertools.pairwise(statements):
            if not isinstance(statement, ast.For) or not isinstance(before, ast.Assign):
                continue
            call = before.value
            if (
                len(before.targets) == 1
                and isinstance(before.targets[0], ast.Name)
                and isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr == "zeros"
                and isinstance(call.func.value, ast.Name)
                and self.namespace.get(call.func.value.id) is np
                and {keyword.arg for keyword in call.keywords} <= {"shape", "dtype"}
                and not any(isinstance(value, ast.Starred) for value in call.args)
                and len(call.args) <= 2
            ):
                self._zeros[statement] = before

    def _placeholder(
        self, node: ast.expr | ast.stmt, kind: str, nest: Nest | None = None, loop: ast.For | None = None
    ) -> ast.Constant:
        function = ".".join(self._path).removesuffix(".<locals>")
        self.found.append(Product(function, node.lineno, kind, nest, loop))
        constant = ast.Constant(f"{_PLACEHOLDER}{len(self.found) - 1}")
        ast.copy_location(constant, node)
        return constant


def rewrite(
    module: ModuleType, source: str, call_for: Callable[[Product], Callable[..., Any]]
) -> tuple[dict[Key, tuple[CodeType, CodeType]], list[Product]]:
    """Compile a module's source with its products replaced.

    Parameters
    ----------
    module : module
        Where the source comes from.
    source : str
        Its text.
    call_for : callable
        ``call_for(product)``: what is called in its place.

    Returns
    -------
    codes : dict
        For each function that changes, the code before and after.
    found : list of Product
        The products.

    Raises
    ------
    SyntaxError
        If the text is no Python.
    """
    filename = module.__file__ or "<unknown>"
    rewriter = Rewriter(vars(module))
    tree = rewriter.visit(ast.parse(source, filename))
    with warnings.catch_warnings():
        # "'str' object is not callable": it is replaced before anybody calls it.
        warnings.simplefilter("ignore")
        before = compile(source, filename, "exec", dont_inherit=True)
        after = compile(tree, filename, "exec", dont_inherit=True)
    functions = {f"{_PLACEHOLDER}{place}": call_for(found) for place, found in enumerate(rewriter.found)}
    old, new = dict(_codes(before)), dict(_codes(filled(after, functions)))
    codes = {key: (old[key], new[key]) for key in old if key in new and old[key] != new[key]}
    return codes, rewriter.found


def filled(code: CodeType, functions: Mapping[str, Callable[..., Any]]) -> CodeType:
    """Return code with functions in place of the strings that stand for them.

    Parameters
    ----------
    code : code
        Compiled code; that of inner functions is changed too.
    functions : mapping of str to callable
        What the strings stand for.

    Returns
    -------
    code
        The same code with other constants.
    """
    constants = tuple(
        filled(constant, functions)
        if isinstance(constant, CodeType)
        else functions.get(constant, constant)
        if isinstance(constant, str)
        else constant
        for constant in code.co_consts
    )
    return code.replace(co_consts=constants)


def _codes(code: CodeType) -> Iterator[tuple[Key, CodeType]]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield (constant.co_qualname, constant.co_firstlineno), constant
            yield from _codes(constant)


def _blocks(function: ast.AST) -> list[list[ast.stmt]]:
    return [
        statements
        for part in ast.walk(function)
        for statements in (getattr(part, "body", None), getattr(part, "orelse", None))
        if isinstance(statements, list)
    ]


def _placed(new: ast.AST, old: ast.AST) -> ast.AST:
    return ast.fix_missing_locations(ast.copy_location(new, old))
