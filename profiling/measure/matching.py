"""Find the lines of one source in another version of it.

A line is known by its function and its text, never by its number: a comment added at the top moves
every line, and changes none.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

LineT = TypeVar("LineT")
ALIKE = 0.6
"""Least similarity of two texts for one to be an edit of the other."""


@dataclass(frozen=True, slots=True)
class Match(Generic[LineT]):
    """A line in both versions, or in one.

    Attributes
    ----------
    before, after : object or None
        The line in the first version and in the second.
    kind : {"same", "moved", "edited", "new", "gone"}
        "moved" is the same text in another function or place, "edited" another text in its place.
    """

    before: LineT | None
    after: LineT | None
    kind: Literal["same", "moved", "edited", "new", "gone"]


def match_lines(
    before: Sequence[LineT],
    after: Sequence[LineT],
    function: Callable[[LineT], Hashable],
    text: Callable[[LineT], str],
) -> list[Match[LineT]]:
    """Match the lines of two versions.

    Parameters
    ----------
    before, after : sequence
        Lines of the first version and of the second, each function's in the order of the source.
    function : callable
        The function a line stands in.
    text : callable
        Its text, without indentation.

    Returns
    -------
    list of Match
        Every line of both, once.

    Examples
    --------
    >>> old = [("f", "a = 1"), ("f", "b = a")]
    >>> new = [("f", "# why"), ("f", "a = 1"), ("g", "b = a")]
    >>> for match in match_lines(old, new, lambda line: line[0], lambda line: line[1]):
    ...     print(match.kind, match.before, match.after)
    same ('f', 'a = 1') ('f', 'a = 1')
    moved ('f', 'b = a') ('g', 'b = a')
    new None ('f', '# why')
    """
    matches: list[Match[LineT]] = []
    rest_before: list[LineT] = []
    rest_after: list[LineT] = []
    edits: list[tuple[LineT, LineT]] = []
    old, new = _grouped(before, function), _grouped(after, function)
    for name in dict.fromkeys([*old, *new]):
        first, second = old.get(name, []), new.get(name, [])
        texts = [text(line) for line in first], [text(line) for line in second]
        for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
            if tag == "equal":
                pairs = zip(first[i1:i2], second[j1:j2], strict=True)
                matches += [Match(one, other, "same") for one, other in pairs]
            else:
                rest_before += first[i1:i2]
                rest_after += second[j1:j2]
                edits += _edits(first[i1:i2], second[j1:j2], text)
    for one in list(rest_before):
        other = next((line for line in rest_after if text(line) == text(one)), None)
        if other is not None:
            matches.append(Match(one, other, "moved"))
            _remove(rest_before, one)
            _remove(rest_after, other)
    for one, other in edits:
        if _holds(rest_before, one) and _holds(rest_after, other):
            matches.append(Match(one, other, "edited"))
            _remove(rest_before, one)
            _remove(rest_after, other)
    matches += [Match(line, None, "gone") for line in rest_before]
    matches += [Match(None, line, "new") for line in rest_after]
    return matches


def _grouped(lines: Iterable[LineT], function: Callable[[LineT], Hashable]) -> dict[Hashable, list[LineT]]:
    groups: dict[Hashable, list[LineT]] = {}
    for line in lines:
        groups.setdefault(function(line), []).append(line)
    return groups


def _edits(
    before: Sequence[LineT], after: Sequence[LineT], text: Callable[[LineT], str]
) -> list[tuple[LineT, LineT]]:
    """Return which lines of a replaced stretch are edits of each other, the most alike first."""
    alike = [
        (difflib.SequenceMatcher(None, text(one), text(other)).ratio(), number, place)
        for number, one in enumerate(before)
        for place, other in enumerate(after)
    ]
    return [
        (before[number], after[place])
        for ratio, number, place in sorted(alike, reverse=True)
        if ratio >= ALIKE
    ]


# By identity: two lines of a file may be equal.
def _holds(lines: Sequence[LineT], wanted: LineT) -> bool:
    return any(line is wanted for line in lines)


def _remove(lines: list[LineT], unwanted: LineT) -> None:
    lines[:] = [line for line in lines if line is not unwanted]
