"""``python -m profiling <verb>``, and the console script ``tensorops``."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Sequence

from .commands._base import CommandError, add_format_options, deliver, get_command, verbs


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
        Exit code: 0, 1 for a failure, 2 for a usage error, 130 when interrupted.

    Examples
    --------
    >>> main(["report", "no-such-target"])
    2
    """
    parser = argparse.ArgumentParser(
        prog=prog, description="Measure tensor operations, and explain what was measured."
    )
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in verbs():
        command = get_command(verb)
        text = inspect.getdoc(type(command)) or ""
        subparser = subparsers.add_parser(
            verb,
            help=text.splitlines()[0],
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.prepare_parser(subparser)
        add_format_options(subparser)
    parsed = parser.parse_args(arguments)
    try:
        document = get_command(parsed.verb).run(parsed)
        deliver(document, parsed)
        sys.stdout.flush()
    except CommandError as error:
        print(f"{prog} {parsed.verb}: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{prog} {parsed.verb}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (such as `head`) has seen enough; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return document.exit_code


if __name__ == "__main__":
    sys.exit(main(prog="python -m profiling"))
