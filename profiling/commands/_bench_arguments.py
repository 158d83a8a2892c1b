"""The arguments of the verb ``bench``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from ..benchmark.operations import shaped_case
from ..cases import DTYPES, SUITES, Case, Group
from ..measure.contenders import LIBRARIES, OURS
from ..targets import TARGETS
from ._base import CommandError, known_name, nearest, whole_number

RIVALS = tuple(name for name in LIBRARIES if name != OURS)
LARGEST_SIZE = 16384
GIVEN = "given"
"""Group of the cases that were asked for by size or shapes."""

ItemT = TypeVar("ItemT")


def items(parse: Callable[[str], ItemT]) -> Callable[[str], list[ItemT]]:
    """Return an argparse type: several values with commas between them.

    Parameters
    ----------
    parse : callable
        The type of one.

    Returns
    -------
    callable
        From text to a list.

    Examples
    --------
    >>> items(int)("1,2")
    [1, 2]
    """

    def parse_all(text: str) -> list[ItemT]:
        return [parse(part) for part in text.split(",") if part.strip()]

    return parse_all


def flat(values: Iterable[Sequence[ItemT]] | None) -> list[ItemT]:
    """Return the values of an option that takes lists, each once, in the order given.

    Parameters
    ----------
    values : iterable of sequence, or None
        As argparse collects them.

    Returns
    -------
    list
        Empty for None.

    Examples
    --------
    >>> flat([[1, 2], [2, 3]])
    [1, 2, 3]
    """
    return list(dict.fromkeys(chain.from_iterable(values or ())))


def target_name(known: Iterable[str]) -> Callable[[str], str]:
    """Return an argparse type: an operation, or ``module:function``.

    Parameters
    ----------
    known : iterable of str
        The operations.

    Returns
    -------
    callable
        From text to the same text.

    Examples
    --------
    >>> target_name(["matmul"])("math:sqrt")
    'math:sqrt'
    """
    names = tuple(known)

    def parse(text: str) -> str:
        if ":" not in text and text not in names:
            raise argparse.ArgumentTypeError(
                f"unknown target {text!r}; known: {', '.join(names)}, MODULE:FUNCTION{nearest(text, names)}"
            )
        return text

    return parse


def operand_shapes(text: str) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of an operation's operands, for argparse.

    Parameters
    ----------
    text : str
        Such as ``64x784,784x128``.

    Returns
    -------
    tuple of tuple of int
        One per operand.

    Raises
    ------
    argparse.ArgumentTypeError
        For anything else.

    Examples
    --------
    >>> operand_shapes("64x784,784x128")
    ((64, 784), (784, 128))
    """
    try:
        shapes = tuple(tuple(int(size) for size in part.split("x")) for part in text.split(","))
    except ValueError:
        shapes = ()
    if not shapes or any(size < 1 for shape in shapes for size in shape):
        raise argparse.ArgumentTypeError(
            f"expected a shape for each operand, such as 64x784,784x128, got {text!r}"
        )
    return shapes


def prepare_parser(parser: argparse.ArgumentParser, groups: Sequence[str], targets: Sequence[str]) -> None:
    """Add the arguments of the verb.

    Parameters
    ----------
    parser : ArgumentParser
        The verb's.
    groups : sequence of str
        Names of the groups of cases of all operations.
    targets : sequence of str
        Operations that have groups.
    """
    parser.add_argument(
        "target",
        nargs="?",
        type=target_name(targets),
        metavar="TARGET",
        help=f"an operation ({', '.join(targets)}), or MODULE:FUNCTION",
    )
    parser.add_argument(
        "--suite",
        choices=SUITES,
        help="instead of a target: the table of cases of all operations, or the few that tell most",
    )
    parser.add_argument(
        "--against",
        nargs="+",
        type=items(str),
        metavar="NAME",
        help=f"for operations some of: {', '.join(RIVALS)}, or all; default: all that are installed. For a "
        "function: others, as MODULE:FUNCTION",
    )
    parser.add_argument(
        "--threads",
        nargs="+",
        type=items(whole_number(1, 1024)),
        metavar="N",
        help="threads that each may use; default: for an operation 1 and, with two cores or more, 2",
    )
    parser.add_argument(
        "--samples", action="store_true", help="show how the samples of every contender are spread"
    )
    parser.add_argument(
        "--launches",
        type=whole_number(1, 100),
        metavar="N",
        help="process launches to pool; default: 3, with --quick or a function 1",
    )
    operation = parser.add_argument_group("for an operation")
    operation.add_argument("--quick", action="store_true", help="few cases, few samples, one launch")
    operation.add_argument(
        "--check",
        action="store_true",
        help="allow variables that force a rival's kernels; the result is marked as a check",
    )
    operation.add_argument(
        "--groups",
        nargs="+",
        type=items(known_name("group", groups)),
        metavar="GROUP",
        help=f"some of: {', '.join(groups)}; default: all",
    )
    operation.add_argument(
        "--size",
        nargs="+",
        type=items(whole_number(1, LARGEST_SIZE)),
        metavar="N",
        help="square cases of these sizes instead of the groups",
    )
    operation.add_argument(
        "--shapes",
        nargs="+",
        type=operand_shapes,
        metavar="SHAPES",
        help="cases of these shapes instead of the groups, such as 64x784,784x128",
    )
    operation.add_argument(
        "--dtype",
        nargs="+",
        type=items(known_name("dtype", DTYPES)),
        metavar="DTYPE",
        help=f"some of: {', '.join(DTYPES)}; default: both",
    )
    function = parser.add_argument_group("for a function")
    function.add_argument(
        "--setup", metavar="CODE", help="statements that make the arguments, run for each contender anew"
    )
    function.add_argument(
        "--args", metavar="VALUES", help='what stands between the brackets of the call, such as "x, axis=0"'
    )
    function.add_argument("--verify", action="store_true", help="compare the results with the first's")
    function.add_argument(
        "--budget", type=float, metavar="SECONDS", help="time of all launches of one thread count; default: 5"
    )


