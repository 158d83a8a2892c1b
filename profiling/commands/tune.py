"""The verb ``tune``: measure where the dispatcher's decision is uncertain, and store the results."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from tensorops.dispatch import schema
from tensorops.operations import OPERATIONS

from ..cases import DTYPES
from ..collect.recording import RecordedCall
from ..document import Document
from ..measure import machine
from ..measure.tune import Tuned, tune, tune_cases
from ..measure.worker import WorkerError
from ..progress import Tell, share_bar
from ..tuning import store
from ._base import Command, CommandError, nearest
from ._tune_sections import tune_document

DEFAULT_BUDGET = 60.0
ALL_BUDGET = 240.0
LONGEST_BUDGET = 3600.0
INTERRUPTED = 130


class TuneCommand(Command):
    """Measure which path is the fastest where, and have the dispatcher use it.

    Spends its budget where the decision is close. With --record it runs a script first, notes the operations
    and shapes that the script calls, tunes those, and says which paths changed and what that saves. What the
    script is given stands after "--".

    Ctrl-C ends the measuring; what was finished is stored, and the exit code is 130. Exit code 1: a path
    gave a wrong result, the script failed, or the profile could not be written.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "tune",
        "tune --ops matmul --budget 20s --threads 1",
        "tune --ops all --threads 1,2 --json tune.json",
        "tune --record train.py -- --epochs 1",
        "tune --record -m package.train --no-save",
    )
    takes_script_arguments: ClassVar[bool] = True

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""
        parser.add_argument(
            "--ops",
            type=_operations,
            metavar="OPS",
            help=f"operations, such as matmul, or all; known: {', '.join(OPERATIONS)}; default: the products",
        )
        parser.add_argument(
            "--budget",
            type=_seconds,
            metavar="TIME",
            help="how long to measure, such as 30s or 2m; default: 60s, 4m for all operations",
        )
        parser.add_argument(
            "--threads",
            type=_threads,
            metavar="N,...",
            help="numbers of threads that calls may use; default: 1 and all cores of this process",
        )
        parser.add_argument("--dtype", type=_dtypes, metavar="DTYPE,...", help=f"default: {','.join(DTYPES)}")
        parser.add_argument(
            "--record", metavar="SCRIPT", nargs="?", const="", help="tune what a script calls"
        )
        parser.add_argument("-m", dest="module", metavar="MODULE", help="a module to record as a script")
        parser.add_argument("--no-save", action="store_true", help="measure and tell, but store nothing")

    def run(self, arguments: argparse.Namespace) -> Document:
        """Measure, store, and tell what changed."""
        script = list(getattr(arguments, "script_arguments", ()))
        _check(arguments, script)
        cores = machine.describe()["cores"]
        threads = arguments.threads or sorted({1, cores})
        if max(threads) > cores:
            raise CommandError(
                f"--threads {max(threads)}: this process may use {cores} core{'s' * (cores != 1)}"
            )
        if arguments.record is None:
            ops = arguments.ops or tuple(op for op in ("matmul", "linear") if op in OPERATIONS)
            budget = arguments.budget or (ALL_BUDGET if len(ops) > 4 else DEFAULT_BUDGET)
            tuned = _measured(
                lambda tell: tune(
                    ops, budget=budget, threads=threads, dtypes=arguments.dtype or DTYPES, on_problem=tell
                )
            )
            return _finished(tuned, (), arguments)
        return _recorded(arguments, script)


def _check(arguments: argparse.Namespace, script: Sequence[str]) -> None:
    if arguments.record is None and (arguments.module is not None or script):
        raise CommandError("-m MODULE and arguments after -- are for --record")
    if arguments.record is not None:
        if (arguments.record == "") == (arguments.module is None):
            raise CommandError("--record: expected one script, or -m MODULE")
        if arguments.record and not Path(arguments.record).is_file():
            raise CommandError(f"--record: there is no file {arguments.record}")
        for name in ("ops", "dtype"):
            if getattr(arguments, name) is not None:
                raise CommandError(f"--{name} is not for --record: what the script calls is tuned")
    if not arguments.no_save and schema.profile_path() is None:
        raise CommandError("TENSOROPS_PROFILE=none: no profile is kept; unset it, or give --no-save")


def _recorded(arguments: argparse.Namespace, script: list[str]) -> Document:
    from ..collect.runner import run_program
    from ..targets import ScriptTarget

    target = ScriptTarget(arguments.record, arguments.module or "", tuple(script))
    collected = run_program(target.to_dict(), mode="record")
    if collected.ended == "unusable":
        raise CommandError(collected.message)
    values = collected.recording or {"calls": []}
    calls = [RecordedCall.from_dict(entry) for entry in values["calls"]]
    if arguments.threads and calls:
        used = sorted({entry.threads for entry in calls})
        calls = [entry for entry in calls if entry.threads in arguments.threads]
        if not calls:
            raise CommandError(
                f"--threads {','.join(map(str, arguments.threads))}: the script's calls may use "
                f"{' or '.join(map(str, used))}; leave the option out, or set TENSOROPS_NUM_THREADS"
            )
    budget = arguments.budget or DEFAULT_BUDGET
    threads = sorted({1, *(entry.threads for entry in calls)})
    tuned = _measured(
        lambda tell: tune_cases(
            [entry.case for entry in calls], budget=budget, threads=threads, on_problem=tell
        )
    )
    return _finished(tuned, calls, arguments, collected.exit_code)


def _measured(work: Callable[[Tell], Tuned]) -> Tuned:
    with share_bar("tune") as tell:
        try:
            return work(tell)
        except WorkerError as error:
            raise CommandError(str(error), exit_code=1) from error


def _finished(
    tuned: Tuned, calls: Sequence[RecordedCall], arguments: argparse.Namespace, script_code: int | None = None
) -> Document:
    error = None
    try:
        report = store(tuned, calls, save=not arguments.no_save)
    except OSError as problem:
        error = f"{problem.strerror or problem}: {problem.filename or schema.profile_path()}"
        report = store(tuned, calls, save=False)
    code = int(bool(tuned.errors) or error is not None or bool(script_code))
    return tune_document(report, error, script_code, exit_code=INTERRUPTED if tuned.interrupted else code)


def _operations(text: str) -> tuple[str, ...]:
    if text == "all":
        return tuple(OPERATIONS)
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in OPERATIONS:
            known = ", ".join(OPERATIONS)
            raise argparse.ArgumentTypeError(
                f"unknown operation {name!r}; known: {known}, or all{nearest(name, OPERATIONS)}"
            )
    return names


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|min)?", text)
    seconds = float(found[1]) * (60 if (found[2] or "s").startswith("m") else 1) if found else 0.0
    if not 0 < seconds <= LONGEST_BUDGET:
        raise argparse.ArgumentTypeError(f"expected a time up to one hour, such as 30s or 2m, got {text!r}")
    return seconds


def _threads(text: str) -> list[int]:
    if not re.fullmatch(r"[1-9]\d{0,3}(,[1-9]\d{0,3})*", text):
        raise argparse.ArgumentTypeError(f"expected numbers of threads such as 1,2, got {text!r}")
    return sorted({int(part) for part in text.split(",")})


def _dtypes(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in DTYPES:
            raise argparse.ArgumentTypeError(f"unknown dtype {name!r}; known: {', '.join(DTYPES)}")
    return names
