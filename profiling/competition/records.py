"""What goes into a judging and what comes out: files, plans, samples, judgements."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .verdict import Verdict

SUFFIXES = (".py", ".pyx")
MOST_BYTES = 256_000
MODULE = "kernel"
TRACKS = ("one", "all")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes
    ----------
    launches : int
        Pairs of processes, each started anew.
    extra : int
        Further pairs, at most, where the first leave open what they should tell.
    blocks : int
        Blocks of four pairs of calls for each case in one launch.
    repeats : int
        Calls of each case that is only checked.
    call_seconds : float
        Wall time that one call may take.
    total_seconds : float
        Wall time of all that one judging lets the submission do; below a worker's lease.
    """

    launches: int = 3
    extra: int = 0
    blocks: int = 4
    repeats: int = 2
    call_seconds: float = 10.0
    total_seconds: float = 240.0


REVIEWED = "so large a gain was tried on many more hidden cases, and held"
RANKED = Plan(extra=6)
QUICK = Plan(launches=1, blocks=3)
CHECK_ONLY = Plan(launches=0)


@dataclass(frozen=True, slots=True)
class CaseSamples:
    """What one launch gave for one case.

    Attributes
    ----------
    case : str
        Name of the band.
    launch : int
        Number of the launch, from 0.
    sizes : tuple of int
        As drawn.
    ours, theirs : tuple of float
        Seconds of the submission and of the baseline, pair by pair.
    """

    case: str
    launch: int
    sizes: tuple[int, ...]
    ours: tuple[float, ...]
    theirs: tuple[float, ...]


@dataclass(slots=True)
class Judgement:
    """All that a judging has found.

    Attributes
    ----------
    verdict : Verdict
        How it ended; OK leaves the score to whoever knows the other samples of the same source.
    samples : list of CaseSamples
        Raw; empty where nothing was timed.
    worst : dict of str to float
        Largest error by case, in units of the tolerance.
    sandbox : str
        The walls.
    seed : str
        Hexadecimal.
    seconds : float
        How long it took.
    versions : dict
        What the samples depend on.
    reviewed : bool
        Whether the gain was so large that further hidden cases were tried before it counted.
    """

    verdict: Verdict
    samples: list[CaseSamples] = field(default_factory=list)
    worst: dict[str, float] = field(default_factory=dict)
    sandbox: str = ""
    seed: str = ""
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    reviewed: bool = False


def new_seed() -> str:
    """Return a secret seed: 32 bytes, hexadecimal."""
    return secrets.token_hex(32)


def seed_hash(seed: str) -> str:
    """Return what may be told of a seed before it is told itself.

    Examples
    --------
    >>> seed_hash("00")[:8]
    '6e340b9c'
    """
    return hashlib.sha256(bytes.fromhex(seed)).hexdigest()


def refusal(code: bytes, suffix: str) -> str | None:
    """Return why a file is no submission, or None.

    Parameters
    ----------
    code : bytes
        Its contents.
    suffix : str
        Of its name.

    Returns
    -------
    str or None
        One line.

    Examples
    --------
    >>> refusal(b"", ".py")
    'the file is empty'
    """
    if suffix not in SUFFIXES:
        return f"a submission is one .py or .pyx file, got {suffix or 'a name without ending'}"
    if not code.strip():
        return "the file is empty"
    if len(code) > MOST_BYTES:
        return f"the file has {len(code)} bytes; at most {MOST_BYTES} are taken"
    try:
        text = code.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"the file is not UTF-8: {error.reason} at byte {error.start}"
    return "the file contains a null character" if "\0" in text else None


def describe(samples: Sequence[CaseSamples]) -> list[dict[str, Any]]:
    """Return raw samples as JSON-ready values.

    Parameters
    ----------
    samples : sequence of CaseSamples
        Of a judgement.

    Returns
    -------
    list of dict
        One per launch and case.
    """
    return [
        {
            "case": sample.case,
            "launch": sample.launch,
            "sizes": list(sample.sizes),
            "ours": list(sample.ours),
            "theirs": list(sample.theirs),
        }
        for sample in samples
    ]
