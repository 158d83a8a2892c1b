"""The process that runs a user's lines and their replacement side by side, and tells whether they agree.

It reads a list of trials as JSON from standard input and writes an answer for each, a line of JSON. What
the lines need is made anew, of the shapes, dtypes, strides and values that were seen. A line that ends the
process ends no report.
"""

from __future__ import annotations

import json
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np

import tensorops
from tensorops.operations import OPERATIONS

from ..measure.callables import Call
from ..measure.timer import Contender, Schedule, interleave
from .snapshot import SEED, made

BEFORE, AFTER = "before", "after"
SCHEDULE = Schedule(sample_seconds=3e-3, blocks=4, min_blocks=2, budget_seconds=0.6)
LONGEST_CALL = 0.5
WIDE_PRODUCT = 2**22
"""Multiplications beyond which products in extended precision, which no BLAS has, take too long."""

Arguments = dict[str, Any]


@dataclass(slots=True)
class Trial:
    """Two pieces of code as functions of the same arguments.

    Parameters
    ----------
    task : mapping
        As `Candidate.trial`.
    """

    task: Mapping[str, Any]
    narrowed: bool = False

    def functions(self, results: str) -> tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]:
        """Return the lines and the replacement as functions, and the names around them.

        Parameters
        ----------
        results : str
            What they return: ``""`` what is replaced, ``"timed_"`` all that the lines compute.

        Returns
        -------
        before, after : callable
            Of the trial's arguments.
        names : dict
            Their globals.
        """
        task = self.task
        names: dict[str, Any] = {"tensorops": tensorops}
        exec("\n".join(task["imports"]), names)
        if task["setup"]:
            exec(
                _with_source(task["setup"].replace("@tensorops.fuse\n", "@tensorops.fuse(strict=True)\n")),
                names,
            )
        parameters = ", ".join(task["arguments"])
        before = _function("before", parameters, task["original"], task[f"{results}results"], names)
        kept = task[f"{results}replacement_results"]
        after = _function("after", parameters, task["replacement"], kept, names)
        return before, after, names

    def run(self, timed: bool) -> dict[str, Any]:
        """Verify, and time if that is wanted.

        Parameters
        ----------
        timed : bool
            Whether to take samples.

        Returns
        -------
        dict
            ``agrees``, ``reason`` where it does not, ``error`` (the largest difference as a share of what is
            allowed), ``narrowed`` (whether the lines give float64 and the replacement float32), ``samples``
            by contender.
        """
        arguments = self._arguments()
        before, after, names = self.functions("")
        with np.errstate(all="ignore"):
            reason, error = self._disagreement(before, after, names, arguments)
            if reason is not None:
                return {"agrees": False, "reason": reason}
            answer: dict[str, Any] = {"agrees": True, "reason": None, "error": error}
            answer["narrowed"] = self.narrowed
            if timed:
                before, after, _ = self.functions("timed_")
                answer["samples"] = self._samples(before, after, arguments)
        return answer

    def _arguments(self) -> Arguments:
        generator = np.random.default_rng(SEED)
        return {name: made(seen, generator) for name, seen in self.task["arguments"].items()}

    def _disagreement(
        self,
        before: Callable[..., Any],
        after: Callable[..., Any],
        names: dict[str, Any],
        arguments: Arguments,
    ) -> tuple[str | None, float]:
        found, other = before(**_copied(arguments)), after(**_copied(arguments))
        if any(not np.isfinite(part).all() for part in found):
            return "the lines give NaN or infinity on values like those seen", 0.0
        truth, is_wider = self._truth(before, arguments, found)
        bounds = self._bounds(names, arguments, found, truth)
        worst = 0.0
        for one, two, true, bound in zip(found, other, truth, bounds, strict=True):
            # NumPy computes in float64 as soon as one number is a float64 of its own, such as np.sqrt(2).
            self.narrowed |= bool(self.task["operation"]) and _is_narrower(two, one, arguments)
            if one.shape != two.shape or (one.dtype != two.dtype and not self.narrowed):
                return (
                    f"the result would be {two.dtype} of shape {two.shape}, not {one.dtype} of {one.shape}",
                    0.0,
                )
            allowed = np.asarray(bound * (1 if is_wider else 2), np.float64)
            difference = np.abs(np.asarray(two - true, np.float64))
            worst = max(worst, float(np.max(difference / np.maximum(allowed, 1e-300), initial=0.0)))
            if not np.all(difference <= allowed):
                return "the results differ by more than the operation's bound", worst
        return None, worst

    def _truth(self, before: Callable[..., Any], arguments: Arguments, found: Any) -> tuple[Any, bool]:
        """Return what the lines mean, in the next wider precision, and whether that could be had."""
        narrow = [value for value in arguments.values() if _is_floating(value)]
        wider = np.float64 if all(value.dtype == np.float32 for value in narrow) else np.longdouble
        usable = np.finfo(wider).eps < np.finfo(np.result_type(*narrow)).eps
        if usable and not (wider is np.longdouble and self._product() > WIDE_PRODUCT):
            wide = {
                name: value.astype(wider) if _is_floating(value) else value
                for name, value in arguments.items()
            }
            try:
                truth = before(**_copied(wide))
                if all(part.dtype == wider for part in truth):
                    return truth, True
            except (TypeError, ValueError):
                pass
        return found, False

    def _product(self) -> float:
        shapes = [seen["shape"] for seen in self.task["arguments"].values() if "shape" in seen]
        if self.task["operation"] != "linear" or not shapes:
            return 0.0
        return float(max(np.prod(shape) for shape in shapes)) * max(max(shape, default=1) for shape in shapes)

    def _bounds(self, names: dict[str, Any], arguments: Arguments, found: Any, truth: Any) -> Sequence[Any]:
        operation = self.task["operation"]
        if operation:
            given = _copied(arguments)
            operands = [eval(text, names, given) for text in self.task["operands"]]
            bounds = OPERATIONS[operation].error_bound(*operands, **self.task["params"])
            ordered = bounds if isinstance(bounds, tuple) else (bounds,)
            return ordered
        # No bound of an operation's: as near to the truth as the user's own lines are.
        return [
            8 * np.finfo(part.dtype).eps * np.abs(true) + 2 * np.max(np.abs(part - true), initial=0.0)
            for part, true in zip(found, truth, strict=True)
        ]

    def _samples(
        self, before: Callable[..., Any], after: Callable[..., Any], arguments: Arguments
    ) -> dict[str, list[float]]:
        values = tuple(arguments.values())
        contenders: list[Contender] = []
        for name, function in ((BEFORE, before), (AFTER, after)):
            if self.task["changes"]:
                contenders.append(Restoring(name, function, values, self._arguments()))
            else:
                contenders.append(Call(name, function, values))
        for contender in contenders:
            if contender.sample(1) > LONGEST_CALL:
                # Too long for many samples: those that there is time for.
                return interleave(contenders, Schedule(1e-6, 2, 1, 2 * LONGEST_CALL))
        return interleave(contenders, SCHEDULE)


