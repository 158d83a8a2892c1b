"""From a pattern's match to two pieces of code that can be run side by side, and to words for people."""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .snapshot import Moment, Seen
from .statements import Analysis, Root, replaced
from .trees import Tree, expression


class CutError(Exception):
    """Values that were to go are needed by others: the match has to be made without them."""

    def __init__(self, statements: set[int]) -> None:
        super().__init__(f"read by others: {sorted(statements)}")
        self.statements = statements


@dataclass(frozen=True, slots=True)
class Match:
    """What a pattern says of a tree.

    Attributes
    ----------
    title : str
        The replacement in a word or two, such as ``tensorops.gelu``.
    text : str
        The expression that replaces the tree, or the call where there are `outputs`.
    kept : tuple of Tree
        Trees in it that `text` names; what led to them stays.
    operation : str
        The operation whose bound holds; empty where there is none.
    operands : tuple of str
        Its operands, as `text` has them.
    params : mapping
        Its parameters, as numbers.
    setup : str
        What has to stand before, such as a decorated function.
    outputs : tuple of str
        Places that the call changes, where it has no result.
    note : str
        A sentence on what else is different.
    in_place : mapping of str to str
        By a place, the statement that changes it in place.
    """

    title: str
    text: str
    kept: tuple[Tree, ...]
    operation: str = ""
    operands: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    setup: str = ""
    outputs: tuple[str, ...] = ()
    note: str = ""
    in_place: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """A tree and where it stands.

    Attributes
    ----------
    analysis : Analysis
        Of the run.
    root : Root
        The statement.
    tree : Tree
        The tree, which is all or a part of the statement's value.
    view : View
        What names hold there.
    """

    analysis: Analysis
    root: Root
    tree: Tree
    view: View

    @property
    def whole_target(self) -> str:
        """The place that the whole statement changes; empty if the tree is an expression."""
        return self.root.target if self.tree is self.root.tree else ""

    def render(self, tree: Tree) -> str:
        """Return a part of the tree as text; values that have a name go by it."""
        return ast.unparse(expression(tree, self.written(tree), self.numpy_name))

    def written(self, tree: Tree) -> dict[Tree, ast.expr]:
        """Return the names of those values in a tree that a statement before has named."""
        found = {}
        for part in tree.walk():
            if part.statement is not None and part.place and part.statement != self.root.statement:
                found[part] = ast.parse(part.place, mode="eval").body
        return found

    def named_parts(self, tree: Tree) -> tuple[Tree, ...]:
        """Return those values in a tree that have names, as `render` uses them."""
        if tree.op == "name" or (tree.statement is not None and tree.statement != self.root.statement):
            return (tree,)
        return tuple(dict.fromkeys(part for arg in tree.args for part in self.named_parts(arg)))

    @property
    def numpy_name(self) -> str:
        """What NumPy is called in the file."""
        dotted = self.analysis.meanings.dotted
        return next((name for name, meaning in dotted.items() if meaning == "numpy"), "np")

    def named(self, tree: Tree) -> Tree:
        """Return the name that a value goes by: its own, or that of the place that holds it."""
        if tree.op != "name" and tree.statement is not None and tree.statement != self.root.statement:
            return Tree("name", value=tree.place, since=tree.statement)
        return tree

    def seen(self, tree: Tree) -> Seen | None:
        """Return what was seen of a value that has a name."""
        name = self.named(tree)
        return self.view.of(name) if name.op == "name" else None

    def is_array(self, tree: Tree) -> bool:
        """Tell whether a name was seen to hold an array of any kind."""
        seen = self.seen(tree)
        return seen is not None and seen.array is not None and seen.array.ndim > 0

    def number(self, tree: Tree) -> float | None:
        """Return a number's value, or the one that a name was seen to hold."""
        if tree.op == "number":
            return float(tree.value)
        seen = self.seen(tree)
        return None if seen is None or seen.number is None else float(seen.number)


