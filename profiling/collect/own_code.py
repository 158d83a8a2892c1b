"""Which files are a user's own code, and which function a line belongs to."""

from __future__ import annotations

import ast
import functools
import linecache
import os
import re
import site
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MODULE = "<module>"
_PYX_FUNCTION = re.compile(r"^\s*(?:def|cdef|cpdef)\b(?P<rest>[^=#(]*?)(?P<name>\w+)\s*(?:\[[^]]*\])?\s*\(")
_PYX_CLASS = re.compile(r"^(?P<indent>\s*)(?:cdef\s+)?class\s+(?P<name>\w+)")


@dataclass(frozen=True, slots=True)
class Block:
    """A function in a source file.

    Attributes
    ----------
    name : str
        With the names of the classes and functions around it; ``<module>`` for a file's own statements.
    first, last : int
        Its lines; for a module those of the file.
    """

    name: str
    first: int
    last: int


class OwnCode:
    """Decides whether a file is a user's own code.

    Not his own are the standard library, installed packages, this toolkit and the library.

    Parameters
    ----------
    also : iterable of str
        Files and folders that are his own wherever they stand.

    Examples
    --------
    >>> own = OwnCode()
    >>> own(ast.__file__), own("<frozen importlib._bootstrap>"), own("/home/me/train.py")
    (False, False, True)
    """

    def __init__(self, also: Iterable[str] = ()) -> None:
        self.also = tuple(str(Path(path).absolute()) for path in also if path)
        self._folders = _foreign_folders()
        self._start = Path.cwd()
        self._known: dict[str, bool] = {}

    def __call__(self, filename: str) -> bool:
        """Tell whether a file is the user's own.

        Parameters
        ----------
        filename : str
            As a code object names it.

        Returns
        -------
        bool
            True for source that is his.
        """
        known = self._known.get(filename)
        if known is None:
            known = self._known[filename] = self._decide(filename)
        return known

    def absolute(self, filename: str) -> str:
        """Return a file's absolute path, seen from the folder that the program began in."""
        return filename if filename.startswith("<") else str(self._start / filename)

    def _decide(self, filename: str) -> bool:
        if filename.startswith("<"):
            # A cell of a notebook or of a shell has its text here; frozen modules and exec() have not.
            return filename.startswith("<ipython-input") and filename in linecache.cache
        path = os.path.normpath(self.absolute(filename))
        if _is_below(path, self.also):
            return True
        return not _is_below(path, self._folders) and not _is_below(os.path.realpath(path), self._folders)


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders)


@functools.cache
def _foreign_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found |= {*site.getsitepackages(), site.getusersitepackages()}
    packages = Path(__file__).absolute().parent.parent.parent
    found |= {str(packages / name) for name in ("profiling", "tensorops")}
    # The standard library of a virtual environment is that of the interpreter it was made from.
    found.add(str(Path(os.__file__).absolute().parent))
    found |= {os.path.realpath(path) for path in found}
    return tuple(sorted(found))


def block_at(filename: str, line: int) -> Block:
    """Return the function that a line belongs to.

    Comprehensions and lambdas belong to the function around them.

    Parameters
    ----------
    filename : str
        A Python or Cython source, or the name of a notebook's cell.
    line : int
        Number of the line.

    Returns
    -------
    Block
        The innermost function, or the module.

    Examples
    --------
    >>> block_at(__file__, block_at.__code__.co_firstlineno + 1).name
    'block_at'
    """
    best = Block(MODULE, 1, max(1, len(linecache.getlines(filename))))
    for block in blocks_of(filename):
        if block.first <= line <= block.last and block.first >= best.first:
            best = block
    return best


@functools.lru_cache(maxsize=256)
def blocks_of(filename: str) -> tuple[Block, ...]:
    """Return the functions of a source file.

    Parameters
    ----------
    filename : str
        A Python or Cython source, or the name of a notebook's cell.

    Returns
    -------
    tuple of Block
        In the order of their first lines; empty where there is no source, or none that can be read.

    Examples
    --------
    >>> "block_at" in [block.name for block in blocks_of(__file__)]
    True
    """
    lines = linecache.getlines(filename)
    if filename.endswith((".pyx", ".pxi", ".pxd")):
        return tuple(_cython_blocks(lines))
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return ()
    return tuple(sorted(_python_blocks(tree, ()), key=lambda block: block.first))


def _python_blocks(node: ast.AST, outer: tuple[str, ...]) -> Iterable[Block]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = (*outer, child.name)
            if not isinstance(child, ast.ClassDef):
                first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                yield Block(".".join(names), first, child.end_lineno or child.lineno)
            yield from _python_blocks(child, names)
        else:
            yield from _python_blocks(child, outer)


def _cython_blocks(lines: list[str]) -> Iterable[Block]:
    """Find functions by their heads and indentation: Cython has no parser to import at run time."""
    classes: list[tuple[int, str]] = []
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        indent = len(text) - len(text.lstrip())
        classes = [entry for entry in classes if entry[0] < indent]
        if match := _PYX_CLASS.match(text):
            classes.append((indent, match["name"]))
        elif (match := _PYX_FUNCTION.match(text)) and "extern" not in match["rest"]:
            last = _last_of_body(lines, number, indent)
            if last > number:
                yield Block(".".join([*(name for _, name in classes), match["name"]]), number, last)


def _last_of_body(lines: list[str], head: int, indent: int) -> int:
    """Return the last line of the function whose head begins in a line; the head's own without a body."""
    opened = 0
    body = head
    for number, text in enumerate(lines[head - 1 :], start=head):
        code = text.partition("#")[0]
        opened += sum(code.count(bracket) for bracket in "([{") - sum(
            code.count(bracket) for bracket in ")]}"
        )
        if opened <= 0:
            if not code.rstrip().endswith(":"):
                return head
            body = number
            break
    last = body
    for number, text in enumerate(lines[body:], start=body + 1):
        stripped = text.strip()
        if stripped and not stripped.startswith("#"):
            if len(text) - len(text.lstrip()) <= indent:
                break
            last = number
    return last


def matches(name: str, function: str, filename: str) -> bool:
    """Tell whether a user means this function by a name.

    Parameters
    ----------
    name : str
        ``function``, ``Class.method``, or with its file in front: ``model.py:function``, ``model:function``.
    function, filename : str
        The function, as `Block` names it, and its file.

    Returns
    -------
    bool
        Whether it is meant.

    Examples
    --------
    >>> matches("step", "Model.step", "/m/net.py"), matches("net:step", "Model.step", "/m/net.py")
    (True, True)
    >>> matches("other:step", "Model.step", "/m/net.py")
    False
    """
    where, _, wanted = name.rpartition(":")
    if not (function == wanted or function.endswith("." + wanted)):
        return False
    path = Path(filename)
    return not where or where in (path.name, filename) or where.split(".")[-1] == path.stem
