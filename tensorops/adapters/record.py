"""The calls of what was replaced: how many, on what, how long, and how long it took before."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorops.adapters.rewriting import Product
from tensorops.adapters.written_loops import loops_as_written, operands_of

Key = tuple[str, tuple[tuple[int, ...], ...], tuple[str, ...]]
_ROW = "{:<44} {:<24} {:<16} {:>7} {:>10} {:>10} {:>7}"
_LARGEST = 200_000
"""Multiply-adds of loops that are run as a whole to be timed; of more, some rows are."""


@dataclass(slots=True)
class Calls:
    """What one place was called with."""

    count: int = 0
    seconds: float = 0.0
    fastest: float = float("inf")


class Recorder:
    """Counts calls; not exact where several threads call at once."""

    def __init__(self) -> None:
        self.calls: dict[Key, Calls] = {}
        self._before: dict[str, Callable[..., Any]] = {}
        self._loops: dict[str, bool] = {}

    def product(self, place: str, product: Product, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call of a replaced product, counted."""
        name = f"{place}:{product.line}"
        if product.nest is not None:
            assert product.loop is not None
            self._before[name] = loops_as_written(product.loop, product.nest)
            self._loops[name] = True
            turned = product.nest.left_transposed, product.nest.right_transposed
            first = 0 if product.kind == "fresh" else 1

            def counted(*arguments: Any, **named: Any) -> Any:
                start = time.perf_counter()
                done = call(*arguments, **named)
                seconds = time.perf_counter() - start
                if done is not None and done is not False:
                    pair = arguments[first : first + 2]
                    arrays = [x.T if transposed else x for x, transposed in zip(pair, turned, strict=True)]
                    self._note(name, arrays, seconds)
                return done

            return counted
        self._before[name] = np.matmul
        return self._counted(name, call)

    def operation(self, place: str, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the call of a replaced layer or activation, counted."""
        return self._counted(f"{place} ({what})", call)

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def counted(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            result = call(*arguments, **named)
            self._note(name, arguments, time.perf_counter() - start)
            return result

        return counted

    def _note(self, name: str, operands: Any, seconds: float) -> None:
        arrays = [operand for operand in operands if isinstance(operand, np.ndarray)]
        if not arrays:
            return
        key = name, tuple(array.shape for array in arrays), tuple(str(array.dtype) for array in arrays)
        entry = self.calls.setdefault(key, Calls())
        entry.count += 1
        entry.seconds += seconds
        entry.fastest = min(entry.fastest, seconds)

    def before(self, key: Key) -> tuple[float, bool] | None:
        """Measure what a call took before.

        Parameters
        ----------
        key : tuple
            Place, shapes and dtypes of a recorded call.

        Returns
        -------
        tuple of float and bool, or None
            Seconds, and whether they are scaled up from a part of the rows; None for layers and
            activations, whose earlier time depends on the library's own objects.
        """
        name, shapes, dtypes = key
        written = self._before.get(name)
        if written is None or len(shapes) != 2:
            return None
        if not self._loops.get(name):
            operands = operands_of(shapes, dtypes)
            return _seconds(lambda: written(*operands), repeats=20), False
        (m, k), n = shapes[0], shapes[1][1]
        rows = max(1, min(m, _LARGEST // max(1, k * n)))
        left, right = operands_of(((rows, k), shapes[1]), dtypes)
        result = np.zeros((rows, n), np.result_type(left, right))
        seconds = _seconds(lambda: written(result, left, right, rows, n, k), repeats=1)
        return seconds * m / rows, rows < m

    def table(self) -> list[str]:
        """Return the recorded calls as lines of text, the most expensive ones first."""
        lines = [_ROW.format("place", "shapes", "dtype", "calls", "before", "now", "gain")]
        for key, entry in sorted(self.calls.items(), key=lambda item: -item[1].seconds):
            name, shapes, dtypes = key
            now = entry.fastest
            earlier = self.before(key)
            was = gain = "-"
            if earlier is not None:
                was = ("~" if earlier[1] else "") + _duration(earlier[0])
                gain = f"{earlier[0] / now:.1f}x"
            shape = " @ ".join("x".join(map(str, shape)) or "()" for shape in shapes)
            dtype = " ".join(dict.fromkeys(dtypes))
            lines.append(_ROW.format(name[-44:], shape, dtype, entry.count, was, _duration(now), gain))
        if len(lines) == 1:
            lines.append("no call yet")
        elif any("~" in line for line in lines):
            lines.append("~ timed on some of the rows and scaled up")
        return lines


def _seconds(run: Callable[[], object], repeats: int = 3) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