class Restoring:
    """A contender that changes its arguments and gets them back before each call, outside the clock.

    Parameters
    ----------
    name : str
        Name under which its samples are kept.
    function : callable
        What is timed.
    values : tuple
        Its arguments.
    used : mapping
        Arguments like these, for it to change.
    """

    def __init__(
        self, name: str, function: Callable[..., Any], values: tuple[Any, ...], used: Arguments
    ) -> None:
        self._name = name
        self._function = function
        self._values = values
        self._used = tuple(used.values())

    @property
    def name(self) -> str:
        """Name under which its samples are kept."""
        return self._name

    def sample(self, loops: int) -> float:
        """Run the call `loops` times and return the seconds per call."""
        function, used = self._function, self._used
        total = 0.0
        for _ in repeat(None, loops):
            for value, saved in zip(used, self._values, strict=True):
                if isinstance(value, np.ndarray):
                    np.copyto(value, saved)
            start = time.perf_counter()
            function(*used)
            total += time.perf_counter() - start
        return max(total, 1e-9) / loops


def _function(
    name: str, parameters: str, statements: Sequence[str], results: Sequence[str], names: dict[str, Any]
) -> Callable[..., Any]:
    body = "\n".join([*statements, f"return ({', '.join(results)},)"])
    text = f"def {name}({parameters}):\n{textwrap.indent(body, '    ')}\n"
    exec(compile(text, f"<{name}>", "exec"), names)
    function: Callable[..., Any] = names[name]
    return function


def _with_source(text: str) -> Any:
    """Compile a text so that its source can be found again, as `fuse` needs it."""
    import linecache

    filename = f"<setup {len(linecache.cache)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    return compile(text, filename, "exec")


def _is_narrower(two: Any, one: Any, arguments: Arguments) -> bool:
    """Tell whether all arrays are float32, the replacement's result too, and that of the lines is not."""
    narrow = all(value.dtype == np.float32 for value in arguments.values() if _is_floating(value))
    return bool(narrow and two.dtype == np.float32 and one.dtype == np.float64)


def _is_floating(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.char in "fd"


def _copied(arguments: Mapping[str, Any]) -> Arguments:
    return {
        name: value.copy() if isinstance(value, np.ndarray) else value for name, value in arguments.items()
    }


def main() -> None:
    """Answer trials from standard input."""
    request = json.load(sys.stdin)
    answers, sys.stdout = sys.stdout, sys.stderr
    warnings.simplefilter("ignore")
    for task in request["trials"]:
        try:
            answer = Trial(task).run(request["timed"])
        except Exception as error:
            # The user's lines and the libraries may fail in any way; it is an answer.
            answer = {
                "agrees": False,
                "reason": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}",
            }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
