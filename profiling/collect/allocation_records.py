"""What an allocation counter hands out, and which source files it looks at."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")


@dataclass(frozen=True, slots=True)
class LineAllocations:
    """What one line asked for.

    Attributes
    ----------
    filename : str
        The source file, as the running code names it; empty for requests made while no wanted line
        was on the stack.
    function : str
        Name of the function with those around it, such as ``Model.forward``; ``<module>`` outside any.
        A comprehension belongs to the function around it.
    line : int
        Number of the line; 0 where there is none.
    count : int
        Buffers.
    bytes : int
        Bytes of these buffers.
    live : int
        Bytes of them that are still alive.
    peak : int
        Most bytes of them alive at once.
    """

    filename: str
    function: str
    line: int
    count: int
    bytes: int
    live: int
    peak: int

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class WorkMemory:
    """Work memory that the kernels took while a counter was entered.

    Attributes
    ----------
    count : int
        Buffers.
    bytes : int
        Bytes of these buffers.
    held_before : int
        Bytes that the kernels held when the counter was entered. A kernel that finds a buffer large
        enough takes no other: then `count` is 0 although it uses work memory.
    """

    count: int
    bytes: int
    held_before: int

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON-ready values."""
        return asdict(self)


def wanted_files(
    lines: bool | Callable[[str], bool] | str | os.PathLike[str],
) -> Callable[[str], bool] | None:
    """Return the question whether a file's lines are wanted, or None where no lines are.

    Parameters
    ----------
    lines : bool, callable or path-like
        False for no lines, True for those of every file, the path of one file, or the question itself.

    Returns
    -------
    callable or None
        Takes the name of a file.

    Raises
    ------
    TypeError
        For anything else.

    Examples
    --------
    >>> wanted_files(False) is None
    True
    >>> wanted_files("net.py")("net.py"), wanted_files("net.py")("data.py")
    (True, False)
    """
    if callable(lines):
        return lines
    if isinstance(lines, bool):
        return (lambda filename: True) if lines else None
    if not isinstance(lines, str | os.PathLike):
        raise TypeError(f"lines must be a bool, a path or a function of a file's name, got {lines!r}")
    given = os.fspath(lines)
    absolute = Path(given).absolute()  # Later the working folder may be another one.
    return lambda filename: filename == given or Path(filename).absolute() == absolute


def function_name(qualified: str) -> str:
    """Return the function that a piece of code belongs to.

    Parameters
    ----------
    qualified : str
        The code's qualified name.

    Returns
    -------
    str
        Without the comprehension that it may be, and without ``<locals>``.

    Examples
    --------
    >>> function_name("Model.forward.<locals>.<listcomp>"), function_name("<genexpr>")
    ('Model.forward', '<module>')
    """
    parts = [part for part in qualified.split(".") if part != "<locals>"]
    while parts and parts[-1] in _COMPREHENSIONS:
        parts.pop()
    return ".".join(parts) or "<module>"


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Give a file this text in one step: whoever reads it finds the old text or the new one.

    Parameters
    ----------
    path : path-like
        The file; its folder exists.
    text : str
        Written as UTF-8.

    Raises
    ------
    OSError
        If it cannot be written. The file is then as it was.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "counts.json", "{}")
    ...     [path.name for path in Path(folder).iterdir()]
    ['counts.json']
    """
    target = Path(path)
    # Not by `tempfile`, which imports much that a measured program may never need.
    partial = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}-{time.monotonic_ns()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
