"""The profile file: whose it is, where it is, and how it is read and written without loss.

One file per machine fingerprint. A reader that finds another machine's file, another schema's, a
damaged or an oversized one warns once and goes on without a profile. A writer merges under a lock
and replaces the file in one step, so that readers never see half of it and writers never lose each
other's results.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import hashlib
import importlib
import itertools
import json
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tensorops.dispatch import index
from tensorops.dispatch.documents import Entries, check
from tensorops.dispatch.records import (
    SCHEMA,
    Entry,
    PathResult,
    Profile,
    decode_entry,
    encode_entry,
    preferred,
)
from tensorops.runtime import cpu, paths

try:
    import fcntl
except ImportError:  # Not a POSIX system: the last of two simultaneous writers wins there.
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "MAX_BYTES",
    "SCHEMA",
    "Entry",
    "PathResult",
    "Profile",
    "ProfileWarning",
    "clear",
    "fingerprint",
    "fingerprint_id",
    "load",
    "preferred",
    "profile_path",
    "save",
]

MAX_BYTES = 256 * 1024

# A writer holds the lock for milliseconds; whoever holds it this long is stopped or broken.
LOCK_SECONDS = 10.0

# The end of a file's name as long as it is being written.
_UNFINISHED = ".unfinished"


class ProfileWarning(UserWarning):
    """A profile that cannot be used, or results that had to be left out of one.

    Examples
    --------
    >>> issubclass(ProfileWarning, UserWarning)
    True
    """


@functools.cache
def _fingerprint() -> dict[str, Any]:
    # The version stands in the package itself, which imports this module.
    version = importlib.import_module("tensorops").__version__
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return {
        "cpu": cpu.model_name(),
        "caches": cpu.caches(),
        "isa": cpu.selected_isa(),
        "cores": os.cpu_count() or 1,
        "blas": {
            "name": str(blas.get("name", "unknown")),
            "version": str(blas.get("version", "unknown")),
            # Forced kernels have other speeds than those that a BLAS chooses itself.
            "forced": os.environ.get("OPENBLAS_CORETYPE") or os.environ.get("MKL_ENABLE_INSTRUCTIONS"),
        },
        "tensorops": str(version),
    }


def fingerprint() -> dict[str, Any]:
    """Return what measured times depend on, besides the call.

    Returns
    -------
    dict
        "cpu": model; "caches": bytes by level; "isa": the instruction set in use; "cores" of the
        machine; "blas" of NumPy: name, version and forced kernels, if any; "tensorops": version.

    Raises
    ------
    ValueError
        If ``TENSOROPS_ISA`` is not usable.

    Examples
    --------
    >>> sorted(fingerprint())
    ['blas', 'caches', 'cores', 'cpu', 'isa', 'tensorops']
    """
    document: dict[str, Any] = json.loads(json.dumps(_fingerprint()))
    return document


def fingerprint_id() -> str:
    """Return the fingerprint as the name of the profile's file.

    Returns
    -------
    str
        16 hexadecimal digits.

    Examples
    --------
    >>> len(fingerprint_id())
    16
    """
    text = json.dumps(_fingerprint(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def profile_path() -> Path | None:
    """Return the file that holds this machine's profile.

    Returns
    -------
    Path or None
        The file that ``TENSOROPS_PROFILE`` names, else the one in the user's cache folder; it need
        not exist. None if ``TENSOROPS_PROFILE`` is "none".

    Examples
    --------
    >>> path = profile_path()
    >>> path is None or path.is_absolute()
    True
    """
    override = os.environ.get("TENSOROPS_PROFILE", "")
    if override == "none":
        return None
    if override:
        return Path(override).expanduser().absolute()
    return paths.profile_dir() / f"{fingerprint_id()}.json"


def load(path: str | os.PathLike[str] | None = None) -> Profile | None:
    """Return this machine's profile, if there is a usable one.

    Parameters
    ----------
    path : path-like, optional
        The file; by default the one of `profile_path`.

    Returns
    -------
    Profile or None
        None without a profile. If there is a file that cannot be used, or a file was asked for
        that does not exist, there is one `ProfileWarning` too.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = save(Profile(fingerprint()), Path(folder) / "profile.json")
    ...     len(load(file).entries)
    0
    """
    source = profile_path() if path is None else Path(path)
    if source is None:
        return None
    try:
        profile = _read_profile(source)
        if profile.fingerprint != fingerprint():
            raise ValueError(_difference(profile.fingerprint, fingerprint()))
    except (FileNotFoundError, NotADirectoryError):
        # A link that leads nowhere was meant to lead to a profile.
        if path is not None or os.environ.get("TENSOROPS_PROFILE") or source.is_symlink():
            _warn(f"there is no profile {source}; going on without one")
        return None
    except (OSError, ValueError) as error:
        _warn(f"the profile {source} is not used: {error}")
        return None
    return profile


def save(profile: Profile, path: str | os.PathLike[str] | None = None) -> Path:
    """Merge `profile` into its file.

    The file is read, merged and replaced under a lock. A file that cannot be merged, because it is
    damaged or of another machine or schema, is kept under another name, with a warning. If the
    result is larger than `MAX_BYTES`, the entries written longest ago are left out, with a warning.

    Parameters
    ----------
    profile : Profile
        The new results.
    path : path-like, optional
        The file; by default the one of `profile_path`. Its folder is created.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    ValueError
        If an entry does not keep to the schema; if, without a `path`, the profile is another
        machine's or ``TENSOROPS_PROFILE`` is "none".
    OSError
        If the file cannot be written, or another process holds its lock for too long.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(Profile(fingerprint()), Path(folder) / "profile.json").name
    'profile.json'
    """
    target = profile_path() if path is None else Path(path)
    if target is None:
        raise ValueError("TENSOROPS_PROFILE=none: no profile is kept; unset it or name a file to save to")
    if path is None and dict(profile.fingerprint) != fingerprint():
        raise ValueError(
            f"not this machine's profile: {_difference(profile.fingerprint, fingerprint())}; "
            "name a file to save it to"
        )
    # A bad entry is an error before anything is touched.
    for entry in profile.entries:
        encode_entry(entry)
    # Replacing a symbolic link would cut it off from the file it stands for.
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(target.name + ".lock")) as alone:
        if alone:
            _remove_leftovers(target)
        content, packed = _encode(_stored(target, profile).merged(profile.entries))
        _replace(target, content)
        # Without it the profile is only slower to read.
        with contextlib.suppress(OSError):
            _replace(index.index_path(target), packed)
    return target


def clear(path: str | os.PathLike[str] | None = None) -> bool:
    """Remove a profile; a writer that is at work finishes first.

    Parameters
    ----------
    path : path-like, optional
        The file; by default the one of `profile_path`.

    Returns
    -------
    bool
        Whether there was one.

    Raises
    ------
    ValueError
        If, without a `path`, ``TENSOROPS_PROFILE`` is "none".
    OSError
        If the file cannot be removed, or another process holds its lock for too long.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = save(Profile(fingerprint()), Path(folder) / "profile.json")
    ...     clear(file), clear(file)
    (True, False)
    """
    target = profile_path() if path is None else Path(path)
    if target is None:
        raise ValueError("TENSOROPS_PROFILE=none: no profile is kept")
    target = target.resolve()
    if not target.exists():
        return False
    with _locked(target.with_name(target.name + ".lock")):
        target.unlink(missing_ok=True)
        index.index_path(target).unlink(missing_ok=True)
    return True


def _stored(target: Path, profile: Profile) -> Profile:
    """Return the profile in `target`, or an empty one after moving an unusable file out of the way."""
    empty = Profile(dict(profile.fingerprint))
    try:
        stored = _parse(_read(target))
        if stored.fingerprint != empty.fingerprint:
            raise ValueError(_difference(stored.fingerprint, empty.fingerprint))
    except FileNotFoundError:
        return empty
    except ValueError as error:
        kept = _free_name(target)
        target.replace(kept)
        _warn(f"the profile {target} could not be merged and is kept as {kept.name}: {error}")
        return empty
    return stored


def _free_name(target: Path) -> Path:
    number = 1
    while (kept := target.with_name(f"{target.name}.unused-{number}")).exists():
        number += 1
    return kept


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES // 1024} KiB")
    return content


def _read_profile(path: Path) -> Profile:
    """Return the profile of a file: by its index, if there is one of this very content."""
    content = _read(path)
    try:
        packed = index.index_path(path).read_bytes()
    except OSError:
        packed = b""
    return (packed and index.load(content, packed)) or _parse(content)


def _parse(content: bytes) -> Profile:
    """Return the profile that a file's content describes; raise ValueError if it describes none."""
    try:
        document = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is damaged: {error}") from None
    if not isinstance(document, dict) or "schema" not in document:
        raise ValueError("it is damaged: not a profile")
    if document["schema"] != SCHEMA or isinstance(document["schema"], bool):
        raise ValueError(f"it has schema {document['schema']!r}, this version reads schema {SCHEMA}")
    owner, entries = document.get("fingerprint"), document.get("entries")
    if not isinstance(owner, dict) or not isinstance(entries, list):
        raise ValueError("it is damaged: no fingerprint or no entries")
    if check(entries):
        return Profile(owner, Entries(entries))
    try:
        return Profile(owner).merged(map(decode_entry, entries))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"it is damaged: {error}") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _encode(profile: Profile) -> tuple[bytes, bytes]:
    """Return the file and its index, with the entries written longest ago left out if it is too large."""
    head = f'{{"schema": {SCHEMA}, "fingerprint": {json.dumps(dict(profile.fingerprint))}, "entries": ['
    lines = [encode_entry(entry).encode() for entry in profile.entries]
    # A line break before each entry and a comma after it; the last comma's byte pays for the tail.
    size = len(head.encode()) + len(b"\n]}\n") + sum(len(line) + 2 for line in lines)
    dropped = 0
    while size > MAX_BYTES and dropped < len(lines):
        size -= len(lines[dropped]) + 2
        dropped += 1
    if dropped:
        _warn(
            f"a profile holds at most {MAX_BYTES // 1024} KiB: the {dropped} entries written longest ago "
            "were left out"
        )
    kept = lines[dropped:]
    content = head.encode() + b"\n" + b",\n".join(kept) + b"\n]}\n"
    ends = list(itertools.accumulate(len(line) + 2 for line in kept))
    first = len(head.encode()) + 1
    places = [(first + end - len(line) - 2, first + end - 2) for line, end in zip(kept, ends, strict=True)]
    # As the file has them, where times have fewer digits.
    stored = replace(profile, entries=Entries([json.loads(line) for line in kept]))
    return content, index.pack(content, stored, places)


def _difference(theirs: Any, ours: Any) -> str:
    """Say in which parts of the fingerprint a profile's machine differs from this one."""
    parts = [
        f"{name} {theirs.get(name)!r} is not {ours.get(name)!r}"
        for name in sorted({*theirs, *ours}, key=str)
        if theirs.get(name) != ours.get(name)
    ]
    return f"it is of another machine or build: {'; '.join(parts)[:300]}"


def _replace(target: Path, content: bytes) -> None:
    """Give `target` this content in one step, even if the machine stops half way."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=_UNFINISHED, dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _remove_leftovers(target: Path) -> None:
    """Remove what writers left that were killed before they could rename it. Needs the lock."""
    pattern = f".{glob.escape(target.name)}.*{_UNFINISHED}"
    for leftover in target.parent.glob(pattern):
        leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold the lock file; yield whether this system has locks.

    It is never removed: a process waiting for it would lock a deleted file.
    """
    with path.open("a") as file:
        deadline = time.monotonic() + LOCK_SECONDS
        while fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another process has held {path} for {LOCK_SECONDS} s") from None
                time.sleep(0.01)
        yield fcntl is not None


def _warn(message: str) -> None:
    warnings.warn(f"tensorops: {message}", ProfileWarning, stacklevel=3)
