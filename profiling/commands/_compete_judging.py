"""Parts of ``compete`` that judge: check, submit, vs, work."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..competition import entry, judge, sandbox, verdict
from ..competition.judge import CHECK_ONLY, QUICK, RANKED, Plan
from ..competition.pack import Pack, load
from ..competition.sandbox import Sandbox
from ..competition.score import LEAST_NOISE, Score, score, tied
from ..competition.work import Judge
from ..document import Document, Section
from ..measure.stats import Interval
from ._base import CommandError
from ._compete_advice import advice_sections
from ._compete_base import (
    SCHEMA,
    Part,
    add_home,
    add_problem,
    default_name,
    facts,
    home_of,
    open_store,
    read_submission,
    say,
    score_data,
    score_section,
    verdict_section,
)


def walls(arguments: argparse.Namespace) -> Sandbox:
    """Return the sandbox for code of one's own."""
    found = sandbox.probe()
    if not found.confined and not arguments.unsafe:
        raise CommandError(
            f"no sandbox works here: {found.why}. For code of your own that you trust: --unsafe", exit_code=1
        )
    return found


def add_unsafe(parser: argparse.ArgumentParser) -> None:
    """Add the option for machines without a sandbox."""
    parser.add_argument(
        "--unsafe", action="store_true", help="run it where no sandbox works; such results are not ranked"
    )


class Check(Part):
    """Judge a file of yours as the competition does, without entering it.

    The same judge, another seed: sizes and values are not those of your submission. Beside the verdict
    stand the hotspots, the position under the roofline and where the next gain lies. --quick times one
    pair of processes instead of three.
    """

    name = "check"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        parser.add_argument("file", type=Path)
        add_problem(parser)
        parser.add_argument("--quick", action="store_true", help="one pair of processes instead of three")
        parser.add_argument("--only", action="store_true", help="only whether it is right: no timing")
        add_unsafe(parser)
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Judge and explain."""
        problem, code, path = read_submission(arguments)
        confined = walls(arguments)
        plan: Plan = CHECK_ONLY if arguments.only else QUICK if arguments.quick else RANKED
        found = judge.judge(
            problem,
            code,
            path.suffix,
            track=arguments.track,
            plan=plan,
            sandbox=confined,
            on_phase=lambda phase: say(f"{path.name}: {phase}"),
        )
        sections = [verdict_section(found.verdict, f"{path.name} for {problem.name}")]
        data: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": "check",
            "problem": problem.name,
            "track": arguments.track,
            **found.verdict.to_dict(),
            "worst": found.worst,
            "sandbox": found.sandbox,
            "seed": found.seed,
            "samples": judge.describe(found.samples),
        }
        if found.samples and found.verdict.name == verdict.OK:
            scored = score(found.samples, [band.name for band in problem.problem.timed])
            sections.append(score_section(scored, LEAST_NOISE))
            more, told = advice_sections(problem, code, path, arguments.track, scored, found, confined)
            sections += more
            data |= score_data(scored) | {"advice": told}
        code_of_exit = 0 if found.verdict.name == verdict.OK else 1
        return Document(f"compete check {path.name}", tuple(sections), data, exit_code=code_of_exit)


class Submit(Part):
    """Enter a file. It is stored first, and judged by ``compete work`` or ``compete serve``."""

    name = "submit"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--as", dest="participant", metavar="NAME", default=default_name())
        add_problem(parser)
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Store the file and queue it."""
        problem, code, path = read_submission(arguments)
        participant = entry.participant(arguments.participant)
        if participant is None:
            raise CommandError(entry.RULE)
        with open_store(arguments) as store:
            number = store.submit(participant, problem.name, arguments.track, code, path.name)
            waiting = store.one("SELECT count(*) AS n FROM job WHERE state != 'done'")["n"]
        rows = [
            ("submission", str(number)),
            ("participant", participant),
            ("problem", f"{problem.name}, track {arguments.track}"),
            ("waiting", f"{waiting} in the queue"),
            ("next", f"python -m profiling compete result {number}"),
        ]
        data = {
            "schema": SCHEMA,
            "kind": "submission",
            "submission": number,
            "participant": participant,
            "problem": problem.name,
            "track": arguments.track,
        }
        return Document(f"compete submit {path.name}", (Section("Stored", (facts(rows),)),), data)


