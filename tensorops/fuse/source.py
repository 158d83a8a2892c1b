"""The source of a function, and whether it is that of the function that would run."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tensorops.fuse.errors import FuseError, Place

FUTURE_ANNOTATIONS = __import__("__future__").annotations.compiler_flag


@dataclass(frozen=True, slots=True)
class Source:
    """A function's syntax tree, and where its lines stand.

    Attributes
    ----------
    function : function
        The user's function.
    tree : ast.FunctionDef
        Its definition.
    filename : str
        The file.
    first_line : int
        Line of the file at which the text starts.
    lines : tuple of str
        The text as it stands in the file.
    indent : int
        Characters that were taken from the start of each line.
    """

    function: FunctionType
    tree: ast.FunctionDef
    filename: str
    first_line: int
    lines: tuple[str, ...]
    indent: int

    def place(self, node: Any) -> Place:
        """Return where a part of the tree stands in the file.

        Parameters
        ----------
        node : ast.AST
            A part with a line number.

        Returns
        -------
        Place
            Line and column, both counted from 1.
        """
        text = self.lines[node.lineno - 1]
        # The tree counts bytes of the dedented text.
        column = len(text[self.indent :].encode()[: node.col_offset].decode(errors="replace"))
        return Place(self.filename, self.first_line + node.lineno - 1, self.indent + column + 1, text)


def read_source(function: Any) -> Source:
    """Return a function's source.

    Parameters
    ----------
    function : function
        One that a ``def`` made.

    Returns
    -------
    Source
        Its tree.

    Raises
    ------
    FuseError
        If it is no plain function, or has no source at hand.

    Examples
    --------
    >>> read_source(textwrap.dedent).tree.name
    'dedent'
    """
    if not isinstance(function, FunctionType):
        raise FuseError(f"only a plain function can be fused, not {type(function).__name__}")
    code = function.__code__
    if code.co_name == "<lambda>":
        raise FuseError("a lambda cannot be fused: write it as a def")
    try:
        lines, first = inspect.getsourcelines(code)
        text = "".join(lines)
        tree = ast.parse(textwrap.dedent(text))
    except (OSError, TypeError, SyntaxError, ValueError, IndentationError):
        raise FuseError(
            f"the source of {function.__name__!r} is not to be had: a function typed at a prompt or made by "
            "exec cannot be fused; put it into a file"
        ) from None
    definition = tree.body[0] if tree.body else None
    if not isinstance(definition, ast.FunctionDef):
        raise FuseError(f"the source of {function.__name__!r} is not that of a plain def")
    indent = len(lines[0]) - len(lines[0].lstrip())
    return Source(function, definition, code.co_filename, first, tuple(text.splitlines()), indent)


def check_source(source: Source) -> None:
    """Compile a source and compare it with the function that would run.

    Parameters
    ----------
    source : Source
        What `read_source` returned.

    Raises
    ------
    FuseError
        If the code is another one.
    """
    if not _same_code(ast.Module([source.tree], []), source.function):
        raise FuseError(
            f"the source of {source.function.__name__!r} is not that of the function: the file was changed "
            "after the import, or another decorator stands below",
            source.place(source.tree),
        )


def _same_code(tree: ast.Module, function: FunctionType) -> bool:
    """Tell whether compiling a tree gives the function's own code."""
    modules = [
        name for name in function.__code__.co_names if isinstance(function.__globals__.get(name), ModuleType)
    ]
    # Methods of what the module imports are called by other instructions than those of other names.
    imports: list[ast.stmt] = [ast.fix_missing_locations(ast.Import([ast.alias(name)])) for name in modules]
    return any(
        _compiles_to(ast.Module([*before, *tree.body], []), function.__code__) for before in (imports, [])
    )


def _compiles_to(tree: ast.Module, code: CodeType) -> bool:
    flags = code.co_flags & FUTURE_ANNOTATIONS
    compiled = compile(tree, code.co_filename, "exec", flags=flags, dont_inherit=True)
    return any(
        isinstance(part, CodeType)
        and part.co_name == code.co_name
        and part.co_code == code.co_code
        and part.co_names == code.co_names
        and part.co_varnames == code.co_varnames
        and repr(part.co_consts) == repr(code.co_consts)
        for part in compiled.co_consts
    )
