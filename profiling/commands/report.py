"""The verb ``report``: an operation, a function or a script explained on this machine."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from typing import ClassVar

from tensorops.operations import OPERATIONS

from ..cases import DTYPES, Case, flops
from ..document import Document
from ..measure import machine
from ..targets import TARGETS, ScriptTarget, Target, UnknownTargetError, parse_target
from ._base import Command, CommandError, known_name, whole_number
from ._roofline_sections import moved_bytes

OF_OPERATIONS = {
    "size": "--size",
    "shapes": "--shapes",
    "dtype": "--dtype",
    "threads": "--threads",
    "explain": "--explain",
}
OF_CODE = {
    "lines": "--lines",
    "memory": "--memory",
    "budget_events": "--budget-events",
    "functions": "--functions",
    "min_bytes": "--min-bytes",
    "all_operations": "--all-operations",
    "runs": "--runs",
}
OF_FUNCTIONS = {"setup": "--setup", "args": "--args"}
LARGEST_FLOPS = 2 * 8192**3
LARGEST_BYTES = 4 << 30


class ReportCommand(Command):
    """Explain an operation, a function or a script on this machine: where time and memory go, and why.

    An operation, such as matmul: the ladder from Python loops to the fastest code, time, hits and
    allocations line by line, the dispatcher's paths; they are written to the profile that the dispatcher
    reads.

    A function (package.module:function) or a script (train.py): it runs in a process of its own, at its
    own speed, with its threads sampled and its NumPy buffers and operations counted. What a script is
    given stands after "--". Exit code: that of the script; 1 if it raised, 128 and the signal's number
    if it was killed.

    Advice: where a hot line does by hand what this library does, or makes a chain of temporary arrays, both
    forms run on arrays like those that the line had; what agrees and is measurably faster is shown with its
    gain. --no-advice leaves that out.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "report matmul",
        "report matmul --shapes 64x784,784x128 --threads 2 --html report.html",
        "report matmul --explain --html map.html --png map.png",
        "report train.py -- --epochs 1",
        "report train.py --lines --memory --json report.json",
        "report train.py --runs 20 --json before.json  # for `compare`, which one run cannot serve",
        "report numpy:sort --setup 'import numpy as np; x = np.ones(100000)' --args x",
        "report -m package.module -- --verbose",
    )
    draws: ClassVar[bool] = True
    takes_script_arguments: ClassVar[bool] = True

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add the verb's arguments."""
        parser.add_argument(
            "target",
            nargs="?",
            metavar="TARGET",
            help="an operation of the registry, such as matmul or gelu, package.module:function, or a script",
        )
        parser.add_argument("-m", dest="module", metavar="MODULE", help="a module to run as a script")
        parser.add_argument(
            "--no-advice",
            action="store_true",
            help="look for no replacements of hot lines, and try none out",
        )
        _add_operation_options(parser.add_argument_group("operations"))
        _add_code_options(parser.add_argument_group("functions and scripts"))

    def run(self, arguments: argparse.Namespace) -> Document:
        """Measure, and return the report."""
        script_arguments = tuple(getattr(arguments, "script_arguments", ()))
        if (arguments.target is None) == (arguments.module is None):
            raise CommandError("expected one TARGET, or -m MODULE")
        if arguments.module is not None:
            return self._report_code(ScriptTarget("", arguments.module, script_arguments), arguments)
        try:
            target = parse_target(
                arguments.target,
                TARGETS,
                setup=arguments.setup or "",
                call=arguments.args or "",
                arguments=script_arguments,
            )
        except UnknownTargetError as error:
            raise CommandError(str(error)) from error
        if script_arguments and not isinstance(target, ScriptTarget):
            raise CommandError(f"{arguments.target} takes no arguments after --: only a script does")
        if not isinstance(target, str):
            return self._report_code(target, arguments)
        _refuse(arguments, {**OF_CODE, **OF_FUNCTIONS}, "an operation")
        return _report_operation(TARGETS[target], arguments)

    def _report_code(self, target: object, arguments: argparse.Namespace) -> Document:
        from ..targets import FunctionTarget
        from ._report_code import CodeOptions, code_report

        is_function = isinstance(target, FunctionTarget)
        foreign = OF_OPERATIONS if is_function else {**OF_OPERATIONS, **OF_FUNCTIONS}
        _refuse(arguments, foreign, "a function" if is_function else "a script")
        if arguments.no_save:
            raise CommandError("--no-save is for operations: nothing is stored for functions and scripts")
        assert isinstance(target, FunctionTarget | ScriptTarget)
        options = CodeOptions(
            lines=arguments.lines or False,
            memory=arguments.memory or False,
            budget=arguments.budget_events,
            functions=tuple(arguments.functions or ()),
            min_bytes=64 if arguments.min_bytes is None else arguments.min_bytes,
            all_operations=arguments.all_operations or False,
            runs=arguments.runs or 1,
            advice=not arguments.no_advice,
        )
        return code_report(target, options)


