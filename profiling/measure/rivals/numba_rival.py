"""Numba: loops in Python, compiled with fast arithmetic, in parallel above one thread."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...cases import Case
from ..libraries import Array, Rival
from . import numba_loops
from .formulas import expression_of, has_formula


def _where(condition: Any, first: Any, second: Any) -> Any:
    return first if condition else second


class NumbaLibrary(Rival):
    """Numba with ``fastmath=True``; an operation is compiled once for all its cases."""

    name = "numba"

    def __init__(self) -> None:
        self._threads = 1
        self._compiled: dict[Any, Callable[..., Any]] = {}

    def lacks(self, op: str) -> str | None:
        """Return why the library cannot compute an operation, or None."""
        has = op.removesuffix("_") in numba_loops.LOOPS or has_formula(op)
        return None if has else f"no {op} was written for numba"

    def lacks_case(self, case: Case) -> str | None:
        """Return why the library cannot compute a case, or None."""
        axis = dict(case.params).get("axis", -1)
        if axis not in (-1, len(case.shapes[0]) - 1):
            return "loops for numba were written for the last axis"
        return self.lacks(case.op)

    def set_threads(self, threads: int) -> None:
        """Limit the threads of the library in this process."""
        self._threads = threads
        importlib.import_module(self.name).set_num_threads(threads)

    def prepare(
        self, case: Case, operands: Sequence[Array], out: Array | tuple[Array, ...]
    ) -> Callable[[], Any]:
        """Return a call that computes the case: see `Rival`."""
        name = case.op.removesuffix("_")
        params = {key: value for key, value in case.params if key != "axis"}
        loops = numba_loops.LOOPS.get(name)
        if loops is not None:
            function = self._jitted(name, loops)
            numbers = loops.__defaults__ or ()
            names = loops.__code__.co_varnames[: loops.__code__.co_argcount]
            given = [params.get(key, value) for key, value in zip(names[::-1], numbers[::-1], strict=False)]
            results = (out if isinstance(out, tuple) else (out,)) if "out" in names else ()
            arguments: list[Any] = [*operands, *results, *given[::-1]]
        else:
            function = self._elementwise(case)
            arguments = [*operands, out]
            if all(shape == case.shapes[0] for shape in case.shapes):
                arguments = [np.reshape(array, -1) for array in arguments]

        def call() -> None:
            function(*arguments)

        return call

    def _elementwise(self, case: Case) -> Callable[..., Any]:
        expression = expression_of(case)
        text, names, operands = expression.text, expression.numbers, expression.operands
        key = (text, tuple(names.items()), all(shape == case.shapes[0] for shape in case.shapes))
        if key in self._compiled:
            return self._compiled[key]
        numba = importlib.import_module(self.name)
        plain = all(shape == case.shapes[0] for shape in case.shapes)
        source = [f"def kernel({', '.join(f'{name}_' for name in operands)}, out):"]
        if plain:
            source += ["    for i in prange(out.size):"]
            source += [f"        {name} = {name}_[i]" for name in operands]
            source += [f"        out[i] = {text}"]
        else:
            source += ["    for i in prange(out.shape[0]):", "        for j in range(out.shape[1]):"]
            for name, shape in zip(operands, case.shapes, strict=True):
                index = "i, j" if len(shape) == 2 else "j"
                source += [f"            {name} = {name}_[{index}]"]
            source += [f"            out[i, j] = {text}"]
        scope: dict[str, Any] = {
            **{name: getattr(math, name) for name in ("exp", "tanh", "erf", "log1p")},
            **names,
            "abs": abs,
            "prange": numba.prange,
            "where": numba.njit(_where, fastmath=True, inline="always"),
        }
        exec(compile("\n".join(source), "<numba>", "exec"), scope)
        self._compiled[key] = numba.njit(scope["kernel"], fastmath=True, parallel=self._threads > 1)
        return self._compiled[key]

    def _jitted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        if name not in self._compiled:
            numba = importlib.import_module(self.name)
            numba_loops.prange = numba.prange
            self._compiled[name] = numba.njit(function, fastmath=True, parallel=self._threads > 1)
        return self._compiled[name]
