"""What the parts of ``compete`` share."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from ..competition import entry, pack
from ..competition.judge import TRACKS, refusal
from ..competition.score import Score
from ..competition.store import Store
from ..competition.verdict import Verdict
from ..document import Cell, Column, Document, Section, Table, time_text
from ._base import CommandError, nearest

SCHEMA = 1
BAR = 20


class Part(ABC):
    """One part of the verb; its docstring is its help.

    Attributes
    ----------
    name : str
        On the command line.
    """

    name: ClassVar[str]

    @abstractmethod
    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""

    @abstractmethod
    def run(self, arguments: argparse.Namespace) -> Document:
        """Do the work and return what there is to say."""


def add_home(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the competition's folder."""
    parser.add_argument(
        "--home",
        type=Path,
        metavar="DIR",
        help="folder of the competition (TENSOROPS_COMPETITION, else in the user's data folder)",
    )


def add_problem(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the problem where the file's name does not."""
    parser.add_argument("--problem", metavar="NAME", help="by default told by the file or its name")
    parser.add_argument(
        "--track", choices=TRACKS, default="one", help="processors: one (the default) or all of them"
    )


def home_of(arguments: argparse.Namespace) -> Path:
    """Return the folder of the competition."""
    if arguments.home is not None:
        return Path(arguments.home)
    override = os.environ.get("TENSOROPS_COMPETITION", "")
    if override:
        return Path(override).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("tensorops", appauthor=False)) / "competition"


def open_store(arguments: argparse.Namespace) -> Store:
    """Open the competition."""
    return Store(home_of(arguments))


def read_submission(arguments: argparse.Namespace) -> tuple[pack.Pack, bytes, Path]:
    """Return the problem, the contents and the path of a file that was named.

    Raises
    ------
    CommandError
        If it cannot be a submission, or its problem is not known.
    """
    path: Path = arguments.file
    try:
        code = path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    refused = refusal(code, path.suffix)
    if refused:
        raise CommandError(f"{path}: {refused}")
    home = home_of(arguments)
    name = arguments.problem or entry.problem_of(path.stem, code, home)
    known = pack.names(home)
    if name is None:
        raise CommandError(f"which problem is {path} for? Give --problem NAME; known: {', '.join(known)}")
    if name not in known:
        raise CommandError(f"unknown problem {name!r}; known: {', '.join(known)}{nearest(name, known)}")
    return pack.load(name, home), code, path


def default_name() -> str:
    """Return the name under which this user submits."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "me"


def say(text: str) -> None:
    """Tell what is going on, outside the document."""
    print(text, file=sys.stderr, flush=True)


def facts(rows: Sequence[tuple[str, str]]) -> Table:
    """Return a table of names and texts."""
    return Table((Column("", "left"), Column("", "wrap")), tuple(rows))


def verdict_section(found: Verdict, title: str) -> Section:
    """Return a verdict with all that belongs to it."""
    rows = [("verdict", found.name), ("phase", found.phase)]
    if found.reason:
        rows.append(("reason", found.reason))
    if found.case:
        rows.append(("case", found.case))
    if found.error is not None and found.tolerance is not None:
        rows.append(("error", f"{found.error:.3g}; the tolerance is {found.tolerance:.3g}"))
    if found.hint:
        rows.append(("what to do", found.hint))
    blocks: list[Table | str] = [facts(rows)]
    if found.stderr:
        blocks.append(f"The end of what was printed:\n{found.stderr.rstrip()}")
    return Section(title, tuple(blocks))


def score_section(found: Score, noise: float) -> Section:
    """Return a score case by case."""
    columns = (
        Column("case", "left"),
        Column("speed-up"),
        Column("95 % interval"),
        Column("time"),
        Column("baseline", optional=1),
        Column("blocks", optional=2),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            case.case,
            f"{case.ratio.estimate:.3f}",
            f"{case.ratio.low:.3f} to {case.ratio.high:.3f}",
            time_text(case.ours.estimate),
            time_text(case.theirs.estimate),
            str(case.ratio.n),
        )
        for case in found.cases
    ]
    total = found.total
    rows.append(
        ("geometric mean", f"{total.estimate:.3f}", f"{total.low:.3f} to {total.high:.3f}", "", "", "")
    )
    note = (
        f"Speed-up over the baseline, from {found.launches} pair{'s' * (found.launches != 1)} of processes. "
        f"Scores within {100 * noise:.1f} % and their intervals are tied."
    )
    return Section("Score", (Table(columns, tuple(rows)), note))


def score_data(found: Score) -> dict[str, Any]:
    """Return a score as JSON-ready values."""
    total = found.total
    return {
        "score": total.estimate,
        "low": total.low,
        "high": total.high,
        "launches": found.launches,
        "cases": [case.to_dict() for case in found.cases],
    }