def _add_operation_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--size",
        type=int,
        metavar="N",
        help="size of the ladder: of matmul the side of the matrices, default 512; else elements of the "
        "first operand, by default those of the registry's largest example",
    )
    group.add_argument(
        "--shapes", metavar="SHAPES", help="shapes of the operands instead, such as 64x784,784x128"
    )
    group.add_argument(
        "--dtype",
        type=known_name("dtype", DTYPES),
        metavar="DTYPE",
        help=f"one of: {', '.join(DTYPES)}; default: {DTYPES[0]}",
    )
    group.add_argument(
        "--threads",
        type=whole_number(1, 1024),
        metavar="N",
        help="threads of the optimised product and of NumPy's; default: 1",
    )
    group.add_argument(
        "--explain",
        action="store_true",
        default=None,
        help="measure nothing: draw the map of the paths that the dispatcher takes over m, k and n",
    )
    group.add_argument("--no-save", action="store_true", help="leave the dispatcher's profile as it is")


def _add_code_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--setup", metavar="CODE", help="a function: statements that prepare its arguments")
    group.add_argument("--args", metavar="EXPR", help="a function: its arguments, such as 'x, n=3'")
    group.add_argument(
        "--runs",
        type=whole_number(1, 1000),
        metavar="N",
        help="sample N runs, one after the other, so that `compare` can tell changes from chance; default: 1",
    )
    group.add_argument(
        "--lines", action="store_true", default=None, help="count hits in one more run, by line_profiler"
    )
    group.add_argument(
        "--memory",
        action="store_true",
        default=None,
        help="growth of the process in one more run, by memory_profiler",
    )
    group.add_argument(
        "--budget-events",
        type=whole_number(1, 10**12),
        metavar="N",
        help="events that each of these runs may take; default: 3,000,000 for --lines, 200,000 for --memory",
    )
    group.add_argument(
        "--functions", nargs="+", metavar="NAME", help="functions to show; default: those that matter"
    )
    group.add_argument(
        "--min-bytes",
        type=whole_number(0, 2**40),
        metavar="N",
        help="leave smaller buffers out of the counts; default: 64",
    )
    group.add_argument(
        "--all-operations",
        action="store_true",
        default=None,
        help="count operations to the end, even so many small ones that it slows the program down",
    )


def _refuse(arguments: argparse.Namespace, options: dict[str, str], kind: str) -> None:
    given = [option for name, option in options.items() if getattr(arguments, name) is not None]
    if given:
        raise CommandError(f"{', '.join(given)}: not for {kind}")


def _report_operation(target: Target, arguments: argparse.Namespace) -> Document:
    if arguments.explain:
        return _explain(target, arguments)
    case = _case(target, arguments)
    threads = 1 if arguments.threads is None else arguments.threads
    cores = machine.describe()["cores"]
    if threads > cores:
        raise CommandError(f"--threads {threads}: this process may use {cores} core{'s' * (cores != 1)}")
    from ._report_operation import operation_report

    return operation_report(target, case, threads, not arguments.no_save, not arguments.no_advice)


def _explain(target: Target, arguments: argparse.Namespace) -> Document:
    _refuse(arguments, {"size": "--size", "shapes": "--shapes"}, "--explain: the map shows all sizes")
    if OPERATIONS[target.op].cost_class != "product":
        raise CommandError(f"--explain: {target.op} is no product; tensorops.explain tells its choices")
    from ._report_explain import explain_document

    return explain_document(target.op, arguments.dtype or DTYPES[0], arguments.threads or 1)


def _case(target: Target, arguments: argparse.Namespace) -> Case:
    dtype = DTYPES[0] if arguments.dtype is None else arguments.dtype
    if arguments.shapes is None:
        if arguments.size is None and target.op != "matmul":
            return target.profile_cases(dtype)[-1]
        size = target.default_size if arguments.size is None else arguments.size
        if not target.smallest_size <= size <= target.largest_size:
            raise CommandError(f"--size {size}: expected {target.smallest_size} to {target.largest_size}")
        return target.case(size, dtype)
    if arguments.size is not None:
        raise CommandError("--size and --shapes exclude each other")
    if not re.fullmatch(r"\d+(x\d+)*(,\d+(x\d+)*)*", arguments.shapes):
        raise CommandError(f"--shapes {arguments.shapes}: expected something like 64x784,784x128")
    shapes = tuple(tuple(map(int, shape.split("x"))) for shape in arguments.shapes.split(","))
    template = target.case(target.smallest_size, dtype)
    try:
        case = replace(template, shapes=shapes, layout="C" * len(shapes))
        work, held = flops(case), moved_bytes(case)
    except ValueError as error:
        raise CommandError(f"--shapes {arguments.shapes}: {error}") from error
    if not 0 < work <= LARGEST_FLOPS:
        raise CommandError(f"--shapes {arguments.shapes}: {work:,} FLOPs; expected 1 to {LARGEST_FLOPS:,}")
    if held > LARGEST_BYTES:
        raise CommandError(f"--shapes {arguments.shapes}: {held:,} bytes; expected at most {LARGEST_BYTES:,}")
    return case
