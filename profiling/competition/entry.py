"""What an entry is called: names of participants, and the problem that a file is for."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from . import pack
from .judge import TRACKS

NAME = re.compile(r"[^\W_][\w. -]{0,39}")
RULE = "a participant's name begins with a letter or digit and has at most 40 letters, digits, spaces, . - _"
HEAD_LINES = 20


def participant(text: str) -> str | None:
    """Return a participant's name in its normal form, or None where it cannot be one.

    Parameters
    ----------
    text : str
        As somebody typed it, or a folder's name.

    Returns
    -------
    str or None
        Names that look alike become one where Unicode says so.

    Examples
    --------
    >>> participant("ann"), participant("../up"), participant("a\u202eb")
    ('ann', None, None)
    """
    name = unicodedata.normalize("NFKC", text)
    if not name.isprintable() or not NAME.fullmatch(name) or name != name.strip():
        return None
    return name


def told_by(code: bytes, word: str) -> str | None:
    """Return what a comment ``# word: value`` near the top of a file says."""
    for line in code[:8192].decode("utf-8", "replace").splitlines()[:HEAD_LINES]:
        text = line.lstrip("# ").removeprefix("tensorops:").strip()
        if line.startswith("#") and text.startswith(f"{word}:"):
            return text.removeprefix(f"{word}:").strip()
    return None


def problem_of(stem: str, code: bytes, home: Path | None) -> str | None:
    """Return the problem that a file is for: ``# problem: NAME`` near its top, or its name's beginning.

    Parameters
    ----------
    stem : str
        The file's name without its ending, such as ``softmax_fast``.
    code : bytes
        Its contents.
    home : Path, optional
        The competition, for packs of its own.

    Returns
    -------
    str or None
        Not always a problem that exists.

    Examples
    --------
    >>> problem_of("softmax_fast", b"", None), problem_of("mine", b"# problem: gelu", None)
    ('softmax', 'gelu')
    """
    told = told_by(code, "problem")
    if told is not None:
        return told
    known = pack.names(home)
    fitting = [name for name in known if stem == name or stem.startswith((f"{name}_", f"{name}-"))]
    return max(fitting, key=len, default=None)


def track_of(code: bytes) -> str:
    """Return the track that ``# track: all`` asks for, one processor by default."""
    told = told_by(code, "track")
    return told if told in TRACKS else TRACKS[0]
