"""The verb ``compete``: kernels of many people, one judge, one ranking."""

from __future__ import annotations

import argparse
import inspect

from ..competition.pack import PackError
from ..competition.store import StoreError
from ..competition.verdict import Fault
from ..document import Document
from ..reporters import formats
from ._base import Command, CommandError, add_format_options
from ._compete_base import Part
from ._compete_judging import Check, Submit, Versus, Work
from ._compete_problems import ListProblems, NewProblem, ShowProblem, Start
from ._compete_results import Board, Replay, Result
from ._compete_teacher import Decide, Doctor, Export, Serve

PARTS: tuple[type[Part], ...] = (
    ListProblems,
    ShowProblem,
    Start,
    Check,
    Submit,
    Work,
    Board,
    Result,
    Versus,
    Replay,
    Serve,
    Decide,
    Doctor,
    Export,
    NewProblem,
)


class CompeteCommand(Command):
    """Judge kernels against each other: fairly, safely, and by measurement.

    A submission is one .py or .pyx file with a function `kernel` that writes its last argument. It runs in
    a process of its own behind a sandbox; clock, operands and checks stay with the judge. Start with
    `compete list`, `compete start softmax` and `compete check softmax.py`.
    """

    examples = (
        "compete start softmax",
        "compete check softmax.pyx",
        "compete submit softmax.pyx --as ann",
        "compete work --once",
        "compete board softmax",
        "compete serve class/",
    )

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add one parser for each part."""
        parts = parser.add_subparsers(dest="part", metavar="PART", title="parts", required=True)
        for kind in PARTS:
            text = inspect.getdoc(kind) or ""
            chosen = parts.add_parser(
                kind.name,
                help=text.splitlines()[0],
                description=text,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            part = kind()
            part.prepare(chosen)
            chosen.set_defaults(run_part=part)
            add_format_options(chosen)
            # What was given before the part's name must not be forgotten.
            for action in chosen._actions:
                if action.dest in formats():
                    action.default = argparse.SUPPRESS

    def run(self, arguments: argparse.Namespace) -> Document:
        """Do what was asked for."""
        part: Part = arguments.run_part
        try:
            return part.run(arguments)
        except (PackError, StoreError, Fault, OSError) as error:
            raise CommandError(str(error), exit_code=1) from error
