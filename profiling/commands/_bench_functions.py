"""``bench module:function``: anybody's functions beside each other."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from ..benchmark import BenchResult, Interrupted, bench
from ..benchmark.sections import result_document
from ..document import Document
from ..progress import progress_bar
from ..targets import evaluate_arguments, load_function, run_setup
from ._base import CommandError
from ._bench_arguments import flat

INTERRUPTED = 130
BUDGET_SECONDS = 5.0


def bench_functions(arguments: argparse.Namespace) -> Document:
    """Benchmark the functions that the arguments name.

    Parameters
    ----------
    arguments : Namespace
        Of the verb ``bench``, with a target ``module:function``.

    Returns
    -------
    Document
        A section for each thread count.

    Raises
    ------
    CommandError
        For a function that does not exist or cannot be timed (2), and for one that raises (1).
    """
    budget = BUDGET_SECONDS if arguments.budget is None else arguments.budget
    try:
        names = [arguments.target, *flat(arguments.against)]
        _, named = _arguments_of(arguments)
        functions = {name: _with_keywords(load_function(name), named) for name in names}
    except ValueError as error:
        raise CommandError(str(error)) from error
    if len(functions) < len(names):
        raise CommandError(f"--against {arguments.target}: a function cannot be its own rival")
    results: list[BenchResult] = []
    counts: list[int | None] = [*flat(arguments.threads)] or [None]
    interrupted = False
    with progress_bar("bench", len(counts)) as advance:
        for count in counts:
            advance(arguments.target if count is None else f"{arguments.target}, threads: {count}")
            try:
                results.append(
                    bench(
                        functions[arguments.target],
                        against={name: functions[name] for name in names[1:]},
                        setup=lambda: _arguments_of(arguments)[0],
                        threads=count,
                        budget_seconds=budget,
                        launches=arguments.launches or 1,
                        verify=arguments.verify or None,
                        name=arguments.target,
                    )
                )
            except Interrupted as stopped:
                results += [stopped.result] if stopped.result else []
                interrupted = True
                break
            except (TypeError, ValueError) as error:
                # A function's own errors carry a note that says whose they are.
                code = 1 if getattr(error, "__notes__", None) else 2
                raise CommandError(_told(error), exit_code=code) from error
            except Exception as error:
                raise CommandError(_told(error), exit_code=1) from error
    if not results:
        raise KeyboardInterrupt
    document = result_document(results)
    code = INTERRUPTED if interrupted else document.exit_code
    return Document(f"bench {arguments.target}", document.sections, document.data, exit_code=code)


def _arguments_of(arguments: argparse.Namespace) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return evaluate_arguments(arguments.args or "", run_setup(arguments.setup or ""))


def _with_keywords(function: Callable[..., Any], named: dict[str, Any]) -> Callable[..., Any]:
    return partial(function, **named) if named else function


def _told(error: Exception) -> str:
    notes = "; ".join(getattr(error, "__notes__", []))
    return f"{type(error).__name__}: {error}" + (f" ({notes})" if notes else "")
