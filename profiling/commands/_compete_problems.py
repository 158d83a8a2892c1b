"""Parts of ``compete`` about problems: what there is, what it asks for, files to start from."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..competition import pack
from ..competition.new_problem import write_pack
from ..competition.site import sizes_text
from ..competition.validate import validate
from ..document import Cell, Column, Document, Section, Table
from ._base import CommandError
from ._compete_base import SCHEMA, Part, add_home, facts, home_of, say


class ListProblems(Part):
    """List the problems."""

    name = "list"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Return a table of all packs."""
        home = home_of(arguments)
        packs = [pack.load(name, home) for name in pack.names(home)]
        rows: list[tuple[Cell, ...]] = [
            (found.name, found.problem.call, found.problem.title, found.version) for found in packs
        ]
        columns = (
            Column("problem", "left"),
            Column("kernel", "left"),
            Column("what", "wrap"),
            Column("version", "left", 1),
        )
        data = {
            "schema": SCHEMA,
            "kind": "problems",
            "problems": [
                {"name": found.name, "title": found.problem.title, "version": found.version}
                for found in packs
            ],
        }
        section = Section("Problems", (Table(columns, tuple(rows)),))
        return Document("compete list", (section,), data)


class ShowProblem(Part):
    """Show what a problem asks for."""

    name = "problem"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        parser.add_argument("problem", metavar="NAME")
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Return description, cases and tolerance."""
        found = pack.load(arguments.problem, home_of(arguments))
        problem = found.problem
        columns = (Column("case", "left"), Column("sizes", "left"), Column("counts", "left"))
        rows: list[tuple[Cell, ...]] = []
        for counts, bands in (("timed", problem.timed), ("must be right", problem.checked)):
            for band in bands:
                rows.append((band.name, sizes_text(band, problem.sizes), counts))
        sections = (
            Section(problem.title, (f"{problem.call}, {problem.dtype}", *paragraphs(problem.text))),
            Section(
                "Cases",
                (
                    Table(columns, tuple(rows)),
                    "Sizes and values are drawn anew for each judging; the seed is secret until then.",
                    f"The largest error allowed is {problem.tolerance:.2g}, relative to float64.",
                ),
            ),
        )
        data = {
            "schema": SCHEMA,
            "kind": "problem",
            "name": found.name,
            "version": found.version,
            "call": problem.call,
            "text": problem.text,
            "tolerance": problem.tolerance,
            "timed": [
                {"name": band.name, "ranges": [list(pair) for pair in band.ranges]} for band in problem.timed
            ],
        }
        return Document(f"compete problem {found.name}", sections, data)


class Start(Part):
    """Write the files to start from: NAME.py with NumPy and NAME.pyx with loops."""

    name = "start"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        parser.add_argument("problem", metavar="NAME")
        parser.add_argument(
            "--into", type=Path, default=Path(), metavar="DIR", help="folder; this one by default"
        )
        parser.add_argument("--force", action="store_true", help="replace files that are there")
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Write the files."""
        found = pack.load(arguments.problem, home_of(arguments))
        written = [arguments.into / f"{found.name}{suffix}" for suffix in (".py", ".pyx")]
        there = [str(path) for path in written if path.exists()]
        if there and not arguments.force:
            raise CommandError(
                f"{', '.join(there)} would be replaced; give --force, or --into another folder"
            )
        arguments.into.mkdir(parents=True, exist_ok=True)
        for path in written:
            path.write_bytes(found.file(f"starter{path.suffix}").read_bytes())
        rows = [("written", str(path)) for path in written]
        rows.append(("next", f"python -m profiling compete check {written[0]}"))
        data = {"schema": SCHEMA, "kind": "start", "files": [str(path) for path in written]}
        return Document(f"compete start {found.name}", (Section(found.problem.title, (facts(rows),)),), data)


class NewProblem(Part):
    """Make a pack of your own, ready to be changed, and try it.

    The new pack sums the rows of a matrix. Change problem.py, baseline.py, the starters and must_fail/, and
    run the same command again with --try to see whether the checks hold.
    """

    name = "new-problem"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        parser.add_argument("problem", metavar="NAME")
        parser.add_argument("--try", dest="trial", action="store_true", help="try a pack that is there")
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Write the pack, or try it."""
        home = home_of(arguments)
        name = arguments.problem
        if not arguments.trial:
            try:
                folder = write_pack(name, home)
            except ValueError as error:
                raise CommandError(str(error)) from error
        else:
            folder = home / "problems" / name
        say(f"trying {folder}")
        found = pack.load(name, home)
        validate(found)
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.py*") if path.is_file())
        rows = [("pack", str(folder)), ("files", ", ".join(files)), ("version", found.version)]
        rows.append(("tried", "baseline and starters are right, and everything in must_fail/ fails"))
        data = {"schema": SCHEMA, "kind": "new-problem", "folder": str(folder), "version": found.version}
        return Document(f"compete new-problem {name}", (Section("Pack", (facts(rows),)),), data)


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a description."""
    return [part.strip() for part in text.split("\n\n") if part.strip()]
