"""How often `compare` finds a planted 20 % slow-down, and how often it stays silent on two equal recordings.

``python benchmarks/compare_trial.py --pairs 20`` records small programs in turn as they are and with one line
that does a fifth more, and judges every file against the next equal one and against its slower twin. The
programs are those of ``benchmarks/trial_programs``: loops in plain Python and a network in NumPy, ``--runs``
runs to a report, and a benchmark of a NumPy function, beside a rival and alone.

With ``--folder`` the recordings are kept, and only what is missing is recorded: the trial can be taken in
pieces (``--at-most 100``), looked into, and judged again after a change of the statistics. Validate a change
on recordings that it was not made with.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from profiling.commands._base import page_width
from profiling.commands._compare_files import read_recording
from profiling.commands._compare_rows import Comparison, compare
from profiling.document import Column, Document, Section, Table
from profiling.measure.difference import Change
from profiling.reporters.text import TextReporter

FOLDER = Path(__file__).resolve().parent / "trial_programs"
RUNS = 20
PLANTED = "SLOWER"
"""Variable that makes a program's line do a fifth more."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is recorded.

    Attributes
    ----------
    verb : tuple of str
        Arguments of ``python -m profiling``.
    line : str or None
        Beginning of the line that gets slower; None for a benchmark.
    """

    verb: tuple[str, ...]
    line: str | None = None


SUBJECTS = {
    "loops": Subject(("report", "loops.py"), "total +="),
    "network": Subject(("report", "network.py"), "lifted ="),
    "beside": Subject(("bench", "kernel:planted", "--against", "kernel:rival")),
    "alone": Subject(("bench", "kernel:planted")),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What `compare` said of one pair.

    Attributes
    ----------
    change : Change
        Of what was planted.
    others : tuple of str
        Everything else that it called slower or faster, without the lines of the planted function.
    total : str
        Its verdict on all lines together; ``same`` for a benchmark.
    """

    change: Change
    others: tuple[str, ...]
    total: str

    @property
    def silent(self) -> bool:
        """Whether nothing was called slower or faster."""
        return self.change.verdict not in ("slower", "faster") and not self.others and self.total == "same"


def record(subject: Subject, path: Path, *, slower: bool, runs: int) -> None:
    """Write one recording, unless it is there.

    Parameters
    ----------
    subject : Subject
        What to run.
    path : Path
        Where to.
    slower : bool
        Whether the line does more.
    runs : int
        Runs of a report.

    Raises
    ------
    SystemExit
        If it failed; with what it said.
    """
    if path.exists():
        return
    verb = [*subject.verb, *(("--runs", str(runs)) if subject.line else ()), "--json", str(path)]
    # One thread: a BLAS that waits for its workers would be a subject of its own.
    environment = {**os.environ, PLANTED: "1" if slower else "0", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(FOLDER.parents[1]), str(FOLDER)])
    command = [sys.executable, "-m", "profiling", *verb]
    ended = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{ended.stderr}")


def judge(subject: Subject, before: Path, after: Path) -> Judged:
    """Return what `compare` says of two recordings.

    Parameters
    ----------
    subject : Subject
        What they are of.
    before, after : Path
        Its recordings.

    Returns
    -------
    Judged
        By the statistics of this version.
    """
    found = compare(read_recording(before), read_recording(after))
    if subject.line is None:
        rows = {row.name: row.change for row in found.timings}
        (name,) = (name for name in rows if "rival" not in name)
        others = [other for other, change in rows.items() if other != name and _told(change)]
        return Judged(rows[name], tuple(others), "same")
    (planted,) = (row for row in found.lines if row.line.text.startswith(subject.line))
    assert planted.change is not None
    return Judged(planted.change, tuple(_others(found, planted.line.function)), _total(found))


def _told(change: Change | None) -> bool:
    return change is not None and change.verdict in ("slower", "faster")


def _others(found: Comparison, function: str) -> Iterator[str]:
    for row in found.lines:
        if _told(row.change) and row.line.function != function:
            yield row.place


def _total(found: Comparison) -> str:
    return found.total.verdict if found.total else "same"


