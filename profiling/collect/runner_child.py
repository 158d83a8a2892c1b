"""The process that runs a user's script or function while it is measured.

It is started by `profiling.collect.runner` and imports little: the script must find its process as
``python script.py`` would leave it. What is measured goes to a folder about once a second, so that it
is there whatever becomes of the process.
"""

from __future__ import annotations

import atexit
import builtins
import importlib.machinery
import importlib.util
import io
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from .own_code import OwnCode
from .runner_imports import toolkit_on_path
from .runner_state import Instruments, Journal, Outcome

INTERRUPTED = 130


class UnusableError(Exception):
    """There is nothing to run; the message says why."""


def main(folder: str) -> None:
    """Run what the folder's ``task.json`` describes; never returns normally after a failure.

    Parameters
    ----------
    folder : str
        Where the task stands and what is measured goes.
    """
    task = json.loads(Path(folder, "task.json").read_text(encoding="utf-8"))
    own = OwnCode(task["own"])
    journal = Journal(Path(folder), _instruments(task, Path(folder), own))
    if task["target"]["kind"] == "function":
        _run(journal, lambda: run_function(task["target"], task["seconds"], journal))
    else:
        _run(journal, lambda: run_script(task["target"], journal))


def _instruments(task: Mapping[str, Any], folder: Path, own: OwnCode) -> Instruments:
    """Return what measures: at the program's own speed, or by one of the tracers."""
    if task["mode"] == "sample":
        from .runner_collectors import Collectors

        return Collectors(
            folder, own, task["min_bytes"], task["interval"], task["all_operations"], task["names"]
        )
    if task["mode"] == "record":
        from .runner_recording import CallRecording

        return CallRecording(folder)
    from .runner_tracing import LineTracing, MemoryTracing

    kind = LineTracing if task["mode"] == "lines" else MemoryTracing
    return kind(folder, own, [tuple(entry) for entry in task["functions"]], task["budget"])


def _run(journal: Journal, program: Callable[[], None]) -> None:
    """Run a program as the interpreter would, and note how it ended."""
    # Registered first, so called last: after the program's own functions and the end of its threads.
    atexit.register(journal.finish)
    try:
        program()
    except UnusableError as error:
        journal.outcome = Outcome("unusable", 2, str(error))
        raise SystemExit(2) from None
    except SystemExit as ended:
        code = ended.code
        number = 0 if code is None else code & 0xFF if isinstance(code, int) else 1
        journal.outcome = Outcome("exited", number, f"sys.exit({code!r})" if code is not None else "")
        raise
    except KeyboardInterrupt as error:
        journal.outcome = Outcome("interrupted", INTERRUPTED, _place(error))
        _show(error)
        raise SystemExit(INTERRUPTED) from None
    except BaseException as error:
        journal.outcome = Outcome("raised", 1, _summary(error))
        _show(error)
        raise SystemExit(1) from None
    journal.outcome = Outcome("returned", 0, "")


def run_script(target: Mapping[str, Any], journal: Journal) -> None:
    """Run a script or a module in ``__main__``, as ``python script.py`` or ``python -m module`` does.

    Parameters
    ----------
    target : mapping
        As `profiling.targets.ScriptTarget.to_dict`.
    journal : Journal
        Starts and prepares.

    Raises
    ------
    UnusableError
        If there is no such module.
    """
    if target["module"]:
        spec = _module_spec(target["module"])
        path, loader = str(spec.origin), spec.loader
        # Not by `importlib.abc`, which imports much that the program may never need.
        get_code = getattr(loader, "get_code", None)
        code = None if get_code is None else get_code(spec.name)
        if code is None:
            raise UnusableError(f"module {target['module']} has no Python code to run")
        first, argv0 = str(Path.cwd()), path
    else:
        spec = None
        path = str(Path(target["path"]).absolute())
        loader = importlib.machinery.SourceFileLoader("__main__", path)
        with io.open_code(path) as file:
            code = compile(file.read(), path, "exec", dont_inherit=True)
        first, argv0 = str(Path(path).resolve().parent), target["path"]
    namespace = sys.modules["__main__"].__dict__
    namespace.clear()
    namespace.update(
        {
            "__name__": "__main__",
            "__doc__": None,
            "__package__": spec.parent if spec else None,
            "__loader__": loader,
            "__spec__": spec,
            "__file__": path,
            "__cached__": None,
            "__annotations__": {},
            "__builtins__": builtins,
        }
    )
    sys.argv[:] = [argv0, *target["arguments"]]
    if not sys.flags.safe_path:
        sys.path[0] = first
    journal.start()
    exec(journal.prepare(code), namespace)


def run_function(target: Mapping[str, Any], seconds: float, journal: Journal) -> None:
    """Call a function with the arguments that the task describes.

    Parameters
    ----------
    target : mapping
        As `profiling.targets.FunctionTarget.to_dict`.
    seconds : float
        About how long it is called.
    journal : Journal
        Measures.

    Raises
    ------
    UnusableError
        If there is no such function, or its arguments cannot be made.
    """
    with toolkit_on_path():
        from ..targets import evaluate_arguments, load_function, run_setup
    journal.before_imports()
    try:
        function = load_function(f"{target['module']}:{target['function']}")
        positional, named = evaluate_arguments(target["arguments"], run_setup(target["setup"]))
    except ValueError as error:
        raise UnusableError(str(error)) from None
    journal.measure(lambda: function(*positional, **named), seconds)


def _module_spec(name: str) -> importlib.machinery.ModuleSpec:
    sys.path[0] = str(Path.cwd())
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        raise UnusableError(f"no module named {name}, or it is a package without __main__")
    return spec


def _own_traceback(error: BaseException) -> TracebackType | None:
    """Return the traceback from the program's first frame on."""
    trace = error.__traceback__
    here = str(Path(__file__).parent)
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(here):
        trace = trace.tb_next
    return trace


def _show(error: BaseException) -> None:
    trace = _own_traceback(error)
    sys.excepthook(type(error), error.with_traceback(trace), trace)


def _summary(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0][:200]
    name = type(error).__name__
    return f"{name}: {text}{_place(error)}" if text else name + _place(error)


def _place(error: BaseException) -> str:
    trace = _own_traceback(error)
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f", in {Path(trace.tb_frame.f_code.co_filename).name} line {trace.tb_lineno}"