class View:
    """What places held around a run of statements.

    Parameters
    ----------
    moments : sequence of Moment
        What was seen of the function, the most frequent first.
    analysis : Analysis
        Of the run.
    """

    def __init__(self, moments: Sequence[Moment], analysis: Analysis) -> None:
        self._moments = moments
        self._analysis = analysis
        self._known: dict[Tree, Seen | None] = {}

    def of(self, name: Tree) -> Seen | None:
        """Return what a name held, where it was seen most often."""
        if name not in self._known:
            found = (self._at(name, moment) for moment in self._moments)
            self._known[name] = next((seen for seen in found if seen is not None), None)
        return self._known[name]

    def together(self, names: Sequence[Tree]) -> dict[str, Seen] | None:
        """Return what several names held at one moment, else each by itself; None where one was not seen."""
        for moment in self._moments:
            found = {name.value: self._at(name, moment) for name in names}
            if None not in found.values():
                return {text: seen for text, seen in found.items() if seen is not None}
        alone = {name.value: self.of(name) for name in names}
        return None if None in alone.values() else {text: seen for text, seen in alone.items() if seen}

    def _at(self, name: Tree, moment: Moment) -> Seen | None:
        """Return what a name was seen to hold, if it held this value then, or an array of the same shape."""
        seen = moment.at(name.value)
        if seen is None or self._holds(name, moment.line, exactly=seen.array is None):
            return seen
        return None

    def _holds(self, name: Tree, line: int, exactly: bool) -> bool:
        """Tell whether a name held this very value when the function was seen at a line."""
        run = self._analysis.run
        words = {part.id for part in ast.walk(ast.parse(name.value)) if isinstance(part, ast.Name)}
        stored = [at for word in {*words, name.value} for at in run.stores.get(word, ())]
        inside = [place for place, text in self._analysis.defined.items() if text in {*words, name.value}]
        if not exactly:
            kept = [place for place in inside if self._analysis.keeps_shape(place)]
            inside = [place for place in inside if place not in kept]
            ends = {run.lines_of(place)[1] for place in kept}
            stored = [at for at in stored if at not in ends]
        if len(stored) <= 1 and len(inside) <= 1:
            # Nothing else gives it a value, so it holds to the end.
            if inside and name.since < 0:
                return bool(stored) and line <= stored[0]
            return all(line > at for at in stored)
        first = run.lines_of(0)[0] if name.since < 0 else run.lines_of(name.since)[1] + 1
        later = [place for place in inside if place > name.since]
        last = run.lines_of(min(later) if later else len(run.statements) - 1)[1]
        return first <= line <= last


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two pieces of code that should do the same.

    Attributes
    ----------
    match : Match
        What replaces it.
    lines : tuple of (int, int)
        First and last line of each statement that it is about.
    before, after : str
        The code for people.
    trial : mapping
        What `trial` runs.
    shapes : str
        Of the arrays, for people.
    is_whole : bool
        Whether all that the lines do is timed, and not a part of it alone.
    """

    match: Match
    lines: tuple[tuple[int, int], ...]
    before: str
    after: str
    trial: Mapping[str, Any]
    shapes: str
    is_whole: bool

    def overlaps(self, other: Candidate) -> bool:
        """Tell whether two candidates are about a common line."""
        return any(a <= d and c <= b for a, b in self.lines for c, d in other.lines)


def consumed_by(tree: Tree, kept: Sequence[Tree], root: int) -> set[int]:
    """Return the statements before a root whose values a replacement does not need.

    Parameters
    ----------
    tree : Tree
        What is replaced.
    kept : sequence of Tree
        Parts that the replacement names.
    root : int
        The statement of the tree.

    Returns
    -------
    set of int
        Places in the run.
    """
    found: set[int] = set()

    def go(part: Tree) -> None:
        if part in kept and part is not tree:
            return
        if part.statement is not None and part.statement != root:
            found.add(part.statement)
        for arg in part.args:
            go(arg)

    go(tree)
    return found


def candidate_of(site: Site, match: Match) -> Candidate | None:
    """Return the code of a match, or None where it cannot be taken out of its place.

    Parameters
    ----------
    site : Site
        Where it is.
    match : Match
        What a pattern said.

    Returns
    -------
    Candidate or None
        None where a name holds something else at the end, or was not seen.

    Raises
    ------
    CutError
        If other statements need what the match would do without.
    """
    analysis, root = site.analysis, site.root
    source = None if match.outputs or site.whole_target else site.tree.source
    consumed = consumed_by(site.tree, match.kept, root.statement)
    if match.outputs:
        consumed = {place for place in consumed if analysis.defined.get(place) not in match.outputs} | {
            place
            for place, text in analysis.defined.items()
            if text in match.outputs and place < root.statement
        }
        silent = {place for place in consumed if analysis.defined[place] not in match.outputs}
    else:
        silent = consumed
        target = site.whole_target
        if any(place in analysis.mutating and analysis.defined.get(place) != target for place in consumed):
            return None
    escaping = analysis.escaping(consumed, root.statement, source) & silent
    if escaping:
        raise CutError(escaping)
    names = [site.named(tree) for tree in match.kept]
    names += [name for name in _rest_names(site.tree, match.kept) if name not in names]
    names = list(dict.fromkeys(names))
    if len({name.value for name in names}) < len(names):
        return None
    for name in names:
        held = analysis.version(name.value, root.statement, consumed)
        if name.since in consumed or held != name.since:
            return None
    seen = site.view.together(names)
    if seen is None or not any(one.is_real for one in seen.values()):
        return None
    around = _names_around(site, consumed) if source is not None else []
    more = None if around is None else site.view.together([*names, *around])
    if around and more is not None and len({name.value for name in (*names, *around)}) < len(more):
        more = None
    return _Writing(site, match, source, sorted(consumed), more or seen, more is not None).candidate()


def _names_around(site: Site, consumed: set[int]) -> list[Tree] | None:
    """Return the names that the rest of the statement needs; None where it cannot be run by itself."""
    found: list[Tree] = []
    root = site.root
    if not root.tree.is_known:
        return None

    def go(part: Tree) -> None:
        if part is site.tree:
            return
        if part.statement is not None and part.statement != root.statement and part.statement not in consumed:
            found.append(site.named(part))
            return
        if part.op == "name":
            found.append(part)
        for arg in part.args:
            go(arg)

    go(root.tree)
    versions = {name: site.analysis.version(name.value, root.statement, consumed) for name in found}
    right = all(name.since == versions[name] and name.since not in consumed for name in found)
    return list(dict.fromkeys(found)) if right else None


def _rest_names(tree: Tree, kept: Sequence[Tree]) -> list[Tree]:
    """Return the names of a tree that stand outside the kept parts."""
    found: list[Tree] = []

    def go(part: Tree) -> None:
        if part in kept:
            return
        if part.op == "name":
            found.append(part)
        for arg in part.args:
            go(arg)

    go(tree)
    return found


def _value_of(statement: ast.stmt) -> str:
    """Return a statement's value, with what it does to its target where it has an operation for that."""
    value: ast.expr = ast.fix_missing_locations(statement).value  # type: ignore[attr-defined]
    return ast.unparse(value)


