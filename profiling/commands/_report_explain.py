"""The crossover map of a product: which path the dispatcher takes where, and what was measured there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorops.dispatch import schema, selection
from tensorops.dispatch.records import Entry, Profile

from ..cases import case_of_entry
from ..document import Axis, Block, Column, Document, Figure, Section, Series, Table, time_text
from ..measure.tuning_gain import choice_of
from ..measure.tuning_score import crossovers
from ..measure.tuning_space import case_of, sizes_of

SCHEMA = 1
SIDES = tuple(round(2 ** (step / 2)) for step in range(27))
"""Sizes of the picture's grid: half octaves from 1 to 8192; the dispatcher's own classes are half as wide."""

TEXT_SIDES = tuple(2**step for step in range(0, 13, 1))
DEPTHS = (4, 32, 256, 2048)
"""Sizes k of the maps over m and n."""

NEAR_DEPTH = 4.0
"""A measured point is drawn where its k is within this factor of the map's."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"

Choice = tuple[str, int]


def explain_document(op: str, dtype: str, threads: int) -> Document:
    """Return the crossover map of a product as this machine's dispatcher has it now.

    Parameters
    ----------
    op : str
        Name of an operation of the class "product".
    dtype : str
        Of the operands.
    threads : int
        Threads that calls may use.

    Returns
    -------
    Document
        A map over m and n for each of several k, and one over k for square results.
    """
    profile = selection.current_profile()
    entries = [
        entry
        for entry in (profile.entries if profile is not None else ())
        if (entry.op, entry.dtype, entry.threads) == (op, dtype, threads) and entry.paths
    ]
    maps = [_Map(op, dtype, threads, profile, depth) for depth in (*DEPTHS, None)]
    found = sorted({choice for one in maps for choice in one.cells.values()})
    names = {choice: _name(choice, threads) for choice in found}
    parts = [
        Section("Who wins where", _introduction(profile, entries, names)),
        *(Section(one.title, (one.table(names), one.figure(names, entries))) for one in maps),
    ]
    measured = _crossing_section(entries)
    if measured is not None:
        parts.append(measured)
    data = {
        "schema": SCHEMA,
        "kind": "crossover map",
        "op": op,
        "dtype": dtype,
        "threads": threads,
        "profile": None if profile is None else str(schema.profile_path()),
        "entries": len(entries),
        "maps": [one.to_dict() for one in maps],
    }
    return Document(f"{op}, {dtype}, {_threads(threads)}: crossover map", tuple(parts), data)


