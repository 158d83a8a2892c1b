"""Which hot lines there is something better for: from profiled lines and the names seen there to advice."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..collect.own_code import MODULE, block_at
from .candidates import Candidate, CutError, Site, View, candidate_of
from .patterns import PATTERNS, Pattern
from .reading import Meanings
from .running import Outcome, try_out
from .snapshot import Moment, moments_of
from .statements import Analysis, Root, Run, runs_of
from .trees import Tree, UnwritableError

HOT_SHARE = 0.02
"""Share of the program's time from which lines are worth advice."""

LEAST_GAIN = 1.1
PREFERRED = 1.15
"""An operation that has a name is advised unless a fused expression is better by more than this."""

MOST_CANDIDATES = 10
MOST_COMPILED = 3
DEEPEST_CUT = 4


@dataclass(frozen=True, slots=True)
class Advice:
    """A replacement that was found to agree and to be faster.

    Attributes
    ----------
    candidate : Candidate
        What replaces what.
    outcome : Outcome
        What the trial found.
    file, function : str
        Where the lines are.
    seconds : float
        What they took of the profiled program.
    share : float
        That, as a share of the whole.
    """

    candidate: Candidate
    outcome: Outcome
    file: str
    function: str
    seconds: float
    share: float

    @property
    def saving(self) -> float:
        """Seconds of the program that it saves, if all of the lines' time is in what is replaced."""
        gain = self.outcome.gain
        return 0.0 if gain is None else self.seconds * (1 - 1 / gain.estimate)

    @property
    def note(self) -> str:
        """What else is different; may be empty."""
        notes = [self.candidate.match.note] if self.candidate.match.note else []
        if self.outcome.narrowed:
            notes.append(
                "The lines give float64, for a number in them is a float64 of NumPy's; this stays float32."
            )
        if not self.candidate.is_whole:
            notes.append("The gain is that of this part of the line.")
        return " ".join(notes)

    @property
    def lines(self) -> tuple[int, int]:
        """First and last line."""
        return min(first for first, _ in self.candidate.lines), max(last for _, last in self.candidate.lines)

    @property
    def is_good(self) -> bool:
        """Whether it agrees and its gain is beyond chance and beyond trifles."""
        gain = self.outcome.gain
        return self.outcome.agrees and gain is not None and gain.low > 1 and gain.estimate >= LEAST_GAIN

    @property
    def why_not(self) -> str | None:
        """Why it is no advice; None if it is."""
        if self.is_good:
            return None
        return self.outcome.reason or "no measurable gain"

    def to_dict(self) -> dict[str, Any]:
        """Return the advice as JSON-ready values."""
        gain, match = self.outcome.gain, self.candidate.match
        first, last = self.lines
        return {
            "file": self.file,
            "function": self.function,
            "first_line": first,
            "last_line": last,
            "replacement": match.title,
            "before": self.candidate.before,
            "after": self.candidate.after,
            "note": self.note or None,
            "whole_lines": self.candidate.is_whole,
            "arrays": self.candidate.shapes,
            "gain": None if gain is None else [gain.estimate, gain.low, gain.high],
            "threads": 1,
            "seconds_before": self.outcome.before,
            "seconds_after": self.outcome.after,
            "error": self.outcome.error,
            "seconds": self.seconds,
            "share": self.share,
            "saving": self.saving,
            "rejected_reason": self.why_not,
        }


@dataclass(frozen=True, slots=True)
class Advised:
    """All that was looked at.

    Attributes
    ----------
    given : tuple of Advice
        What to do, the greatest saving first.
    rejected : tuple of Advice
        What was tried out and is not better, or better in another way.
    """

    given: tuple[Advice, ...] = ()
    rejected: tuple[Advice, ...] = ()


def advise(
    times: Mapping[tuple[str, int], float],
    observed: Iterable[Mapping[str, Any]],
    absolute: Callable[[str], str],
    announce: Callable[[int], None] = lambda count: None,
) -> Advised:
    """Find what the library does better than hot lines, and try it out.

    Parameters
    ----------
    times : mapping of (str, int) to float
        Seconds of the lines of Python files, by file and number.
    observed : iterable of mapping
        What names held, as ``profiling.collect.names.NameWatch.to_dict`` lists it.
    absolute : callable
        From a code object's filename to the file of `times`.
    announce : callable
        Told how many replacements are tried out, before that begins.

    Returns
    -------
    Advised
        Empty where no line is hot, or nothing was seen of its names.
    """
    total = sum(times.values())
    if not total > 0:
        return Advised()
    by_function: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for entry in observed:
        file = absolute(entry["filename"])
        block = block_at(file, entry["line"])
        by_function.setdefault((file, block.name, block.first), []).append(entry)
    found: list[tuple[Candidate, str, str, float]] = []
    for (file, function, first), entries in by_function.items():
        for candidate in candidates_in(file, function, first, moments_of(entries), times, HOT_SHARE * total):
            found.append((candidate, file, function, seconds_of(candidate, file, times)))
    found = _chosen(found)
    if found:
        announce(len(found))
    outcomes = try_out([candidate.trial for candidate, *_ in found])
    tried = [
        Advice(candidate, outcome, file, function, spent, spent / total)
        for (candidate, file, function, spent), outcome in zip(found, outcomes, strict=True)
    ]
    return _sorted_out(tried)


