"""The files that a verb writes: judged before the work starts, replaced in one step at the end."""

from __future__ import annotations

import argparse
import os
import stat
import tempfile
from pathlib import Path


def output_file(text: str) -> Path:
    """Return the path of a file that can be written, for argparse.

    Parameters
    ----------
    text : str
        A path.

    Returns
    -------
    Path
        In a folder that exists, writable as far as can be known without writing.

    Raises
    ------
    argparse.ArgumentTypeError
        For a folder, a file in a folder that does not exist, and what may not be written.

    Examples
    --------
    >>> output_file("report.json").name
    'report.json'
    """
    path = Path(text)
    try:
        problem = _problem(path)
    except OSError as error:
        problem = f"{text} cannot be written: {error.strerror}"
    if problem:
        raise argparse.ArgumentTypeError(problem)
    return path


def _problem(path: Path) -> str | None:
    if path.is_dir():
        return f"{path} is a folder; give the name of a file"
    if not path.parent.is_dir():
        reason = "is not a folder" if path.parent.exists() else "does not exist; create it first"
        return f"folder {path.parent} {reason}"
    if path.exists():
        return None if os.access(path, os.W_OK) else f"{path} may not be written: it is read-only"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"{path} cannot be created: folder {path.parent} is read-only"
    if len(os.fsencode(path.name)) > os.pathconf(path.parent, "PC_NAME_MAX"):
        return f"the name {path.name[:20]}... is too long for a file"
    return None


def write_file(path: Path, content: bytes) -> None:
    """Give a file this content in one step: a reader finds the old content or the new, never a part.

    Parameters
    ----------
    path : Path
        A file, new or not; a link is followed. What is no ordinary file (such as ``/dev/stdout``), or
        stands in a folder that takes no new file, is written in place.
    content : bytes
        All of it.

    Raises
    ------
    OSError
        If it cannot be written; an old file is then as it was.

    Examples
    --------
    >>> path = Path(tempfile.mkdtemp()) / "x.json"
    >>> write_file(path, b"{}")
    >>> path.read_bytes()
    b'{}'
    """
    is_device = path.absolute().is_relative_to("/dev")
    path = path.resolve()
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG | 0o666 & ~_umask()
    if is_device or not stat.S_ISREG(mode):
        # Behind /dev/stdout may stand a file with output of others: it is not to be replaced.
        with path.open("ab") as file:
            file.write(content)
        return
    if not os.access(path.parent, os.W_OK | os.X_OK):
        path.write_bytes(content)
        return
    handle, name = tempfile.mkstemp(prefix=".tensorops-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.chmod(stat.S_IMODE(mode))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    # It can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
