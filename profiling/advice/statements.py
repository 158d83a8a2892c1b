"""Runs of plain statements: which value each expression has, who else reads what was assigned on the way."""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from .reading import METHODS, Meanings, function_name, is_place, read
from .trees import ELEMENTWISE, Tree

LARGEST = 300
"""Trees with more parts are not followed: an intermediate result that is used twice doubles them."""

PURE_METHODS = METHODS | frozenset(
    "astype copy reshape transpose ravel flatten argmax argmin item tolist keys values items get".split()
)
PURE_FUNCTIONS = frozenset("abs float int len max min print range round str sum tuple zip".split())
PURE_MODULES = ("math.", "numpy.", "scipy.", "tensorops.", "time.", "vectorized.")
IMPURE = ("numpy.random.", "numpy.copyto", "numpy.put", "numpy.place", "numpy.fill_diagonal")
SIMPLE = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return)


@dataclass(frozen=True, slots=True)
class Run:
    """Statements that run one after the other.

    Attributes
    ----------
    statements : tuple of ast.stmt
        Assignments, expressions, a return.
    in_loop : bool
        Whether they stand in a loop of their function.
    reads_elsewhere : frozenset of str
        Names that other statements of the same function, or functions in it, read.
    stores : mapping of str to tuple of int
        The lines in which each name, attribute or item is assigned in the function, arguments aside.
    """

    statements: tuple[ast.stmt, ...]
    in_loop: bool
    reads_elsewhere: frozenset[str]
    stores: Mapping[str, tuple[int, ...]]

    def lines_of(self, place: int) -> tuple[int, int]:
        """Return the first and the last line of a statement."""
        statement = self.statements[place]
        return statement.lineno, statement.end_lineno or statement.lineno


def runs_of(scope: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Run]:
    """Yield the runs of a function or of a module's own statements.

    Parameters
    ----------
    scope : ast.Module or ast.FunctionDef
        Functions inside it are not gone through.

    Yields
    ------
    Run
        In the order of the source.
    """
    stores: dict[str, tuple[int, ...]] = {}
    for node in ast.walk(scope):
        kinds = ast.Name | ast.Attribute | ast.Subscript
        if isinstance(node, kinds) and isinstance(node.ctx, ast.Store | ast.Del):
            text = ast.unparse(node)
            stores[text] = (*stores.get(text, ()), node.end_lineno or node.lineno)
    every = _reads([scope])
    for statements, in_loop in _bodies(scope, False):
        here = _reads(statements)
        elsewhere = frozenset(name for name, count in every.items() if count > here.get(name, 0))
        yield Run(tuple(statements), in_loop, elsewhere, stores)


def _reads(nodes: Iterable[ast.AST]) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
                found[part.id] = found.get(part.id, 0) + 1
    return found


def _bodies(node: ast.AST, in_loop: bool) -> Iterator[tuple[list[ast.stmt], bool]]:
    looping = in_loop or isinstance(node, ast.For | ast.While | ast.AsyncFor)
    for name in ("body", "orelse", "finalbody", "handlers"):
        held: list[ast.stmt] = []
        for statement in getattr(node, name, []):
            if isinstance(statement, SIMPLE):
                held.append(statement)
                continue
            if held:
                yield held, looping
                held = []
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _bodies(statement, looping)
        if held:
            yield held, looping


@dataclass(frozen=True, slots=True)
class Root:
    """The value of a statement.

    Attributes
    ----------
    statement : int
        Its place in the run.
    tree : Tree
        The value.
    target : str
        The place that it changes in place, where there is no expression for the whole of it; else empty.
    """

    statement: int
    tree: Tree
    target: str = ""


