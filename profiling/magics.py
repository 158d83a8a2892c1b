"""IPython magics: ``%load_ext profiling`` gives ``%treport``, ``%%treport`` and ``%tbench``."""

from __future__ import annotations

import argparse
import ast
import html
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorops.operations import OPERATIONS

from .__main__ import make_parser
from .benchmark import Interrupted, bench
from .commands._base import CommandError, check_outputs, get_command, page_width, whole_number, write_outputs
from .document import Document
from .reporters import get_reporter

LONGEST_NAME = 40
FRAME_HEIGHT = "36rem"
SEPARATOR = re.compile(r"\s+(?:::|--against)\s+")


class DocumentView:
    """A document as a notebook and a terminal show it.

    Parameters
    ----------
    document : Document
        What to show.

    Examples
    --------
    >>> DocumentView(Document("Title", ()))
    Title
    """

    def __init__(self, document: Document) -> None:
        self.document = document

    def __repr__(self) -> str:
        text = get_reporter("text").render(self.document, page_width())
        assert isinstance(text, str)
        return text

    def _repr_html_(self) -> str | None:
        """Return the page in a frame, so that its style stays its own; None where an extra is missing."""
        reporter = get_reporter("html")
        if reporter.why_unavailable():
            return None
        page = reporter.render(self.document, page_width())
        assert isinstance(page, str)
        return (
            f'<iframe title="{html.escape(self.document.title)}" sandbox="allow-scripts" '
            f'style="width:100%;height:{FRAME_HEIGHT};border:0;resize:vertical" '
            f'srcdoc="{html.escape(page)}"></iframe>'
        )


class Magics:
    """The magics of one shell.

    Parameters
    ----------
    shell : InteractiveShell
        Where statements are run.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def treport(self, line: str, cell: str | None = None) -> Document | None:
        """Explain an operation, or profile a statement or a cell line by line.

        ``%treport [-r] [--seconds S] [--lines] [--memory] [--functions NAMES] STATEMENT``
        ``%treport [-r] TARGET [options of the verb report]``
        ``%%treport [-r] [--lines] [--memory] [--functions NAMES]``

        A statement is run again and again, in a scope of its own; a cell is run once, and what it
        assigns stays. ``-r`` returns the document instead of showing it. Options stand before a
        statement, for after it they would be part of it.

        Parameters
        ----------
        line : str
            What follows the name of the magic.
        cell : str, optional
            The lines below.

        Returns
        -------
        Document or None
            The report, with ``-r``.
        """
        options, rest = _split_options(
            "%treport", line, ("-r", "--lines", "--memory"), {"--seconds": _seconds, "--functions": str}
        )
        if cell is None and _names_target(rest):
            words = shlex.split(rest)
            return self._finish(lambda: _run_verb("report", words), options.r)
        statement = rest if cell is None else cell
        if not statement.strip() or (cell is not None and rest):
            raise _usage_error("expected a statement, an operation or a cell, such as: %treport f(x)")
        function = self._function(statement, is_cell=cell is not None)

        def profile() -> Document:
            from .commands._profile_call import profile_call

            return profile_call(
                function,
                name=_short(statement),
                once=cell is not None,
                seconds=options.seconds or 1.0,
                lines=options.lines,
                memory=options.memory,
                functions=[name for name in (options.functions or "").split(",") if name],
            )

        return self._finish(profile, options.r)

    def tbench(self, line: str) -> Document | None:
        """Time statements against each other, with an interval for the ratio of their times.

        ``%tbench [-r] [--seconds S] [--threads N] STATEMENT [:: STATEMENT ...]``
        ``%tbench [-r] OPERATION [options of the verb bench]``

        ``--against`` may stand instead of ``::``. The statements take turns; each runs in a scope of
        its own. ``-r`` returns the document instead of showing it.

        Parameters
        ----------
        line : str
            What follows the name of the magic.

        Returns
        -------
        Document or None
            The benchmark, with ``-r``.
        """
        options, rest = _split_options(
            "%tbench", line, ("-r",), {"--seconds": _seconds, "--threads": whole_number(1, 1024)}
        )
        if _names_operation(rest):
            words = shlex.split(rest)
            return self._finish(lambda: _run_verb("bench", words), options.r)
        statements = _statements(rest)
        if not statements:
            raise _usage_error("expected statements, such as: %tbench f(x) :: g(x)")
        names = _names(statements)
        first, *others = [self._function(statement, is_cell=False) for statement in statements]

        def measure() -> Document:
            against = dict(zip(names[1:], others, strict=True))
            try:
                result = bench(
                    first,
                    against=against or None,
                    name=names[0],
                    threads=options.threads,
                    budget_seconds=options.seconds or 5.0,
                )
            except Interrupted as stopped:
                if stopped.result is None:
                    raise
                result = stopped.result
            document: Document = result.document()
            return document

        return self._finish(measure, options.r)

    def _finish(self, make: Callable[[], Document], wants_document: bool) -> Document | None:
        from IPython.core.error import UsageError
        from IPython.display import display

        try:
            document = make()
        except CommandError as error:
            raise UsageError(str(error)) from error
        if wants_document:
            return document
        show: Any = display
        show(DocumentView(document))
        return None

    def _function(self, statement: str, *, is_cell: bool) -> Callable[[], Any]:
        """Return what runs the statement, with its source known to linecache."""
        shell = self._shell
        source = shell.transform_cell(statement)
        # The shell keeps the lines under this name, for tracebacks and for listings.
        filename = shell.compile.cache(source, shell.execution_count, raw_code=statement)
        try:
            tree = ast.parse(source, filename)
        except SyntaxError as error:
            raise _usage_error(
                f"{_short(statement)!r} is not valid Python: {error.msg} (options stand before a statement, "
                "and %treport? or %tbench? lists them)"
            ) from error
        if is_cell:
            code = compile(tree, filename, "exec")
            return lambda: exec(code, shell.user_ns)
        body = tree.body or [ast.Pass()]
        template = ast.parse("def statement(): pass", filename)
        definition = template.body[0]
        assert isinstance(definition, ast.FunctionDef)
        definition.body = body
        scope: dict[str, Any] = {}
        exec(compile(ast.fix_missing_locations(template), filename, "exec"), shell.user_ns, scope)
        function: Callable[[], Any] = scope["statement"]
        return function


def load_ipython_extension(shell: Any) -> None:
    """Register the magics; ``%load_ext profiling`` calls this.

    Parameters
    ----------
    shell : InteractiveShell
        Where they will be known.
    """
    magics = Magics(shell)
    shell.register_magic_function(magics.treport, "line_cell", "treport")
    shell.register_magic_function(magics.tbench, "line", "tbench")


def unload_ipython_extension(shell: Any) -> None:
    """Forget the magics; ``%unload_ext profiling`` calls this.

    Parameters
    ----------
    shell : InteractiveShell
        Where they were registered.
    """
    for kind, name in (("line", "treport"), ("cell", "treport"), ("line", "tbench")):
        shell.magics_manager.magics[kind].pop(name, None)


def _usage_error(message: str) -> Exception:
    from IPython.core.error import UsageError

    return UsageError(message)


class _MagicParser(argparse.ArgumentParser):
    """One whose errors are the shell's."""

    def error(self, message: str) -> Any:
        raise _usage_error(message)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text!r}")
    return seconds