class Work(Part):
    """Judge what waits, one after the other; --once ends when nothing waits."""

    name = "work"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        parser.add_argument("--once", action="store_true", help="end when nothing waits")
        parser.add_argument("--quick", action="store_true", help="one pair of processes instead of three")
        add_unsafe(parser)
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Judge until nothing waits, or for ever."""
        with open_store(arguments) as store:
            try:
                worker = Judge(
                    store,
                    home_of(arguments),
                    plan=QUICK if arguments.quick else RANKED,
                    unsafe=arguments.unsafe,
                    told=say,
                )
            except RuntimeError as error:
                raise CommandError(str(error), exit_code=1) from error
            count = worker.run(once=arguments.once)
        data = {"schema": SCHEMA, "kind": "work", "judged": count}
        return Document("compete work", (Section("Done", (f"{count} judged.",)),), data)


class Versus(Part):
    """Measure two submissions against each other, side by side.

    A and B are numbers of submissions, or files. B takes the baseline's place.
    """

    name = "vs"

    def prepare(self, parser: argparse.ArgumentParser) -> None:
        """Add the part's arguments."""
        parser.add_argument("first", metavar="A")
        parser.add_argument("second", metavar="B")
        add_problem(parser)
        add_unsafe(parser)
        add_home(parser)

    def run(self, arguments: argparse.Namespace) -> Document:
        """Judge A with B as its baseline."""
        problem, first = self._find(arguments, arguments.first)
        other, second = self._find(arguments, arguments.second)
        if problem.name != other.name:
            raise CommandError(
                f"{arguments.first} is for {problem.name}, {arguments.second} for {other.name}"
            )
        validated = judge.judge(
            problem, *second, track=arguments.track, plan=CHECK_ONLY, sandbox=walls(arguments)
        )
        if validated.verdict.name != verdict.OK:
            section = verdict_section(validated.verdict, arguments.second)
            return Document("compete vs", (section,), validated.verdict.to_dict(), exit_code=1)
        found = judge.judge(
            problem, *first, track=arguments.track, sandbox=walls(arguments), rival=second, on_phase=say
        )
        data: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": "versus",
            "first": arguments.first,
            "second": arguments.second,
            **found.verdict.to_dict(),
        }
        sections = [verdict_section(found.verdict, f"{arguments.first} against {arguments.second}")]
        if found.verdict.name == verdict.OK:
            scored = score(found.samples, [band.name for band in problem.problem.timed])
            says = conclusion(arguments.first, arguments.second, scored)
            sections += [Section("Conclusion", (says,)), _relabelled(scored)]
            data |= score_data(scored) | {"conclusion": says, "samples": judge.describe(found.samples)}
        return Document(
            f"compete vs {arguments.first} {arguments.second}",
            tuple(sections),
            data,
            exit_code=int(found.verdict.name != verdict.OK),
        )

    def _find(self, arguments: argparse.Namespace, text: str) -> tuple[Pack, tuple[bytes, str]]:
        if text.isdecimal():
            with open_store(arguments) as store:
                submission = store.submission(int(text))
                if submission is None:
                    raise CommandError(f"there is no submission {text}")
                code = store.code(submission.sha)
            return load(submission.problem, home_of(arguments)), (code, submission.suffix)
        named = argparse.Namespace(**{**vars(arguments), "file": Path(text)})
        problem, code, path = read_submission(named)
        return problem, (code, path.suffix)


def conclusion(first: str, second: str, scored: Score) -> str:
    """Return who is faster, in words."""
    total = scored.total
    equal = Interval(1.0, 1.0, 1.0, total.n)
    if tied(total, equal):
        return f"{first} and {second} are equal within what can be measured here."
    faster, slower = (first, second) if total.estimate > 1 else (second, first)
    ratio = max(total.estimate, 1 / total.estimate)
    return f"{faster} is {ratio:.3f} times as fast as {slower}."


def _relabelled(scored: Score) -> Section:
    section = score_section(scored, LEAST_NOISE)
    return Section("A over B", section.blocks[:1])