def seconds_of(candidate: Candidate, file: str, times: Mapping[tuple[str, int], float]) -> float:
    """Return the time of a candidate's lines.

    Parameters
    ----------
    candidate : Candidate
        What they are.
    file : str
        Where.
    times : mapping
        By file and number.

    Returns
    -------
    float
        Seconds.
    """
    lines = {line for first, last in candidate.lines for line in range(first, last + 1)}
    return sum(times.get((file, line), 0.0) for line in lines)


def candidates_in(
    file: str,
    function: str,
    first_line: int,
    moments: Sequence[Moment],
    times: Mapping[tuple[str, int], float],
    least_seconds: float,
) -> list[Candidate]:
    """Return what might replace hot statements of a function.

    Parameters
    ----------
    file : str
        Its file.
    function : str
        Its name, as ``profiling.collect.own_code.block_at`` gives it.
    first_line : int
        Its first line.
    moments : sequence of Moment
        What was seen of its names.
    times : mapping
        Seconds by file and line.
    least_seconds : float
        Statements that took less are left alone.

    Returns
    -------
    list of Candidate
        Empty where the file cannot be read.
    """
    try:
        module = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return []
    scope = _scope(module, function, first_line)
    if scope is None:
        return []
    meanings = Meanings.of(module)
    found = []
    for run in runs_of(scope):
        lines = range(run.lines_of(0)[0], run.lines_of(len(run.statements) - 1)[1] + 1)
        if sum(times.get((file, line), 0.0) for line in lines) < least_seconds:
            continue
        for candidate in _in_run(run, meanings, moments):
            if seconds_of(candidate, file, times) >= least_seconds:
                found.append(candidate)
    return found


def _scope(module: ast.Module, function: str, first_line: int) -> Any:
    if function == MODULE:
        return module
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorated = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            if first_line in (node.lineno, decorated):
                return node
    return None


def _in_run(run: Run, meanings: Meanings, moments: Sequence[Moment]) -> Iterator[Candidate]:
    for pattern in PATTERNS:
        analysis = Analysis(run, meanings)
        for root in analysis.roots:
            yield from _below(pattern, analysis, root, root.tree, moments)


def _below(
    pattern: Pattern, analysis: Analysis, root: Root, tree: Tree, moments: Sequence[Moment]
) -> Iterator[Candidate]:
    """Yield what a pattern finds in a part of a statement: in the largest piece that it knows."""
    if tree.statement is not None and tree.statement != root.statement:
        # A name for what another statement computed.
        return
    found = _at(pattern, analysis, root, tree, moments, frozenset())
    if found is not None:
        yield found
        return
    for arg in tree.args:
        yield from _below(pattern, analysis, root, arg, moments)


def _at(
    pattern: Pattern,
    analysis: Analysis,
    root: Root,
    tree: Tree,
    moments: Sequence[Moment],
    cuts: frozenset[int],
) -> Candidate | None:
    if not tree.is_known or (tree is not root.tree and tree.source is None):
        return None
    site = Site(analysis, root, tree, View(moments, analysis))
    try:
        matches = list(pattern(site))
    except UnwritableError:
        return None
    for match in matches:
        try:
            return candidate_of(site, match)
        except CutError as error:
            wider = cuts | error.statements
            if len(wider) > DEEPEST_CUT or wider == cuts:
                return None
            again = Analysis(analysis.run, analysis.meanings, wider)
            for other in again.roots:
                if other.statement == root.statement and other.target == root.target:
                    part = _same(other.tree, tree, root.tree)
                    if part is not None:
                        return _at(pattern, again, other, part, moments, wider)
    return None


def _same(whole: Tree, tree: Tree, root: Tree) -> Tree | None:
    """Return the tree that stands where another one stood before."""
    if tree is root:
        return whole
    return next((part for part in whole.walk() if part.source is tree.source), None)


def _chosen(
    found: Sequence[tuple[Candidate, str, str, float]],
) -> list[tuple[Candidate, str, str, float]]:
    """Return those with the most time; few of those that have to be compiled."""
    kept: list[tuple[Candidate, str, str, float]] = []
    compiled = 0
    for entry in sorted(found, key=lambda entry: -entry[3]):
        compiled += bool(entry[0].match.setup)
        if len(kept) < MOST_CANDIDATES and not (entry[0].match.setup and compiled > MOST_COMPILED):
            kept.append(entry)
    return kept


def _sorted_out(tried: Sequence[Advice]) -> Advised:
    """Separate what is good from what is not, and of several for the same lines keep the best."""
    good = sorted((advice for advice in tried if advice.is_good), key=_rank, reverse=True)
    given: list[Advice] = []
    for advice in good:
        taken = any(
            advice.file == other.file and advice.candidate.overlaps(other.candidate) for other in given
        )
        if not taken:
            given.append(advice)
    return Advised(tuple(given), tuple(advice for advice in tried if advice not in given))


def _rank(advice: Advice) -> float:
    """Return the saving, smaller for what has to be compiled."""
    gain = advice.outcome.gain
    assert gain is not None
    factor = PREFERRED if advice.candidate.match.setup else 1.0
    return advice.seconds * (1 - factor / gain.estimate)