class _Renaming(ast.NodeTransformer):
    """Gives places that are no bare names a name, and collects the names that are used."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Attribute | ast.Subscript) and ast.unparse(node) in self.names:
            return ast.Name(self.names[ast.unparse(node)], node.ctx)
        return self.generic_visit(node)


@dataclass(frozen=True, slots=True)
class _Writing:
    site: Site
    match: Match
    source: ast.expr | None
    consumed: Sequence[int]
    seen: Mapping[str, Seen]
    is_whole: bool

    def candidate(self) -> Candidate | None:
        statements = self.site.analysis.run.statements
        root = self.site.root.statement
        renaming = _Renaming(
            {text: f"place_{number}" for number, text in enumerate(self.seen) if not text.isidentifier()}
        )
        parts = [statements[place] for place in self.consumed]
        targets = self.match.outputs or ((self.site.whole_target,) if self.source is None else ())
        if self.source is None:
            parts.append(statements[root])
            results = list(targets)
        else:
            results = [ast.unparse(self.source)]
        original = [self._plain(part, renaming) for part in parts]
        arguments = {renaming.names.get(text, text): seen for text, seen in self.seen.items()}
        changing = any(place in self.site.analysis.mutating for place in (*self.consumed, root))
        replacement = [self._after_statement()] if targets else []
        after_results = results if targets else [self.match.text]
        whole, whole_after = results, after_results
        if self.source is not None and self.is_whole:
            statement = statements[root]
            by = ast.parse(self.match.text, mode="eval").body
            whole = [_value_of(statement)]
            whole_after = [_value_of(replaced(statement, self.source, by))]
        texts = {
            "timed_results": whole,
            "timed_replacement_results": whole_after,
            "results": results,
            "replacement": replacement,
            "replacement_results": after_results,
            "operands": list(self.match.operands),
        }
        plain = {
            name: [self._plain(ast.parse(text), renaming) for text in held] for name, held in texts.items()
        }
        every = [*original, *(text for held in plain.values() for text in held)]
        imports = self._imports("\n".join(every), arguments)
        if imports is None:
            return None
        trial = {
            "imports": imports,
            "setup": self.match.setup,
            "arguments": {name: seen.to_dict() for name, seen in arguments.items()},
            "original": original,
            **plain,
            "changes": changing or bool(self.match.outputs),
            "operation": self.match.operation,
            "params": dict(self.match.params),
        }
        covered = [*self.consumed, root]
        return Candidate(
            self.match,
            tuple(self.site.analysis.run.lines_of(place) for place in covered),
            "\n".join(ast.unparse(statements[place]) for place in covered),
            "\n".join(filter(None, [self.match.setup, self._after_statement()])),
            trial,
            ", ".join(f"{text} {seen.text}" for text, seen in self.seen.items() if seen.array is not None),
            self.is_whole or self.source is None,
        )

    def _plain(self, node: ast.AST, renaming: _Renaming) -> str:
        return ast.unparse(ast.fix_missing_locations(renaming.visit(copy.deepcopy(node))))

    def _after_statement(self) -> str:
        if self.match.outputs:
            return self.match.text
        if self.source is None:
            target = self.site.whole_target
            if self.site.root.statement not in self.site.analysis.mutating:
                return f"{target} = {self.match.text}"
            return self.match.in_place.get(target) or f"{target}[...] = {self.match.text}"
        by = ast.parse(self.match.text, mode="eval").body
        statement = self.site.analysis.run.statements[self.site.root.statement]
        return ast.unparse(ast.fix_missing_locations(replaced(statement, self.source, by)))

    def _imports(self, code: str, arguments: Mapping[str, Seen]) -> list[str] | None:
        """Return the imports that the code needs; None where a name remains that nothing explains."""
        meanings = self.site.analysis.meanings
        setup = ast.parse(self.match.setup)
        made = {node.name for node in setup.body if isinstance(node, ast.FunctionDef)}
        stored: set[str] = set()
        loaded: set[str] = set()
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Name):
                (loaded if isinstance(node.ctx, ast.Load) else stored).add(node.id)
        needed = loaded - stored - arguments.keys() - made - {"tensorops"}
        needed = {name for name in needed if not hasattr(builtins, name)}
        if not needed <= meanings.dotted.keys():
            return None
        wanted = [meanings.statements[name] for name in sorted(needed)]
        # What an alias was made with comes before it.
        every = list(dict.fromkeys(meanings.statements.values()))
        return every if any("(" in text for text in wanted) else wanted
