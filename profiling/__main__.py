"""``python -m profiling <verb>``, and the console script ``tensorops``."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Sequence

import tensorops

from .commands._base import (
    USAGE_ERROR,
    CommandError,
    add_format_options,
    check_outputs,
    deliver,
    get_command,
    nearest,
    verbs,
)

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None, *, prog: str = "tensorops") -> int:
    """Run one verb.

    Parameters
    ----------
    arguments : sequence of str, optional
        The verb and its arguments; the process's own by default.
    prog : str
        Name of the program in messages.

    Returns
    -------
    int
        Exit code: 0, 1 for a failure, 2 for a usage error, 130 when interrupted; a verb may have its own.

    Raises
    ------
    SystemExit
        By the parser: 0 for ``--help`` and ``--version``, 2 for arguments that it refuses.

    Examples
    --------
    >>> main(["reprot"])
    2
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    # What follows "--" belongs to the script that is run: argparse must not read it.
    cut = given.index("--") if "--" in given else len(given)
    own, script = given[:cut], given[cut + 1 :]
    name = prog
    try:
        verb = next((argument for argument in own if not argument.startswith("-")), None)
        if verb is not None and verb not in verbs():
            print(
                f"{prog}: error: unknown verb {verb!r}; known: {', '.join(verbs())}{nearest(verb, verbs())}",
                file=sys.stderr,
            )
            return USAGE_ERROR
        parser = make_parser(prog, verb)
        parsed = parser.parse_args(own)
        if parsed.verb is None:
            parser.print_help(sys.stderr)
            return USAGE_ERROR
        name = f"{prog} {verb}"
        return _run(parsed, script)
    except CommandError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (such as `head`) has seen enough; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(parsed: argparse.Namespace, script: list[str]) -> int:
    command = get_command(parsed.verb)
    if script and not command.takes_script_arguments:
        raise CommandError(f"takes no arguments after --, got: {' '.join(script)}")
    parsed.script_arguments = script
    check_outputs(parsed, command)
    document = command.run(parsed)
    deliver(document, parsed)
    sys.stdout.flush()
    return document.exit_code


def make_parser(prog: str, verb: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of one verb, or of all.

    Parameters
    ----------
    prog : str
        Name of the program in messages and examples.
    verb : str, optional
        The only verb that is wanted: the others are not imported. All by default.

    Returns
    -------
    ArgumentParser
        Its result has the verb, or None, as ``verb``.

    Examples
    --------
    >>> make_parser("tensorops", "bench").parse_args([]).verb
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Measure tensor operations, and explain what was measured.",
        epilog=f"{prog} VERB --help shows a verb's options and examples.",
    )
    parser.add_argument("--version", action="version", version=f"tensorops {tensorops.__version__}")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for name in verbs() if verb is None else (verb,):
        command = get_command(name)
        text = inspect.getdoc(type(command)) or ""
        lines = "\n".join(f"  {prog} {example}" for example in command.examples)
        subparser = subparsers.add_parser(
            name,
            help=text.splitlines()[0],
            description=text,
            epilog=f"examples:\n{lines}" if lines else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.prepare_parser(subparser)
        add_format_options(subparser)
    return parser


if __name__ == "__main__":
    sys.exit(main(prog="python -m profiling"))
