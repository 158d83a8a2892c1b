"""What the cost model reads of a profile, as numbers beside the file: its reader is spared the JSON.

A profile of some hundred calls takes longer to parse than a program's first call may be delayed. So whoever
writes one writes a second file, ``<profile>.index``: the samples as one matrix, and where in the profile each
entry stands. It belongs to one content of the profile, whose hash it holds; any other is parsed as if there
were no index. Nothing is lost with it: it is made anew by the next write.

Whoever changes what an operation's ``sizes``, ``flops`` or ``bytes`` count raises `FORMAT`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tensorops.dispatch.cost_model import SAMPLE_COLUMNS, Samples, samples_of
from tensorops.dispatch.documents import Entries
from tensorops.dispatch.records import Profile

__all__ = ["FORMAT", "index_path", "load", "pack"]

FORMAT = 1


def index_path(profile: Path) -> Path:
    """Return the file of a profile's index.

    Parameters
    ----------
    profile : Path
        The profile.

    Returns
    -------
    Path
        Beside it.

    Examples
    --------
    >>> index_path(Path("profile.json")).name
    'profile.json.index'
    """
    return profile.with_name(profile.name + ".index")


def pack(content: bytes, profile: Profile, places: Sequence[tuple[int, int]]) -> bytes:
    """Return the index of a profile.

    Parameters
    ----------
    content : bytes
        The profile's file.
    profile : Profile
        What stands in it.
    places : sequence of (int, int)
        Where the entries begin and end in `content`.

    Returns
    -------
    bytes
        For `load`.

    Examples
    --------
    >>> len(pack(b"{}", Profile({}), [])) > 0
    True
    """
    samples = samples_of(profile.entries)
    body = np.array(places, dtype="<i8").tobytes() + samples.table.astype("<f8").tobytes()
    head = {
        "format": FORMAT,
        "fingerprint": dict(profile.fingerprint),
        "profile": _digest(content),
        "body": _digest(body),
        "entries": len(places),
        "kinds": samples.kinds,
        "paths": samples.paths,
    }
    return json.dumps(head).encode() + b"\n" + body


def load(content: bytes, packed: bytes) -> Profile | None:
    """Return the profile of a file by its index.

    Parameters
    ----------
    content : bytes
        The profile's file.
    packed : bytes
        Its index, if it is that.

    Returns
    -------
    Profile or None
        None if the index is of another content or format, or damaged.

    Examples
    --------
    >>> load(b"{}", pack(b"{}", Profile({"cpu": "6502"}), [])).fingerprint
    {'cpu': '6502'}
    >>> print(load(b"{ }", pack(b"{}", Profile({}), [])))
    None
    """
    first, _, body = packed.partition(b"\n")
    try:
        head: dict[str, Any] = json.loads(first)
        current = head["format"] == FORMAT and head["profile"] == _digest(content)
        if not current or head["body"] != _digest(body):
            return None
        split = 16 * head["entries"]
        places = np.frombuffer(body[:split], dtype="<i8").reshape(-1, 2)
        columns = SAMPLE_COLUMNS + len(head["paths"])
        table = np.frombuffer(body[split:], dtype="<f8").reshape(-1, columns)
        return Profile(
            head["fingerprint"],
            Entries.of_lines(content, places.tolist(), Samples(table, head["kinds"], head["paths"])),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
