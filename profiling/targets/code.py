"""A user's code as a target: a script with its arguments, a module run as one, or a function."""

from __future__ import annotations

import difflib
import io
import os
import tokenize
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

NEAREST = 3


class UnknownTargetError(ValueError):
    """A target that cannot be found or cannot be run; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ScriptTarget:
    """A script, or a module run as ``python -m`` runs it.

    Attributes
    ----------
    path : str
        As the user wrote it; it becomes ``sys.argv[0]``. Empty for a module.
    module : str
        Name of the module; empty for a script.
    arguments : tuple of str
        The script's own arguments.
    """

    path: str
    module: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What is run, without its arguments.

        Examples
        --------
        >>> ScriptTarget("train.py").name, ScriptTarget("", "json.tool").name
        ('train.py', '-m json.tool')
        """
        return self.path or f"-m {self.module}"

    def to_dict(self) -> dict[str, Any]:
        """Return the target as JSON-ready values."""
        return {"kind": "script", **asdict(self)}


@dataclass(frozen=True, slots=True)
class FunctionTarget:
    """A function of an importable module, and the code that makes its arguments.

    Attributes
    ----------
    module, function : str
        Where it is; the function may be dotted, such as a method of a class.
    setup : str
        Statements that run once, before the arguments are made.
    arguments : str
        What stands between the brackets of the call, such as ``"x, y, axis=0"``.
    """

    module: str
    function: str
    setup: str = ""
    arguments: str = ""

    @property
    def name(self) -> str:
        """Module and function.

        Examples
        --------
        >>> FunctionTarget("package.module", "f").name
        'package.module:f'
        """
        return f"{self.module}:{self.function}"

    def to_dict(self) -> dict[str, Any]:
        """Return the target as JSON-ready values."""
        return {"kind": "function", **asdict(self)}


CodeTarget: TypeAlias = ScriptTarget | FunctionTarget


def parse_target(
    text: str,
    operations: Iterable[str],
    *,
    setup: str = "",
    call: str = "",
    arguments: Iterable[str] = (),
) -> str | CodeTarget:
    """Return what a target's text means.

    Parameters
    ----------
    text : str
        Name of an operation, ``package.module:function``, or the path of a script.
    operations : iterable of str
        Names of the operations.
    setup, call : str
        For a function: see `FunctionTarget`.
    arguments : iterable of str
        For a script: its own arguments.

    Returns
    -------
    str or ScriptTarget or FunctionTarget
        A string is the name of an operation.

    Raises
    ------
    UnknownTargetError
        If there is no such operation or script, or the script is a folder or no valid Python. Whether a
        module has the function is found out where it is imported.

    Examples
    --------
    >>> parse_target("matmul", ["matmul"])
    'matmul'
    >>> parse_target("package.module:f", ["matmul"], call="1, 2").arguments
    '1, 2'
    >>> parse_target("matmull", ["matmul"])
    Traceback (most recent call last):
    ...
    profiling.targets.code.UnknownTargetError: unknown target 'matmull': no operation of that name, and no
    script; did you mean matmul? Expected an operation (matmul), package.module:function, or a script
    """
    known = tuple(operations)
    if text in known:
        return text
    path = Path(text)
    if path.suffix == ".py" or os.sep in text or path.is_file():
        check_script(path)
        return ScriptTarget(text, arguments=tuple(arguments))
    module, colon, function = text.partition(":")
    if colon:
        if not _is_dotted(module) or not _is_dotted(function):
            raise UnknownTargetError(f"{text!r} is not package.module:function")
        return FunctionTarget(module, function, setup, call)
    scripts = [entry.name for entry in Path().glob("*.py")]
    raise UnknownTargetError(
        f"unknown target {text!r}: no operation of that name, and no script"
        f"{did_you_mean(text, [*known, *scripts])} Expected an operation ({', '.join(known)}), "
        "package.module:function, or a script"
    )


def _is_dotted(text: str) -> bool:
    return bool(text) and all(part.isidentifier() for part in text.split("."))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint at the names nearest to one that does not exist.

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        The names there are.

    Returns
    -------
    str
        The end of a sentence: a question, or a full stop where no name is near.

    Examples
    --------
    >>> did_you_mean("matmull", ["matmul", "softmax"])
    '; did you mean matmul?'
    >>> did_you_mean("zzz", ["matmul"])
    '.'
    """
    near = difflib.get_close_matches(name, sorted(set(known)), NEAREST)
    return f"; did you mean {' or '.join(near)}?" if near else "."


def check_script(path: Path) -> None:
    """Check that a script can be run, before anything is measured.

    Parameters
    ----------
    path : Path
        The script.

    Raises
    ------
    UnknownTargetError
        If it is missing, a folder, unreadable, or no valid Python.
    """
    if path.is_dir():
        hint = f"; give a script, such as {path / '__main__.py'}" if (path / "__main__.py").exists() else ""
        raise UnknownTargetError(f"{path} is a folder, not a script{hint}")
    if not path.exists():
        names = [entry.name for entry in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise UnknownTargetError(f"script {path} does not exist{did_you_mean(path.name, names)}")
    try:
        content = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        compile(content.decode(encoding), str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        place = f", line {error.lineno}" if error.lineno else ""
        raise UnknownTargetError(f"{path}{place}: {error.msg}; the script was not run") from error
    except (OSError, ValueError) as error:
        raise UnknownTargetError(f"{path} cannot be read as Python: {error}") from error
