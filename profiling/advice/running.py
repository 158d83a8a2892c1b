"""Trials in processes of their own, pooled over several launches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..measure.stats import Interval, paired_ratio, seconds
from ..measure.worker import THREAD_VARIABLES
from .trial import AFTER, BEFORE

LAUNCHES = 3
SECONDS_EACH = 12.0
"""Compiling an expression takes three, and the machine may be busy."""

WORTH_MORE = 1.03
"""Below this ratio in the first launch, the others are not run."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial found.

    Attributes
    ----------
    agrees : bool
        Whether both give the same within the bound.
    reason : str or None
        Why not, or why it was not timed.
    error : float or None
        The largest difference, as a share of what is allowed.
    gain : Interval or None
        Time of the lines over that of the replacement, at one thread.
    before, after : float or None
        Seconds of a call.
    narrowed : bool
        Whether the lines give float64 and the replacement float32.
    """

    agrees: bool
    reason: str | None = None
    error: float | None = None
    gain: Interval | None = None
    before: float | None = None
    after: float | None = None
    narrowed: bool = False


def try_out(trials: Sequence[Mapping[str, Any]], launches: int = LAUNCHES) -> list[Outcome]:
    """Run trials in several launches.

    Parameters
    ----------
    trials : sequence of mapping
        As `Candidate.trial`.
    launches : int
        Processes, one after the other.

    Returns
    -------
    list of Outcome
        One per trial, whatever became of it.
    """
    answers: list[list[dict[str, Any]]] = [[] for _ in trials]
    wanted = list(range(len(trials)))
    for _ in range(launches):
        if not wanted:
            break
        for place, answer in zip(wanted, _launch([trials[place] for place in wanted]), strict=True):
            answers[place].append(answer)
        wanted = [place for place in wanted if _is_promising(answers[place][-1])]
    return [_outcome(given) for given in answers]


def _is_promising(answer: Mapping[str, Any]) -> bool:
    if not answer.get("samples"):
        return False
    return _ratio([answer]).estimate >= WORTH_MORE


def _ratio(answers: Sequence[Mapping[str, Any]]) -> Interval:
    return paired_ratio(
        [answer["samples"][AFTER] for answer in answers], [answer["samples"][BEFORE] for answer in answers]
    )


def _outcome(answers: Sequence[Mapping[str, Any]]) -> Outcome:
    if not answers:
        return Outcome(False, "it was not tried out")
    failed = next((answer for answer in answers if not answer["agrees"]), None)
    if failed is not None:
        return Outcome(False, str(failed["reason"]))
    timed = [answer for answer in answers if answer.get("samples")]
    if not timed:
        return Outcome(True, "it was not timed", answers[0].get("error"))
    before, after = (seconds([answer["samples"][name] for answer in timed]) for name in (BEFORE, AFTER))
    error, narrowed = answers[0].get("error"), bool(answers[0].get("narrowed"))
    return Outcome(True, None, error, _ratio(timed), before.estimate, after.estimate, narrowed)


def _launch(trials: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Run trials in one process, or in another one from behind the trial that ended it."""
    answers: list[dict[str, Any]] = []
    while len(answers) < len(trials):
        rest = trials[len(answers) :]
        found, ending = _process(rest)
        answers += found
        if len(found) < len(rest):
            answers.append({"agrees": False, "reason": ending})
    return answers


def _process(trials: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    root = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1") | {"PYTHONPATH": search}
    request = json.dumps({"trials": list(trials), "timed": True})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "profiling.advice.trial"],
            input=request,
            capture_output=True,
            text=True,
            env=environment,
            timeout=SECONDS_EACH * (1 + len(trials)),
            check=False,
        )
        text, ending = done.stdout, f"the trial ended with exit code {done.returncode}"
    except subprocess.TimeoutExpired as error:
        held: bytes | str = error.stdout or b""
        text = held.decode() if isinstance(held, bytes) else held
        ending = "the trial took too long"
    lines = [line for line in text.splitlines() if line.endswith("}")]
    return [json.loads(line) for line in lines], ending
