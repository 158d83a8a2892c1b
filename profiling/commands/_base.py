"""What the verbs share: their face, their errors, checks of arguments and the delivery of documents."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path

from ..document import Document
from ..reporters import formats, get_reporter

USAGE_ERROR = 2
NARROWEST_PAGE = 60


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
    """One verb. The docstring of the subclass is its help."""

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
                f"--{name}", metavar="FILE", type=output_file, help=f"also write {name} to FILE"
            )


def deliver(document: Document, arguments: argparse.Namespace) -> None:
    """Write the files that were asked for, then print the text.

    Parameters
    ----------
    document : Document
        What to deliver.
    arguments : Namespace
        Parsed with the options of `add_format_options`.

    Raises
    ------
    CommandError
        If a file cannot be written.
    """
    width = max(NARROWEST_PAGE, shutil.get_terminal_size((100, 24)).columns)
    for name in formats():
        target = getattr(arguments, name, None)
        if target is not None:
            try:
                target.write_text(get_reporter(name).render(document, width) + "\n", encoding="utf-8")
            except OSError as error:
                raise CommandError(f"cannot write {target}: {error.strerror}", exit_code=1) from error
    print(get_reporter("text").render(document, width))


def output_file(text: str) -> Path:
    """Return the path of a file that can be written, for argparse.

    Parameters
    ----------
    text : str
        A path.

    Returns
    -------
    Path
        In a folder that exists.

    Raises
    ------
    argparse.ArgumentTypeError
        For a folder, or a file in a folder that does not exist.
    """
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"folder {path.parent} does not exist; create it first")
    return path


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
            raise argparse.ArgumentTypeError(f"unknown {what} {text!r}; known: {', '.join(names)}")
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