class _Map:
    """The dispatcher's choices over two sizes."""

    def __init__(self, op: str, dtype: str, threads: int, profile: Profile | None, depth: int | None) -> None:
        self.depth = depth
        self.cells: dict[tuple[int, int], Choice] = {}
        self.text: dict[tuple[int, int], Choice] = {}
        for sides, cells in ((SIDES, self.cells), (TEXT_SIDES, self.text)):
            for x in sides:
                for y in sides:
                    m, k, n = (y, depth, x) if depth is not None else (y, x, y)
                    cells[x, y] = choice_of(case_of(op, dtype, (m, k, n, 1)), threads, profile)

    @property
    def title(self) -> str:
        """What is shown."""
        return f"m by n, k = {self.depth}" if self.depth is not None else "m = n by k"

    @property
    def axes(self) -> tuple[str, str]:
        """Names of the axes."""
        return ("n", "m") if self.depth is not None else ("k", "m = n")

    def table(self, names: dict[Choice, str]) -> Table:
        """Return the map in letters."""
        across, down = self.axes
        letters = dict(zip(names, LETTERS, strict=False))
        columns = (Column(f"{down} \\ {across}", "left"), *(Column(str(side)) for side in TEXT_SIDES))
        rows = tuple((str(y), *(letters[self.text[x, y]] for x in TEXT_SIDES)) for y in reversed(TEXT_SIDES))
        return Table(columns, rows)

    def figure(self, names: dict[Choice, str], entries: Sequence[Entry]) -> Figure:
        """Return the map in colours, with the measured points."""
        series = []
        for choice, name in names.items():
            places = [place for place, other in self.cells.items() if other == choice]
            series.append(Series(name, "cells", tuple(x for x, _ in places), tuple(y for _, y in places)))
        points = self._points(entries)
        shown: set[str] = set()
        for choice, name in names.items():
            # One series for each area, so that the colours are the same; a path's points are shown once.
            own = [place for place, path in points if path == choice[0] and path not in shown]
            shown.add(choice[0])
            title = f"{name.partition(' on ')[0]} measured fastest" if own else ""
            series.append(Series(title, "points", tuple(x for x, _ in own), tuple(y for _, y in own)))
        across, down = self.axes
        near = (
            f" with k from {self.depth / NEAR_DEPTH:g} to {self.depth * NEAR_DEPTH:g}" if self.depth else ""
        )
        return Figure(
            f"Who wins: {self.title}",
            f"Areas: the path that the dispatcher takes. Points: measured problems{near}, by the path that "
            "was fastest there.",
            Axis(across, log=True),
            Axis(down, log=True),
            tuple(series),
            f"map-{self.depth or 'square'}",
        )

    def _points(self, entries: Sequence[Entry]) -> list[tuple[tuple[int, int], str]]:
        found = []
        for entry in entries:
            m, k, n, count = sizes_of(case_of_entry(entry))
            fastest = min(entry.paths, key=lambda path: entry.paths[path].seconds)
            if count > 1:
                continue
            if self.depth is None:
                if max(m, n) <= 1.5 * min(m, n):
                    found.append(((k, m), fastest))
            elif self.depth / NEAR_DEPTH <= k <= self.depth * NEAR_DEPTH:
                found.append(((n, m), fastest))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the map as JSON-ready values."""
        across, down = self.axes
        return {
            "k": self.depth,
            "across": across,
            "down": down,
            "cells": [[x, y, path, threads] for (x, y), (path, threads) in self.cells.items()],
        }


def _introduction(
    profile: Profile | None, entries: Sequence[Entry], names: dict[Choice, str]
) -> tuple[Block, ...]:
    if profile is None:
        rests = "There is no profile: the shipped thresholds choose. The verb tune measures this machine."
    else:
        rests = f"From {len(entries)} measured problems of this kind in {schema.profile_path()}."
    legend = "; ".join(f"{letter}: {name}" for letter, name in zip(LETTERS, names.values(), strict=False))
    return (rests, f"Operands row by row. {legend}.")


def _crossing_section(entries: Sequence[Entry]) -> Section | None:
    """Return the closest decisions among the measured problems."""
    if not entries:
        return None
    ranked = []
    for entry in entries:
        times = sorted((result.seconds, path) for path, result in entry.paths.items())
        if len(times) > 1:
            ranked.append((times[1][0] / times[0][0], entry, times))
    ranked.sort(key=lambda item: item[0])
    columns = (
        Column("closest decisions", "left"),
        Column("fastest", "left"),
        Column("takes"),
        Column("next", "left"),
        Column("slower by"),
    )
    rows = tuple(
        (
            case_of_entry(entry).name,
            times[0][1],
            time_text(times[0][0]),
            times[1][1],
            f"{100 * (ratio - 1):.1f} %",
        )
        for ratio, entry, times in ranked[:10]
    )
    winners = {
        case_of_entry(entry): [min(entry.paths, key=lambda path: entry.paths[path].seconds)]
        for entry in entries
    }
    text = f"{len(crossovers(winners))} pairs of near problems have different winners."
    return Section("Where it is close", (Table(columns, rows), text))


def _name(choice: Choice, allowed: int) -> str:
    path, threads = choice
    return path if threads == allowed else f"{path} on {_threads(threads)}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