SUITE_EXCLUDES = ("quick", "size", "shapes", "samples", "setup", "args", "verify", "budget")
OPERATION_ONLY = ("quick", "check", "groups", "size", "shapes", "dtype")
FUNCTION_ONLY = ("setup", "args", "verify", "budget")


def refuse_foreign(arguments: argparse.Namespace) -> None:
    """Refuse options that belong to the other kind of target.

    Parameters
    ----------
    arguments : Namespace
        Parsed by the arguments of `prepare_parser`.

    Raises
    ------
    CommandError
        If there is one.
    """
    if (arguments.target is None) == (arguments.suite is None):
        raise CommandError("give a TARGET to measure, or --suite quick or --suite full instead")
    if arguments.suite:
        excluded = [f"--{name}" for name in SUITE_EXCLUDES if getattr(arguments, name)]
        if excluded:
            raise CommandError(f"{', '.join(excluded)}: not with --suite; choose its cases with --groups")
        return
    function = ":" in arguments.target
    foreign = OPERATION_ONLY if function else FUNCTION_ONLY
    given = [f"--{name}" for name in foreign if getattr(arguments, name)]
    if given:
        kind = "an operation" if function else "a function"
        raise CommandError(f"{', '.join(given)}: only for {kind}, and {arguments.target} is none")
    if not function and arguments.groups and (arguments.size or arguments.shapes):
        raise CommandError("--groups and --size or --shapes exclude each other: both choose the cases")


def chosen_groups(
    arguments: argparse.Namespace, groups: Mapping[str, Group], cases_of: Callable[[Group], Sequence[Case]]
) -> list[tuple[Group, list[Case]]]:
    """Return the groups to measure with their cases.

    Parameters
    ----------
    arguments : Namespace
        Of an operation.
    groups : mapping of str to Group
        The operation's.
    cases_of : callable
        Which cases of a group.

    Returns
    -------
    list of (Group, list of Case)
        Without groups that have no case of the dtypes asked for.

    Raises
    ------
    CommandError
        For shapes that do not fit the operation.
    """
    dtypes = flat(arguments.dtype) or list(DTYPES)
    if not arguments.size and not arguments.shapes:
        wanted = flat(arguments.groups)
        foreign = [name for name in wanted if name not in groups]
        if foreign:
            has = ", ".join(groups)
            raise CommandError(f"--groups {', '.join(foreign)}: {arguments.target} has the groups {has}")
        chosen = [groups[name] for name in wanted or groups]
        found = [(group, [case for case in cases_of(group) if case.dtype in dtypes]) for group in chosen]
        return [(group, cases) for group, cases in found if cases]
    target = TARGETS[arguments.target]
    cases = [target.case(size, dtype) for size in flat(arguments.size) for dtype in dtypes]
    for shapes in arguments.shapes or ():
        try:
            cases += [shaped_case(arguments.target, shapes, dtype) for dtype in dtypes]
        except ValueError as error:
            raise CommandError(f"--shapes: {error}") from error
    given = tuple(replace(case, group=GIVEN) for case in cases)
    return [(Group(GIVEN, "as asked for", 0.0, 0.0, given, given), list(given))]