def _split_options(
    magic: str, line: str, flags: Sequence[str], valued: Mapping[str, Callable[[str], Any]]
) -> tuple[argparse.Namespace, str]:
    """Parse the options in front, and return the rest of the line as it was written."""
    parser = _MagicParser(prog=magic, add_help=False, allow_abbrev=False)
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    for option, kind in valued.items():
        parser.add_argument(option, type=kind)
    rest = line.strip()
    words: list[str] = []
    while rest:
        word, _, after = rest.partition(" ")
        name = word.partition("=")[0]
        if name not in (*flags, *valued):
            break
        words.append(word)
        rest = after.strip()
        if word in valued and rest:
            value, _, after = rest.partition(" ")
            words.append(value)
            rest = after.strip()
    return parser.parse_args(words), rest


def _names_operation(text: str) -> bool:
    return bool(text) and text.split()[0] in OPERATIONS


def _names_target(text: str) -> bool:
    """Tell an operation, a script and ``module:function`` from a statement."""
    first = text.split()[0] if text else ""
    is_function = re.fullmatch(r"[\w.]+:[\w.]+", first) is not None
    return _names_operation(text) or is_function or (first.endswith(".py") and Path(first).is_file())


def _statements(text: str) -> list[str]:
    """Split at ``::`` and ``--against``, but not inside a slice or a string."""
    cuts = list(SEPARATOR.finditer(text))
    statements: list[str] = []
    begin = 0
    for cut in cuts:
        if _is_code(text[begin : cut.start()]):
            statements.append(text[begin : cut.start()].strip())
            begin = cut.end()
    statements.append(text[begin:].strip())
    return [statement for statement in statements if statement]


def _is_code(text: str) -> bool:
    try:
        return bool(ast.parse(text.strip()).body)
    except SyntaxError:
        return False


def _short(statement: str) -> str:
    text = " ".join(statement.split())
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 4]} ..."


def _names(statements: Sequence[str]) -> list[str]:
    """Return a short name for each, all different."""
    names: list[str] = []
    for number, statement in enumerate(statements, 1):
        name = _short(statement)
        names.append(f"{name} ({number})" if name in names else name)
    return names


def _run_verb(verb: str, words: Sequence[str]) -> Document:
    parser = make_parser("%t" + verb, verb)
    cut = words.index("--") if "--" in words else len(words)
    try:
        parsed = parser.parse_args([verb, *words[:cut]])
    except SystemExit as stopped:
        # The parser has written its message already.
        raise CommandError("nothing was measured") from stopped
    parsed.script_arguments = list(words[cut + 1 :])
    command = get_command(verb)
    check_outputs(parsed, command)
    document = command.run(parsed)
    write_outputs(document, parsed)
    return document
