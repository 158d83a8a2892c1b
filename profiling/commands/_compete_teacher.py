"""Parts of ``compete`` for who runs a competition: serve, decide, doctor, export."""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import math
from pathlib import Path
from typing import Any

from ..competition import compiler, export, history, machine_class, noise, pack, sandbox
from ..competition.inbox import Rules
from ..competition.judge import QUICK, RANKED
from ..competition.serve import serve
from ..competition.store import Store
from ..document import Column, Document, Section, Table
from ..model import quiet
from ._base import CommandError, whole_number
from ._compete_base import SCHEMA, Part, add_home, facts, open_store, say
from ._compete_judging import add_unsafe
from ._files import write_file


class Serve(Part):
    """Serve a class: watch DIR/inbox, judge in order, write DIR/site.

    Each participant has a folder in DIR/inbox, or a git address in DIR/remotes.toml. Files are named
    after their problem, such as softmax_fast.pyx, and judged whenever they change. The pages need no
    server: open DIR/site/index.html, or let any web server show the folder.
    """

    name = "serve"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        parser.add_argument("folder", type=Path, metavar="DIR")
        parser.add_argument("--once", action="store_true", help="end when everything is judged")
        parser.add_argument("--quick", action="store_true", help="one pair of processes instead of three")
        parser.add_argument(
            "--per-hour",
            type=whole_number(1, 10_000),
            default=Rules().per_hour,
            metavar="N",
            help=f"verdicts per participant and hour ({Rules().per_hour})",
        )
        parser.add_argument(
            "--waiting",
            type=whole_number(1, 10_000),
            default=Rules().waiting,
            metavar="N",
            help=f"submissions of a participant that may wait ({Rules().waiting})",
        )
        add_unsafe(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Serve until stopped."""
        if importlib.util.find_spec("jinja2") is None:
            raise CommandError("jinja2 is not installed; install with: pip install 'tensorops[compete]'", 1)
        folder: Path = arguments.folder
        with Store(folder) as store:
            say(f"inbox: {folder / 'inbox'}; pages: {folder / 'site' / 'index.html'}")
            try:
                count = serve(
                    store,
                    folder,
                    rules=Rules(arguments.per_hour, arguments.waiting),
                    plan=QUICK if arguments.quick else RANKED,
                    once=arguments.once,
                    unsafe=arguments.unsafe,
                    told=say,
                )
            except RuntimeError as error:
                raise CommandError(str(error), exit_code=1) from error
        data = {"schema": SCHEMA, "kind": "serve", "judged": count, "site": str(folder / "site")}
        return Document("compete serve", (Section("Done", (f"{count} judged.",)),), data)


class Decide(Part):
    """Decide what the competition shows: hide, show, judge-again, deadline, source.

    hide ID and show ID take a submission out of the ranking and back, hide and show with --participant
    a person; judge-again ID queues it once more and pools the samples; deadline PROBLEM WHEN (such as
    "2026-12-01 18:00", UTC; "none" lifts it) leaves later ones unranked; source always, after-deadline
    or never says when sources are shown. Nothing is removed: the newest decision counts.
    """

    name = "decide"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        actions = ("hide", "show", "judge-again", "deadline", "source")
        parser.add_argument("action", choices=actions)
        parser.add_argument("what", help="a submission, a problem, or when sources are shown")
        parser.add_argument("when", nargs="?", help="of a deadline")
        parser.add_argument("--participant", action="store_true", help="hide or show a participant")
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Note the decision."""
        action, what = arguments.action, arguments.what
        with open_store(arguments) as store:
            if action == "deadline":
                told = _set_deadline(store, what, arguments.when)
            elif action == "source":
                if what not in ("always", "after-deadline", "never"):
                    raise CommandError("sources are shown always, after-deadline or never")
                store.decide("setting", "show source", what)
                told = f"sources are shown: {what}"
            elif arguments.participant:
                store.decide("hidden participant", what, "1" if action == "hide" else "0")
                told = f"{action}: participant {what}"
            else:
                told = _on_submission(store, action, what)
        data = {"schema": SCHEMA, "kind": "decision", "told": told}
        return Document("compete decide", (Section("Decided", (told,)),), data)


def _set_deadline(store: Store, problem: str, text: str | None) -> str:
    if text == "none":
        store.decide("deadline", problem, "9e18")
        return f"{problem} has no deadline"
    try:
        when = datetime.datetime.fromisoformat(text or "")
    except ValueError:
        raise CommandError(f'a deadline is a time such as "2026-12-01 18:00", got {text!r}') from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.UTC)
    store.decide("deadline", problem, str(when.timestamp()))
    return f"{problem} ends {history.date_text(when.timestamp())}"


