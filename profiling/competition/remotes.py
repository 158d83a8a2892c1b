"""Participants who hand in by git: their files are copied out of the objects, nothing is checked out."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

from . import entry
from .inbox import FOLDER
from .judge import MOST_BYTES, SUFFIXES

FILE = "remotes.toml"
SECONDS = 60
MOST_FILES = 100
# No hooks, no helpers, no questions: a repository is data.
SETTINGS = ("core.hooksPath=/dev/null", "protocol.ext.allow=never", "core.fsmonitor=false", "gc.auto=0")


def remotes(home: Path) -> dict[str, str]:
    """Return the repositories of ``HOME/remotes.toml``, by participant.

    Parameters
    ----------
    home : Path
        The competition. The file has a table ``[remotes]`` of names and addresses.

    Returns
    -------
    dict of str to str
        Empty where there is no file.

    Raises
    ------
    ValueError
        For a file that cannot be read as that.
    """
    try:
        text = (home / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        table = tomllib.loads(text).get("remotes", {})
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{home / FILE}: {error}") from error
    for name, address in table.items():
        if entry.participant(name) is None or not isinstance(address, str) or address.startswith("-"):
            raise ValueError(f"{home / FILE}: {name!r} = {address!r}: {entry.RULE}; an address is a text")
    return dict(table)


def fetch_all(home: Path, told: Callable[[str], None]) -> None:
    """Bring the newest files of all remotes into the inbox.

    Parameters
    ----------
    home : Path
        The competition.
    told : callable
        Told what could not be fetched.
    """
    try:
        known = remotes(home)
    except ValueError as error:
        told(str(error))
        return
    for name, address in known.items():
        try:
            _fetch(home, name, address)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            told(f"{name}: {address} cannot be fetched: {_last_line(error)}")


def _fetch(home: Path, name: str, address: str) -> None:
    repository = home / "remotes" / f"{name}.git"
    if not repository.is_dir():
        repository.parent.mkdir(parents=True, exist_ok=True)
        _git(["init", "-q", "--bare", str(repository)])
    where = ["--git-dir", str(repository)]
    _git(
        [*where, "fetch", "-q", "--depth", "1", "--no-tags", "--no-recurse-submodules", "--", address, "HEAD"]
    )
    listed = _git([*where, "ls-tree", "-z", "FETCH_HEAD"]).split(b"\0")
    folder = home / FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    for line in listed[:MOST_FILES]:
        head, _, path = line.partition(b"\t")
        mode, _, identity = head.partition(b" blob ")
        file = path.decode("utf-8", "replace")
        # Ordinary files of the top folder only: no links, no submodules, no paths.
        if mode not in (b"100644", b"100755") or Path(file).suffix not in SUFFIXES or "/" in file:
            continue
        if int(_git([*where, "cat-file", "-s", identity.decode()])) > MOST_BYTES:
            continue
        _place(folder / file, _git([*where, "cat-file", "blob", identity.decode()]))


def _place(path: Path, content: bytes) -> None:
    if path.is_symlink() or (path.is_file() and path.read_bytes() == content):
        return
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(content)
    temporary.replace(path)


def _git(words: list[str]) -> bytes:
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *settings, *words], capture_output=True, timeout=SECONDS, check=True, env=os.environ | quiet
    )
    return done.stdout


def _last_line(error: BaseException) -> str:
    told = getattr(error, "stderr", None)
    lines = told.decode("utf-8", "replace").strip().splitlines() if told else []
    return lines[-1] if lines else str(error)
