"""Random functions as users might write them, and what their graphs compute node by node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from tensorops.fuse.planning import Plan

Array = np.ndarray[Any, Any]
LEAVES = ("x", "y", "x", "y", "c")
NUMBERS = ("2", "0.5", "-1.25", "3", "1e-3", "7.0", "np.float32(0.75)", "SCALE", "np.pi")
OPERATORS = ("+", "-", "*", "/", "+", "-", "*", "%", "//")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
EXACT = ("abs", "np.floor", "np.sign", "np.square", "np.rint", "np.trunc", "+", "-")
CLOSE = ("np.exp", "np.log", "np.tanh", "np.sqrt", "np.sin", "np.cos", "np.log1p", "np.arctan", "np.cbrt")
PAIRS = ("np.maximum", "np.minimum", "np.fmax", "np.fmin", "np.copysign")
POWERS = ("2", "3", "-1", "0.5", "5")


class Chooser(Protocol):
    """What draws: ``random.Random``, or hypothesis in its place."""

    def choice(self, values: Any, /) -> Any:
        """Return one of the values."""

    def randrange(self, stop: int, /) -> int:
        """Return a whole number below `stop`."""


class Writer:
    """Writes the source of a function of two arrays and a number.

    Parameters
    ----------
    random : Chooser
        What draws.
    exact : bool
        Whether only what rounds correctly may occur: results are then NumPy's to the last bit.
    """

    def __init__(self, random: Chooser, *, exact: bool = False) -> None:
        self.random = random
        self.exact = exact
        self.locals: list[str] = []

    def real(self, depth: int) -> str:
        """Return the text of a number for each element."""
        if depth == 0:
            kind = self.random.randrange(3)
            return str(self.random.choice([LEAVES, NUMBERS, tuple(self.locals) or LEAVES][kind]))
        kind = self.random.randrange(8)
        first = self.real(depth - 1)
        if kind < 3:
            return f"({first} {self.random.choice(OPERATORS)} {self.real(self.random.randrange(depth))})"
        if kind == 3:
            functions = EXACT if self.exact else EXACT + CLOSE + CLOSE
            return f"{self.random.choice(functions)}({first})"
        if kind == 4:
            return f"{self.random.choice(PAIRS)}({first}, {self.real(self.random.randrange(depth))})"
        if kind == 5:
            return f"np.where({self.mask(depth - 1)}, {first}, {self.real(self.random.randrange(depth))})"
        if kind == 6 and not self.exact:
            return f"abs({first}) ** {self.random.choice(POWERS)}"
        return f"np.clip({first}, -2.0, {self.real(0)})"

    def mask(self, depth: int) -> str:
        """Return the text of a condition."""
        if depth == 0 or self.random.randrange(3) == 0:
            compared = self.random.choice(COMPARISONS)
            return f"({self.real(max(depth - 1, 0))} {compared} {self.real(0)})"
        if self.random.randrange(3) == 0:
            return f"~(x > {self.mask(depth - 1)})"
        return f"({self.mask(depth - 1)} {self.random.choice('&|^')} (y < {self.real(depth - 1)}))"

    def function(self, depth: int) -> str:
        """Return the text of a whole function ``f(x, y, c)``."""
        lines = ["def f(x, y, c):"]
        for number in range(self.random.randrange(3)):
            lines.append(f"    t{number} = {self.real(depth - 1)}")
            self.locals.append(f"t{number}")
        lines.append(f"    return 0.5 * x + {self.real(depth)}")
        return "\n".join(lines)


def interpret(
    plan: Plan, arguments: Mapping[int, Any], kind: Any = None, spread: float = 0.0, seed: int = 0
) -> Any:
    """Return what NumPy's functions make of a plan, node by node.

    Parameters
    ----------
    plan : Plan
        What is computed.
    arguments : mapping of int to array or number
        By node: arguments, and the numbers that Python computed.
    kind : dtype, optional
        What everything is computed in.
    spread : float
        Relative size of random errors that each node's value gets.
    seed : int
        Of the errors.
    """

    def converted(value: Any) -> Any:
        return value if kind is None or np.asarray(value).dtype.kind == "b" else np.asarray(value, kind)

    rng = np.random.default_rng(seed)
    values = {number: converted(value) for number, value in arguments.items()}
    for number in plan.order:
        node = plan.graph.nodes[number]
        if node.operation is None:
            values[number] = converted(node.value)
            continue
        value = node.operation.function(*[values[operand] for operand in node.operands])
        if spread and np.asarray(value).dtype.kind == "f":
            value = value * (1 + spread * rng.uniform(-1, 1, np.shape(value)))
        values[number] = value
    return values[plan.root]
