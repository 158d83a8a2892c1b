"""What the verbs share: their face, their errors, checks of arguments and the delivery of documents."""

from __future__ import annotations

import argparse
import difflib
import importlib
import pkgutil
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from io import TextIOWrapper
from pathlib import Path
from typing import ClassVar

from ..document import Document
from ..reporters import formats, get_reporter
from ..reporters.text import TextReporter, terminal_paint
from ._files import output_file, write_file

USAGE_ERROR = 2
NARROWEST_PAGE = 60
NO_FIGURE = "there is no figure to draw in this document; --html shows all that there is"


class CommandError(Exception):
    """A failure that is told to the user in one message, without a traceback.

    Parameters
    ----------
    message : str
        What was wrong, what was expected, what to do.
    exit_code : int
        2 for a usage error.
    """

    def __init__(self, message: str, exit_code: int = USAGE_ERROR) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Command(ABC):
    """One verb. The docstring of the subclass is its help.

    Attributes
    ----------
    examples : tuple of str
        Command lines without the program's name; a comment may follow after ``#``.
    draws : bool
        Whether its documents hold figures, so that a picture of them can be asked for.
    takes_script_arguments : bool
        Whether arguments after ``--`` have a meaning; they are then in ``script_arguments``.
    """

    examples: ClassVar[tuple[str, ...]] = ()
    draws: ClassVar[bool] = False
    takes_script_arguments: ClassVar[bool] = False

    @abstractmethod
    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""

    @abstractmethod
    def run(self, arguments: argparse.Namespace) -> Document:
        """Do the work and return what there is to say.

        Raises
        ------
        CommandError
            For arguments that the parser could not judge, and for failures worth one line.
        """


def verbs() -> tuple[str, ...]:
    """Return the names of the verbs, in alphabetical order.

    Returns
    -------
    tuple of str
        The file names in ``profiling/commands`` that do not begin with an underscore.

    Examples
    --------
    >>> "report" in verbs()
    True
    """
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return tuple(sorted(module.name for module in found if not module.name.startswith("_")))


def get_command(verb: str) -> Command:
    """Return the command of a verb.

    Parameters
    ----------
    verb : str
        One of `verbs`.

    Returns
    -------
    Command
        Ready to prepare a parser.

    Examples
    --------
    >>> type(get_command("bench")).__name__
    'BenchCommand'
    """
    module = importlib.import_module(f"{__package__}.{verb}")
    command: Command = getattr(module, f"{verb.capitalize()}Command")()
    return command


def add_format_options(parser: argparse.ArgumentParser) -> None:
    """Add an option ``--<format> FILE`` for every format but text.

    Parameters
    ----------
    parser : ArgumentParser
        Parser of a verb.
    """
    for name in formats():
        if name != "text":
            parser.add_argument(
                f"--{name}", metavar="FILE", type=output_file, help=get_reporter(name).help_text
            )


def check_outputs(arguments: argparse.Namespace, command: Command) -> None:
    """Refuse, before anything is measured, files that could not be made at the end.

    Parameters
    ----------
    arguments : Namespace
        Parsed with the options of `add_format_options`.
    command : Command
        The verb that will make the document.

    Raises
    ------
    CommandError
        If a format's packages are missing, if it needs a figure and the verb draws none, and if two
        formats would go to one file.
    """
    taken: dict[Path, str] = {}
    for name, path in _outputs(arguments).items():
        reporter = get_reporter(name)
        missing = reporter.why_unavailable()
        if missing:
            raise CommandError(f"--{name}: {missing}")
        if reporter.needs_figures and not command.draws:
            raise CommandError(f"--{name}: {NO_FIGURE}")
        other = taken.setdefault(path.resolve(), name)
        if other != name and path.is_file() | (not path.exists()):
            raise CommandError(f"--{other} and --{name} name one file, {path}; give each its own")


def deliver(document: Document, arguments: argparse.Namespace) -> None:
    """Write the files that were asked for and print the text, whichever of them fails.

    Parameters
    ----------
    document : Document
        What to deliver.
    arguments : Namespace
        Parsed with the options of `add_format_options`.

    Raises
    ------
    CommandError
        If a file could not be written, after all that can be delivered is.
    """
    try:
        write_outputs(document, arguments)
    finally:
        if isinstance(sys.stdout, TextIOWrapper):
            # A character that the terminal's encoding lacks is no reason to lose a report.
            sys.stdout.reconfigure(errors="backslashreplace")
        print(TextReporter(terminal_paint(sys.stdout)).render(document, page_width()))


def write_outputs(document: Document, arguments: argparse.Namespace) -> None:
    """Write the files that were asked for.

    Parameters
    ----------
    document : Document
        What to write.
    arguments : Namespace
        Parsed with the options of `add_format_options`.

    Raises
    ------
    CommandError
        If a file could not be written, after all others are: 1, or 2 if there is no figure for it.
    """
    failed: list[str] = []
    code = 1
    # The data come first: should another format fail, they are kept.
    for name, path in sorted(_outputs(arguments).items(), key=lambda item: item[0] != "json"):
        reporter = get_reporter(name)
        if reporter.needs_figures and not document.figures:
            failed.append(f"--{name}: {NO_FIGURE}")
            code = USAGE_ERROR
            continue
        try:
            content = reporter.render(document, page_width())
            write_file(path, content if isinstance(content, bytes) else f"{content}\n".encode())
        except OSError as error:
            failed.append(f"cannot write {path}: {error.strerror or error}")
    if failed:
        raise CommandError("; ".join(failed), exit_code=code)


def page_width() -> int:
    """Return the number of characters in a line of text output.

    Returns
    -------
    int
        Those of the terminal, 100 where there is none; never below 60.

    Examples
    --------
    >>> page_width() >= NARROWEST_PAGE
    True
    """
    return max(NARROWEST_PAGE, shutil.get_terminal_size((100, 24)).columns)


def _outputs(arguments: argparse.Namespace) -> dict[str, Path]:
    wanted = {name: getattr(arguments, name, None) for name in formats()}
    return {name: path for name, path in wanted.items() if path is not None}


def nearest(text: str, known: Iterable[str]) -> str:
    """Return a hint at the names that look like what was typed.

    Parameters
    ----------
    text : str
        What was typed.
    known : iterable of str
        The names there are.

    Returns
    -------
    str
        ``"; did you mean ...?"``, or nothing where no name looks like it.

    Examples
    --------
    >>> nearest("matmull", ["matmul", "gelu"]), nearest("x", ["matmul"])
    ('; did you mean matmul?', '')
    """
    close = difflib.get_close_matches(text, list(known), n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def known_name(what: str, known: Iterable[str]) -> Callable[[str], str]:
    """Return an argparse type: one of some names.

    Parameters
    ----------
    what : str
        What is named, for the message.
    known : iterable of str
        The names.

    Returns
    -------
    callable
        From text to the same text; ArgumentTypeError that lists the names for anything else.

    Examples
    --------
    >>> known_name("target", ["matmul"])("matmul")
    'matmul'
    """
    names = tuple(known)

    def parse(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(
                f"unknown {what} {text!r}; known: {', '.join(names)}{nearest(text, names)}"
            )
        return text

    return parse


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return an argparse type: a whole number within bounds.

    Parameters
    ----------
    least, most : int
        Bounds, inclusive.

    Returns
    -------
    callable
        From text to int; ArgumentTypeError for anything else.

    Examples
    --------
    >>> whole_number(1, 8)("4")
    4
    """

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}, got {text!r}")
        return value

    return parse