def table(subjects: Iterable[str], folder: Path, pairs: int) -> Table:
    """Return what was found in the recordings of a folder.

    Parameters
    ----------
    subjects : iterable of str
        Some of `SUBJECTS`.
    folder : Path
        With the recordings.
    pairs : int
        Pairs that are judged, at most.

    Returns
    -------
    Table
        One row for each subject.
    """
    rows = []
    for name in subjects:
        subject = SUBJECTS[name]
        equal, planted = [], []
        for number in range(pairs):
            plain, following, slower = (
                path_of(folder, name, *which)
                for which in ((number, False), (number + 1, False), (number, True))
            )
            if plain.exists() and following.exists():
                equal.append(judge(subject, plain, following))
            if plain.exists() and slower.exists():
                planted.append(judge(subject, plain, slower))
        rows.append(_row(name, equal, planted))
    columns = (
        Column(""),
        Column("silent on equal", "right"),
        Column("apart (%)", "right"),
        Column("20 % found", "right"),
        Column("estimate (%)", "right"),
        Column("half-width (%)", "right"),
        Column("others blamed", "right"),
    )
    return Table(columns, tuple(rows))


def _row(name: str, equal: Sequence[Judged], planted: Sequence[Judged]) -> tuple[str, ...]:
    apart = _percent([judged.change.ratio.estimate for judged in equal])
    found = _percent([judged.change.ratio.estimate for judged in planted])
    widths = _percent([judged.change.ratio.high / judged.change.ratio.estimate for judged in planted])
    return (
        name,
        f"{sum(judged.silent for judged in equal)} of {len(equal)}",
        f"{np.min(apart, initial=0):+.1f} to {np.max(apart, initial=0):+.1f}",
        f"{sum(judged.change.verdict == 'slower' for judged in planted)} of {len(planted)}",
        f"{np.min(found, initial=math.inf):.1f} to {np.max(found, initial=-math.inf):.1f}",
        f"{np.min(widths, initial=math.inf):.1f} to {np.max(widths, initial=-math.inf):.1f}",
        f"{sum(bool(judged.others) for judged in planted)} of {len(planted)}",
    )


def _percent(ratios: Sequence[float]) -> list[float]:
    return [100 * (ratio - 1) for ratio in ratios]


def path_of(folder: Path, name: str, number: int, slower: bool) -> Path:
    """Return where a recording stands.

    Parameters
    ----------
    folder : Path
        Of the trial.
    name : str
        Of the subject.
    number : int
        Of the pair.
    slower : bool
        Whether its line does more.

    Returns
    -------
    Path
        A JSON file.
    """
    return folder / f"{name}-{number:02}-{'slower' if slower else 'plain'}.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Record, judge, and print the table.

    Parameters
    ----------
    arguments : sequence of str, optional
        Of the command line.

    Returns
    -------
    int
        Exit code: 1 if a pair was misjudged.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--pairs", type=int, default=20, metavar="N", help="pairs of each kind; default: 20")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help=f"default: {RUNS}")
    parser.add_argument(
        "--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), help="default: all"
    )
    parser.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="where recordings are kept and looked for"
    )
    parser.add_argument(
        "--at-most",
        type=float,
        default=math.inf,
        metavar="SECONDS",
        help="record nothing after it",
    )
    given = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        end = time.monotonic() + given.at_most
        for number in range(given.pairs + 1):
            for name in given.subjects:
                for slower in (False, True)[: 1 if number == given.pairs else 2]:
                    if time.monotonic() < end:
                        path = path_of(folder.resolve(), name, number, slower)
                        record(SUBJECTS[name], path, slower=slower, runs=given.runs)
        results = table(given.subjects, folder, given.pairs)
    title = f"compare on {given.pairs} equal and {given.pairs} planted pairs, {given.runs} runs to a report"
    document = Document(title, (Section("Pairs", (results,)),), {})
    print(TextReporter().render(document, page_width()))
    complete = f"{given.pairs} of {given.pairs}"
    good = all(row[1] == row[3] == complete and str(row[6]).startswith("0 ") for row in results.rows)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
