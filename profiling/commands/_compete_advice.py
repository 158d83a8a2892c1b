"""What ``compete check`` says beside its verdict: hotspots, roofline, where the next gain lies."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tensorops.runtime import cpu

from ..competition import advice
from ..competition.box import HotLine
from ..competition.judge import MODULE, Judgement
from ..competition.pack import Pack
from ..competition.sandbox import Sandbox
from ..competition.score import Score
from ..document import Cell, Column, Section, Table, three_digits
from ..reporters._printable import printable
from ._compete_base import say

SHOWN = 8


def advice_sections(
    problem: Pack, code: bytes, path: Path, track: str, scored: Score, found: Judgement, walls: Sandbox
) -> tuple[list[Section], dict[str, Any]]:
    """Return what is to be said, and the same for programs.

    Parameters
    ----------
    problem : Pack
        What the submission computes.
    code : bytes
        The submission.
    path : Path
        Its file.
    track : str
        Whose roof counts.
    scored : Score
        With the times.
    found : Judgement
        With the sizes.
    walls : Sandbox
        Where it is profiled.

    Returns
    -------
    sections : list of Section
        Hot lines, roofline, the next gain.
    data : dict
        JSON-ready.
    """
    say("measuring the roofline of this machine")
    placed = advice.place(problem, scored, found.samples, 1 if track == "one" else cpu.available_cores())
    with tempfile.TemporaryDirectory(prefix="tensorops-judge-") as folder:
        copy = Path(folder, f"{MODULE}{path.suffix}")
        copy.write_bytes(code)
        lines = advice.hot_lines(problem, copy, walls)
    told = advice.next_gain(lines, placed)
    sections = [_roofline(placed)]
    if lines:
        sections.insert(0, _hotspots(lines, code))
    elif path.suffix == ".pyx":
        told.append("Lines of compiled code are sampled by: python -m profiling profile SCRIPT.")
    sections.append(Section("The next gain", tuple(told)))
    data = {
        "hot_lines": [{"line": one.line, "function": one.function, "seconds": one.seconds} for one in lines],
        "roofline": [one.to_dict() for one in placed],
        "next": told,
    }
    return sections, data


def _hotspots(lines: list[HotLine], code: bytes) -> Section:
    source = code.decode("utf-8").splitlines()
    total = sum(one.seconds for one in lines) or 1.0
    rows: list[tuple[Cell, ...]] = [
        (
            str(one.line),
            f"{100 * one.seconds / total:.0f} %",
            one.seconds / total,
            printable(source[one.line - 1].strip()),
        )
        for one in lines[:SHOWN]
        if 0 < one.line <= len(source)
    ]
    columns = (Column("line"), Column("time"), Column("", "bar", 1), Column("source", "left"))
    return Section("Hot lines", (Table(columns, tuple(rows)),))


def _roofline(placed: list[advice.Placed]) -> Section:
    columns = (
        Column("case", "left"),
        Column("GFLOP/s"),
        Column("roof"),
        Column("limit", "left"),
        Column("share"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            one.case,
            three_digits(one.place.gflops),
            three_digits(one.place.roof),
            one.place.limit,
            f"{100 * one.place.share:.0f} %",
        )
        for one in placed
    ]
    note = "The roof is the lower of the arithmetic peak and one pass over the data at measured bandwidth."
    return Section("Roofline", (Table(columns, tuple(rows)), note))
