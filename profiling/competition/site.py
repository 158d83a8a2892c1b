"""The pages of a competition: plain files without scripts, rewritten when something has changed."""

from __future__ import annotations

import os
import tempfile
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..document import time_text
from . import history, pack, standings
from .pack import Band, Pack
from .records import REVIEWED
from .store import Store, Submission

FOLDER = "site"
TEMPLATES = Path(__file__).parent / "pages"
NEWEST = 50
REFRESH = 30


class Site:
    """The pages of one competition.

    Parameters
    ----------
    store : Store
        The competition.
    home : Path
        Its folder; the pages stand in ``HOME/site``.
    machine : str
        The class of machine that judges.
    title : str
        Heading of the first page.

    Raises
    ------
    ImportError
        Where jinja2 is not installed.
    """

    def __init__(self, store: Store, home: Path, machine: str, title: str = "Kernel competition") -> None:
        import jinja2

        self.store, self.home, self.machine, self.title = store, home, machine, title
        self.folder = home / FOLDER
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            trim_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        self._environment.filters["time"] = time_text
        # By submission: what its page was made from, and the page.
        self._known: dict[int, tuple[Any, str]] = {}

    def write(self) -> int:
        """Write the pages that have changed.

        Returns
        -------
        int
            Number of files written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        packs = [pack.load(name, self.home) for name in pack.names(self.home)]
        boards = {key: standings.board(self.store, key) for key in standings.keys(self.store)}
        pages = {"style.css": (TEMPLATES / "style.css").read_text(encoding="utf-8")}
        pages["index.html"] = self._index(packs, boards)
        for found in packs:
            pages[f"board-{found.name}.html"] = self._board(found, boards)
        for row in self.store.all("SELECT id FROM submission"):
            pages[f"submission-{row['id']}.html"] = self._kept(row["id"])
        return sum(_replace(self.folder / name, text) for name, text in pages.items())

    def _render(self, name: str, **values: Any) -> str:
        known = {
            "path": [],
            "lead": "",
            "refresh": REFRESH,
            "machine": self.machine,
            # To the minute: what has not changed is not written again and again.
            "written": history.date_text(time.time()),
        }
        return self._environment.get_template(name).render(known | values)

    def _index(self, packs: Sequence[Pack], boards: dict[standings.Key, list[standings.Entry]]) -> str:
        problems = []
        for found in packs:
            fitting = [
                entries
                for key, entries in boards.items()
                if (key.problem, key.version) == (found.name, found.version)
            ]
            entries = max(fitting, key=len, default=[])
            deadline = history.deadline(self.store, found.name)
            problems.append(
                {
                    "name": found.name,
                    "title": found.problem.title,
                    "call": found.problem.call,
                    "leader": entries[0].participant if entries else "",
                    "best": entries[0].score.estimate if entries else 0.0,
                    "entries": len(entries),
                    "deadline": history.date_text(deadline) if deadline else "",
                }
            )
        queue = self._rows("SELECT submission AS id FROM job WHERE state != 'done' ORDER BY job.id")
        verdicts = self._rows("SELECT submission AS id FROM run ORDER BY run.id DESC")
        notices = [
            {**dict(row), "noticed": history.date_text(row["noticed"])}
            for row in self.store.all("SELECT * FROM notice ORDER BY id DESC LIMIT ?", (NEWEST,))
        ]
        return self._render(
            "index.jinja",
            title=self.title,
            heading=self.title,
            problems=problems,
            queue=queue,
            verdicts=verdicts,
            notices=notices,
        )

    def _board(self, found: Pack, boards: dict[standings.Key, list[standings.Entry]]) -> str:
        shown = [
            {
                "track": key.track,
                "machine": key.machine,
                "old": key.version != found.version,
                "entries": entries,
                "most": max(1.0, *(entry.score.high for entry in entries)) * 1.02,
                "noise": standings.noise(self.store, key.machine),
            }
            for key, entries in boards.items()
            if key.problem == found.name
        ]
        shown.sort(key=lambda board: (board["old"], board["track"] != "one"))
        problem = found.problem
        cases = [
            {"name": band.name, "sizes": sizes_text(band, problem.sizes), "counts": counts}
            for counts, bands in (("timed", problem.timed), ("must be right", problem.checked))
            for band in bands
        ]
        text = [
            {"text": textwrap.dedent(part).strip("\n"), "formula": part.startswith("    ")}
            for part in problem.text.split("\n\n")
        ]
        return self._render(
            "board.jinja",
            title=f"{problem.title} - {self.title}",
            heading=problem.title,
            path=[(found.name, None)],
            boards=shown,
            problem=problem,
            cases=cases,
            text=text,
        )

    def _kept(self, number: int) -> str:
        """Return the page of a submission, made anew only where something that it shows has changed."""
        submission = self.store.submission(number)
        assert submission is not None
        ended = history.deadline(self.store, submission.problem)
        basis = (
            history.state(self.store, number),
            [(one.id, history.state(self.store, one.id)) for one in history.earlier(self.store, submission)],
            self.store.one("SELECT max(id) AS n FROM decision")["n"],
            self.store.one(
                "SELECT max(run.id) AS n FROM run JOIN submission ON submission.id = run.submission "
                "WHERE participant = ? AND problem = ?",
                (submission.participant, submission.problem),
            )["n"],
            ended is not None and time.time() > ended,
        )
        if self._known.get(number, (None, ""))[0] != basis:
            self._known[number] = basis, self._submission(submission)
        return self._known[number][1]

    def _submission(self, submission: Submission) -> str:
        ended = history.deadline(self.store, submission.problem)
        shown = history.may_show_source(self.store, submission.problem)
        hidden = "1" in (
            self.store.decided("hidden", str(submission.id)),
            self.store.decided("hidden participant", submission.participant),
        )
        runs = []
        for run in history.runs(self.store, submission.id):
            cases = run.score["cases"] if run.score else []
            runs.append(
                {
                    "id": run.id,
                    "verdict": run.verdict,
                    "phase": run.phase,
                    "detail": {"error": None, "reviewed": False, **run.detail},
                    "when": history.date_text(run.finished),
                    "seconds": run.seconds,
                    "machine": run.machine,
                    "sandbox": run.sandbox,
                    "seed_hash": run.seed_hash,
                    "shown_seed": run.seed if ended is not None and time.time() > ended else "",
                    "score": run.score,
                    "most": max([1.0, *(case["ratio"][2] for case in cases)]) * 1.02,
                    "printed": visible(str(run.detail.get("stderr") or "")),
                }
            )
        earlier = [self._row(one.id) for one in history.earlier(self.store, submission)]
        code = self.store.code(submission.sha).decode("utf-8", "replace")
        return self._render(
            "submission.jinja",
            title=f"Submission {submission.id} - {self.title}",
            heading=f"Submission {submission.id}",
            lead=f"{submission.participant}, {submission.problem}",
            path=[(submission.problem, f"board-{submission.problem}.html"), (str(submission.id), None)],
            submission=submission,
            reviewed=REVIEWED,
            submitted=history.date_text(submission.submitted),
            state=history.state(self.store, submission.id),
            hidden=hidden,
            late=ended is not None and submission.submitted > ended,
            runs=runs,
            history=earlier,
            source=visible(code) if shown else None,
        )

    def _rows(self, query: str) -> list[dict[str, Any]]:
        numbers = dict.fromkeys(row["id"] for row in self.store.all(f"{query} LIMIT {NEWEST}"))
        return [self._row(number) for number in numbers]

    def _row(self, number: int) -> dict[str, Any]:
        submission = self.store.submission(number)
        assert submission is not None
        runs = history.runs(self.store, number)
        scored = runs[-1].score if runs else None
        return {
            "id": number,
            "participant": submission.participant,
            "problem": submission.problem,
            "track": submission.track,
            "state": history.state(self.store, number),
            "score": scored["score"] if scored else None,
            "submitted": history.date_text(submission.submitted),
        }


def visible(text: str) -> str:
    r"""Return a text of many lines in which nothing is hidden: control and format characters are written out.

    Examples
    --------
    >>> visible("a\n\u202eb")
    'a\n\\u202eb'
    """
    return "".join(
        letter
        if letter.isprintable() or letter in "\n\t"
        else letter.encode("unicode_escape", "replace").decode("ascii")
        for letter in text
    )


def sizes_text(band: Band, names: tuple[str, ...]) -> str:
    """Return the ranges of a band in words.

    Examples
    --------
    >>> sizes_text(Band("wide", ((2, 3), (5, 5))), ("rows", "columns"))
    '2 to 3 rows, 5 columns'
    """
    parts = []
    for (low, high), name in zip(band.ranges, names, strict=True):
        parts.append(f"{low} {name}" if low == high else f"{low} to {high} {name}")
    text = ", ".join(parts)
    return text if band.scale == 1 else f"{text}, values of about {band.scale:g}"


def _replace(path: Path, text: str) -> bool:
    """Give a page its new text in one step, and leave it alone where only the time has changed."""
    try:
        if _without_time(path.read_text(encoding="utf-8")) == _without_time(text):
            return False
    except (OSError, UnicodeDecodeError):
        pass
    handle, name = tempfile.mkstemp(prefix=".page-", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).chmod(0o644)
    Path(name).replace(path)
    return True


def _without_time(text: str) -> str:
    return text.partition("<footer>")[0]
