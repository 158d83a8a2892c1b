"""Parts of ``compete`` that show results: board, result, replay."""

from __future__ import annotations

import argparse
from typing import Any

from ..competition import history, judge, pack, standings
from ..competition.judge import CHECK_ONLY
from ..competition.records import REVIEWED
from ..competition.store import Store, Submission
from ..document import Cell, Column, Document, Section, Table, time_text
from ._base import CommandError, nearest
from ._compete_base import SCHEMA, Part, add_home, facts, home_of, open_store, say
from ._compete_judging import add_unsafe, walls


class Board(Part):
    """Show who stands where on a problem."""

    name = "board"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        parser.add_argument("problem", metavar="NAME")
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Return a table for each track and class of machine."""
        home = home_of(arguments)
        known = pack.names(home)
        if arguments.problem not in known:
            raise CommandError(
                f"unknown problem {arguments.problem!r}; known: {', '.join(known)}"
                f"{nearest(arguments.problem, known)}"
            )
        current = pack.load(arguments.problem, home).version
        sections = []
        boards = []
        with open_store(arguments) as store:
            for key in standings.keys(store, arguments.problem):
                entries = standings.board(store, key)
                boards.append(
                    {
                        "track": key.track,
                        "machine": key.machine,
                        "version": key.version,
                        "noise": standings.noise(store, key.machine),
                        "entries": [entry.to_dict() for entry in entries],
                    }
                )
                old = "" if key.version == current else f"; old version {key.version}"
                title = f"{key.problem}, track {key.track}, {key.machine}{old}"
                sections.append(Section(title, (_table(entries), _legend(store, key))))
        if not sections:
            sections.append(Section(arguments.problem, ("Nothing is ranked yet.",)))
        data = {"schema": SCHEMA, "kind": "board", "problem": arguments.problem, "boards": boards}
        return Document(f"compete board {arguments.problem}", tuple(sections), data)


def _table(entries: list[standings.Entry]) -> Table:
    columns = (
        Column("rank"),
        Column("participant", "left"),
        Column("speed-up"),
        Column("", "bar", 1),
        Column("95 % interval"),
        Column("submission"),
        Column("pairs", optional=2),
    )
    longest = max((entry.score.estimate for entry in entries), default=1.0)
    rows: list[tuple[Cell, ...]] = [
        (
            f"{'=' if entry.tied else ''}{entry.rank}",
            entry.participant,
            f"{entry.score.estimate:.3f}",
            entry.score.estimate / longest,
            f"{entry.score.low:.3f} to {entry.score.high:.3f}",
            str(entry.submission),
            str(entry.launches),
        )
        for entry in entries
    ]
    return Table(columns, tuple(rows))


def _legend(store: Store, key: standings.Key) -> str:
    noise = standings.noise(store, key.machine)
    return (
        "Speed-up over the baseline, geometric mean over the cases. "
        f"= marks a tie: the difference may be within {100 * noise:.1f} %; then the earlier one stands first."
    )


class Result(Part):
    """Show what became of a submission."""

    name = "result"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        parser.add_argument("submission", type=int, metavar="ID")
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Return the state and all judgings."""
        with open_store(arguments) as store:
            found = _submission(store, arguments.submission)
            state = history.state(store, found.id)
            done = history.runs(store, found.id)
        rows = [
            ("submission", f"{found.id}, {found.file}"),
            ("participant", found.participant),
            ("problem", f"{found.problem}, track {found.track}"),
            ("submitted", history.date_text(found.submitted)),
            ("state", state),
        ]
        sections = [Section("Submission", (facts(rows),))]
        sections += [_run_section(run) for run in done]
        data = {
            "schema": SCHEMA,
            "kind": "result",
            "submission": found.id,
            "participant": found.participant,
            "problem": found.problem,
            "track": found.track,
            "file": found.file,
            "sha": found.sha,
            "state": state,
            "runs": [run.to_dict() for run in done],
        }
        return Document(f"compete result {found.id}", tuple(sections), data)