@dataclass(slots=True)
class Analysis:
    """A run, gone through once.

    Attributes
    ----------
    run : Run
        The statements.
    meanings : Meanings
        Of the file's names.
    cuts : frozenset of int
        Statements whose targets are taken as given.
    roots : list of Root
        What each statement computes.
    defined : dict of int to str
        The place that a statement gives a value.
    mutating : set of int
        Statements that change memory from before the run.
    reads : dict
        By name and the statement that gave it its value (-1: before the run): statements that read it.
    changes : list of (int, str)
        Statement and place that it changes; ``*`` for all attributes and items.
    values : dict of str to Tree
        What places hold at the end.
    fresh : set of str
        Places whose memory was made in the run.
    """

    run: Run
    meanings: Meanings
    cuts: frozenset[int] = frozenset()
    roots: list[Root] = field(default_factory=list)
    defined: dict[int, str] = field(default_factory=dict)
    mutating: set[int] = field(default_factory=set)
    reads: dict[tuple[str, int], set[int]] = field(default_factory=dict)
    changes: list[tuple[int, str]] = field(default_factory=list)
    values: dict[str, Tree] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Go through the statements."""
        for place, statement in enumerate(self.run.statements):
            self._note_reads(place, statement)
            self._go(place, statement)

    def version(self, text: str, before: int, without: Collection[int] = ()) -> int:
        """Return the last statement before another one that changed what a place holds; -1 for none.

        Parameters
        ----------
        text : str
            The place.
        before : int
            The statement that looks.
        without : collection of int
            Statements that are not there.

        Returns
        -------
        int
            Its place in the run.
        """
        names = _names_in(text)
        return max(
            (
                place
                for place, changed in self.changes
                if place < before and place not in without and _concerns(changed, text, names)
            ),
            default=-1,
        )

    def keeps_shape(self, place: int) -> bool:
        """Tell whether a statement gives its target an array of the shape that it had.

        Parameters
        ----------
        place : int
            The statement.

        Returns
        -------
        bool
            True for what changes an array in place, and for elementwise steps from the old value to the new.
        """
        if place in self.mutating or isinstance(self.run.statements[place], ast.AugAssign):
            return True
        tree = next((root.tree for root in self.roots if root.statement == place), None)
        if tree is None:
            return False
        kinds = {part.op for part in tree.walk()}
        own = self.defined.get(place) in {part.value for part in tree.walk() if part.op == "name"}
        return own and kinds <= ELEMENTWISE.keys() | {"name", "number"}

    def escaping(self, consumed: Collection[int], root: int, source: ast.expr | None) -> set[int]:
        """Return those of the statements whose values somebody else reads too.

        Parameters
        ----------
        consumed : collection of int
            Statements that are to go.
        root : int
            The statement that gets their values.
        source : ast.expr or None
            The part of it that is replaced; None for all of it.

        Returns
        -------
        set of int
            Some of `consumed`.
        """
        found = set()
        rest = {} if source is None else _reads([_without(self.run.statements[root], source)])
        for place in consumed:
            name = self.defined.get(place, "")
            readers = self.reads.get((name, place), set())
            if not name.isidentifier() or not readers <= {*consumed, root} or name in rest:
                found.add(place)
            elif self._lives_on(name, place):
                found.add(place)
        return found

    def _lives_on(self, name: str, place: int) -> bool:
        if any(other > place and defined == name for other, defined in self.defined.items()):
            return False
        again = self.run.in_loop and bool(self.reads.get((name, -1)))
        return name in self.run.reads_elsewhere or again

    def _note_reads(self, place: int, statement: ast.stmt) -> None:
        names = set(_reads([statement]))
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            names.add(statement.target.id)
        for name in names:
            given = max((at for at, defined in self.defined.items() if defined == name), default=-1)
            self.reads.setdefault((name, given), set()).add(place)

    def _go(self, place: int, statement: ast.stmt) -> None:
        self._note_calls(place, statement)
        value = getattr(statement, "value", None)
        if value is None:
            return
        tree = self._read(value, place)
        if isinstance(statement, ast.AugAssign):
            self._change_in_place(place, statement, tree)
            return
        into = _out_of(value, self.meanings)
        if into is not None:
            self._change(place, into, tree)
            self.roots.append(Root(place, tree, into))
            if isinstance(statement, ast.Assign):
                tree = self._read(ast.parse(into, mode="eval").body, place + 1)
        else:
            self.roots.append(Root(place, tree))
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                self._assign(place, target, tree, len(statement.targets) > 1)
        elif isinstance(statement, ast.AnnAssign):
            self._assign(place, statement.target, tree, False)

    def _read(self, node: ast.expr, place: int) -> Tree:
        tree = read(node, self.meanings, self.values)
        return self._dated(tree, place)

    def _dated(self, tree: Tree, place: int) -> Tree:
        """Return a tree with the age of what its names hold."""
        if tree.statement is not None:
            return tree
        if tree.op == "name":
            since = max(tree.since, self.version(tree.value, place))
            return Tree("name", (), tree.value, since, source=tree.source)
        args = tuple(self._dated(arg, place) for arg in tree.args)
        return Tree(tree.op, args, tree.value, tree.since, tree.statement, tree.place, tree.source)

    def _assign(self, place: int, target: ast.expr, tree: Tree, several: bool) -> None:
        if isinstance(target, ast.Tuple | ast.List | ast.Starred):
            for element in getattr(target, "elts", [getattr(target, "value", None)]):
                self._assign(place, element, Tree("unknown"), True)
            return
        text = ast.unparse(target)
        if not is_place(target) or (not isinstance(target, ast.Name) and _is_slice(target)):
            # Elements of an array: it is another one from now on.
            self._forget(place, _base(target))
            self.mutating.add(place)
            return
        self._forget_related(text)
        self.changes.append((place, text))
        if not several:
            self.defined[place] = text
        self.values[text] = self._held(place, text, Tree("unknown") if several else tree)
        self.fresh.discard(text)
        if tree.op not in ("name", "unknown") and not several and tree.statement is None:
            self.fresh.add(text)

    def _held(self, place: int, text: str, tree: Tree) -> Tree:
        large = len(list(islice(tree.walk(), LARGEST + 1))) > LARGEST
        if place in self.cuts or large or not tree.is_known:
            return Tree("name", value=text, since=place)
        if tree.op == "name":
            # Another name for the same memory.
            return tree
        return tree.held(place, text)

    def _change_in_place(self, place: int, statement: ast.AugAssign, tree: Tree) -> None:
        operation = ast.BinOp(ast.Constant(0), statement.op, ast.Constant(0))
        op = read(operation, self.meanings, {}).op
        target = copy.copy(statement.target)
        text = ast.unparse(target)
        if not is_place(target) or op == "unknown":
            self._forget(place, _base(target))
            self.mutating.add(place)
            self.roots.append(Root(place, tree))
            return
        target.ctx = ast.Load()
        before = self._read(target, place)
        whole = Tree(op, (before, tree))
        self._change(place, text, whole)
        self.roots.append(Root(place, whole, text))

    def _change(self, place: int, text: str, tree: Tree) -> None:
        """Note that the memory of a place is written."""
        before = self.values.get(text)
        if text not in self.fresh:
            self.mutating.add(place)
            if before is not None and before.op == "name" and before.value != text:
                self.changes.append((place, str(before.value)))
        for other, value in list(self.values.items()):
            if other != text and value == before:
                self.values[other] = Tree("name", value=other, since=place)
        self._forget_related(text)
        self.changes.append((place, text))
        self.defined[place] = text
        self.values[text] = self._held(place, text, tree)

    def _forget(self, place: int, text: str) -> None:
        self.changes.append((place, text))
        self._forget_related(text)
        self.values.pop(text, None)

    def _forget_related(self, text: str) -> None:
        """Forget places that are named by one that changes, such as ``rows[i]`` by ``i``."""
        for other in list(self.values):
            if other != text and (_concerns(text, other, _names_in(other))):
                del self.values[other]

    def _note_calls(self, place: int, statement: ast.stmt) -> None:
        """Note what calls of unknown functions may change: what they are given, and all attributes."""
        for node in ast.walk(statement):
            if not isinstance(node, ast.Call):
                continue
            into = [keyword.value for keyword in node.keywords if keyword.arg == "out"]
            if into and node is not getattr(statement, "value", None):
                self._forget(place, _base(into[0]))
            if self._is_pure(node):
                continue
            self.changes.append((place, "*"))
            for text in list(self.values):
                if not text.isidentifier():
                    del self.values[text]
            receiver = [node.func.value] if isinstance(node.func, ast.Attribute) else []
            for given in (*node.args, *(keyword.value for keyword in node.keywords), *receiver):
                for part in ast.walk(given):
                    if isinstance(part, ast.Name) and part.id not in self.meanings.dotted:
                        self._forget(place, part.id)

    def _is_pure(self, node: ast.Call) -> bool:
        meaning = self.meanings.meaning(node.func)
        if meaning is not None and "." in meaning:
            whole = meaning.startswith(PURE_MODULES) and not meaning.startswith(IMPURE)
            return whole and not meaning.endswith(("_", ".at"))
        if isinstance(node.func, ast.Attribute):
            return node.func.attr in PURE_METHODS
        return isinstance(node.func, ast.Name) and node.func.id in PURE_FUNCTIONS


def _out_of(value: ast.expr, meanings: Meanings) -> str | None:
    """Return the place that a call writes its result to."""
    if not isinstance(value, ast.Call) or function_name(value, meanings) is None:
        return None
    for keyword in value.keywords:
        if keyword.arg == "out" and is_place(keyword.value):
            return ast.unparse(keyword.value)
    return None


def _is_slice(node: ast.expr) -> bool:
    """Tell whether assigning there may write elements of an array: not an item by a name or a text."""
    return isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Name | ast.Constant)


def _base(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript | ast.Starred | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return ast.unparse(node)


def _names_in(text: str) -> frozenset[str]:
    if text.isidentifier():
        return frozenset({text})
    found = ast.walk(ast.parse(text, mode="eval"))
    return frozenset(node.id for node in found if isinstance(node, ast.Name))


def _concerns(changed: str, text: str, names: frozenset[str]) -> bool:
    """Tell whether a change of one place may change what another one is."""
    if changed == "*":
        return not text.isidentifier() and not text.endswith(".T")
    if changed == text or changed in names:
        return True
    return text.startswith((f"{changed}.", f"{changed}[")) or changed.startswith(f"{text}[")


def _without(statement: ast.stmt, source: ast.expr) -> ast.stmt:
    return replaced(statement, source, ast.Constant(None))


def replaced(statement: ast.stmt, source: ast.expr, by: ast.expr) -> ast.stmt:
    """Return a statement with one of its expressions exchanged.

    Parameters
    ----------
    statement : ast.stmt
        It stays as it is.
    source : ast.expr
        The expression: this very node.
    by : ast.expr
        What stands there instead.

    Returns
    -------
    ast.stmt
        A copy.

    Examples
    --------
    >>> statement = ast.parse("y = f(x) + 1").body[0]
    >>> ast.unparse(replaced(statement, statement.value.left, ast.Name("z")))
    'y = z + 1'
    """
    copied: ast.stmt = copy.deepcopy(statement, {id(source): by})
    return copied