def _on_submission(store: Store, action: str, text: str) -> str:
    if not text.isdecimal() or store.submission(int(text)) is None:
        raise CommandError(f"there is no submission {text}")
    if action == "judge-again":
        store.judge_again(int(text))
        return f"submission {text} is in the queue again"
    store.decide("hidden", text, "1" if action == "hide" else "0")
    return f"{action}: submission {text}"


class Doctor(Part):
    """Say whether this machine can judge fairly, and what to mend.

    Tries the sandbox and the compiler, looks for what disturbs, and judges a baseline against itself:
    the noise that it finds becomes the least difference that this competition ranks by.
    """

    name = "doctor"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        parser.add_argument("--times", type=whole_number(3, 100), default=5, help="judgings (5)")
        parser.add_argument("--problem", default="softmax", metavar="NAME", help="whose baseline (softmax)")
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Look, try and measure."""
        walls = sandbox.probe()
        compilers = compiler.describe()
        rows = [
            ("sandbox", walls.label if walls.confined else f"NONE: {walls.why}; results are not ranked"),
            ("compiler", f"{compilers['compiler']}, Cython {compilers['cython']}, {compilers['flags']}"),
        ]
        findings = quiet.findings()
        table = Table(
            (Column("what", "left"), Column("found", "wrap"), Column("what to do", "wrap")),
            tuple((finding.topic, finding.found, finding.advice) for finding in findings),
        )
        data: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": "doctor",
            "sandbox": walls.label,
            "confined": walls.confined,
            **compilers,
            "findings": [finding.to_dict() for finding in findings],
        }
        sections = [Section("Sandbox and compiler", (facts(rows),)), Section("What disturbs", (table,))]
        good = walls.confined
        if walls.confined:
            say(f"judging the baseline of {arguments.problem} against itself {arguments.times} times")
            try:
                found = noise.measure(pack.load(arguments.problem), arguments.times)
            except RuntimeError as error:
                raise CommandError(str(error), exit_code=1) from error
            machine = machine_class.name(machine_class.describe())
            with open_store(arguments) as store:
                store.decide("noise", machine, str(found.level))
            shown = ", ".join(f"{100 * math.expm1(value):+.1f} %" for value in found.differences)
            sections.append(Section("Noise", (_noise_text(found), f"Equal programs differed by {shown}.")))
            data["noise"] = found.to_dict()
            good = found.quiet
        return Document("compete doctor", tuple(sections), data, exit_code=int(not good))


def _noise_text(found: noise.Noise) -> str:
    level = f"{100 * found.level:.1f} %"
    if found.quiet:
        return f"Scores within {level} are tied from now on: this machine can judge."
    return (
        f"Scores within {level} are tied from now on. That is more than {100 * noise.MOST_NOISE:.0f} %: "
        "end other work, or judge on a quieter machine."
    )


class Export(Part):
    """Write everything as data: --json FILE for all of it, --csv FILE for the boards."""

    name = "export"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        parser.add_argument("--csv", type=Path, metavar="FILE", help="the boards, for spreadsheets")
        parser.add_argument("--sources", action="store_true", help="with the submissions' texts")
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Collect all that is stored."""
        with open_store(arguments) as store:
            data = export.everything(store, sources=arguments.sources)
            if arguments.csv is not None:
                write_file(arguments.csv, export.as_csv(store).encode())
        rows = [
            ("submissions", str(len(data["submissions"]))),
            ("judgings", str(sum(len(one["runs"]) for one in data["submissions"]))),
            ("boards", str(len(data["boards"]))),
        ]
        return Document("compete export", (Section("Competition", (facts(rows),)),), data)