def _run_section(run: history.Run) -> Section:
    rows = [("verdict", f"{run.verdict}, in the phase {run.phase}")]
    for name in ("reason", "case", "hint"):
        if run.detail.get(name):
            rows.append((name, str(run.detail[name])))
    if run.detail.get("error") is not None:
        error, tolerance = run.detail["error"], run.detail["tolerance"]
        rows.append(("error", f"{error:.3g}; the tolerance is {tolerance:.3g}"))
    if run.detail.get("reviewed"):
        rows.append(("reviewed", REVIEWED))
    rows += [
        ("judged", f"{history.date_text(run.finished)}, {run.seconds:.1f} s, {run.machine}"),
        ("sandbox", run.sandbox or "none"),
        ("seed", f"SHA-256 {run.seed_hash[:16]}..."),
    ]
    blocks: list[Table | str] = [facts(rows)]
    if run.score:
        blocks += [_case_table(run.score), f"From {run.score['launches']} pairs of processes of this source."]
    if run.detail.get("stderr"):
        blocks.append(f"The end of what was printed:\n{run.detail['stderr'].rstrip()}")
    return Section(f"Judging {run.id}", tuple(blocks))


def _case_table(score: dict[str, Any]) -> Table:
    columns = (Column("case", "left"), Column("speed-up"), Column("95 % interval"), Column("time"))
    rows: list[tuple[Cell, ...]] = []
    for case in score["cases"]:
        ratio, low, high = case["ratio"]
        rows.append((case["case"], f"{ratio:.3f}", f"{low:.3f} to {high:.3f}", time_text(case["seconds"][0])))
    rows.append(("geometric mean", f"{score['score']:.3f}", f"{score['low']:.3f} to {score['high']:.3f}", ""))
    return Table(columns, tuple(rows))


class Replay(Part):
    """Judge a submission again on the very sizes and values of a judging that is over.

    Nothing is stored. Times differ, of course; whether it is right must not.
    """

    name = "replay"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        parser.add_argument("submission", type=int, metavar="ID")
        parser.add_argument("--time", action="store_true", help="time it as well")
        add_unsafe(parser)
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Repeat the newest judging."""
        with open_store(arguments) as store:
            found = _submission(store, arguments.submission)
            done = [run for run in history.runs(store, found.id) if run.seed]
            code = store.code(found.sha)
        if not done:
            raise CommandError(f"submission {found.id} has not been judged yet", exit_code=1)
        before = done[-1]
        problem = pack.load(found.problem, home_of(arguments))
        if before.version != problem.version:
            raise CommandError(
                f"it was judged with version {before.version} of the pack; this one is {problem.version}",
                exit_code=1,
            )
        again = judge.judge(
            problem,
            code,
            found.suffix,
            track=found.track,
            plan=judge.RANKED if arguments.time else CHECK_ONLY,
            seed=before.seed,
            sandbox=walls(arguments),
            on_phase=say,
        )
        same = again.verdict.name == before.verdict
        seed_holds = judge.seed_hash(before.seed) == before.seed_hash
        rows = [
            (
                "before",
                f"{before.verdict} {before.detail.get('reason') or ''} {before.detail.get('case') or ''}",
            ),
            ("now", f"{again.verdict.name} {again.verdict.reason} {again.verdict.case}"),
            ("seed", f"{before.seed[:16]}..., {'as' if seed_holds else 'NOT as'} its hash said before"),
        ]
        data = {
            "schema": SCHEMA,
            "kind": "replay",
            "submission": found.id,
            "before": before.to_dict(),
            "now": again.verdict.to_dict(),
            "same": same,
            "seed_holds": seed_holds,
        }
        title = f"compete replay {found.id}"
        return Document(title, (Section("Replay", (facts(rows),)),), data, exit_code=int(not seed_holds))


def _submission(store: Store, number: int) -> Submission:
    found = store.submission(number)
    if found is None:
        most = store.one("SELECT max(id) AS n FROM submission")["n"]
        known = f"there are {most}" if most else "there are none yet"
        raise CommandError(f"there is no submission {number}; {known}")
    return found
