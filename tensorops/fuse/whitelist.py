"""THE list of what may be fused: each callable of NumPy's, Python's or ours, and the formula for it.

A function of the user's source is known by the object that its name leads to, never by the name. What
reaches the compiler are the formulas below with generated names in them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tensorops.boundary import elementwise


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of an expression.

    Attributes
    ----------
    name : str
        NumPy's name for it, or ours.
    function : callable
        What computes it on numbers, and on arrays where nothing is fused.
    formula : str
        Expression over vectors, with ``{0}`` for the first operand.
    operands : str
        A letter for each operand: ``"v"`` a vector of reals, ``"m"`` a mask.
    result : str
        ``"v"`` or ``"m"``.
    rule : str
        How the result's dtype follows: ``"ufunc"`` NumPy's own rule for the function of that name,
        ``"branches"`` from the second operand on, ``"activation"`` float32 for float32, else float64.
    on_masks : str
        The formula where all operands and the result are bool; empty if there is none.
    cost : int
        Vector instructions, roughly.
    rounded : bool
        Whether it is a product, which must not become part of a fused multiplication and addition.
    """

    name: str
    function: Callable[..., Any]
    formula: str
    operands: str = "v"
    result: str = "v"
    rule: str = "ufunc"
    on_masks: str = ""
    cost: int = 1
    rounded: bool = False

    @property
    def ufunc(self) -> np.ufunc:
        """NumPy's function of this name."""
        found = getattr(np, self.name)
        assert isinstance(found, np.ufunc)
        return found


def _binary(name: str, formula: str, function: Any = None, **more: Any) -> Operation:
    return Operation(name, function or getattr(np, name), formula, "vv", **more)


def _unary(name: str, formula: str, cost: int = 1, **more: Any) -> Operation:
    return Operation(name, getattr(np, name), formula, cost=cost, **more)


def _compare(name: str, function: Any, formula: str, on_masks: str) -> Operation:
    return Operation(name, function, formula, "vv", "m", on_masks=on_masks)


ARITHMETIC = (
    _binary("add", "{0} + {1}", operator.add, on_masks="{0} | {1}"),
    _binary("subtract", "{0} - {1}", operator.sub),
    _binary("multiply", "ROUNDED({0} * {1})", operator.mul, on_masks="{0} & {1}"),
    _binary("divide", "QUOTIENT({0}, {1})", operator.truediv, cost=4),
    _binary("power", "power({0}, {1})", operator.pow, cost=80),
    _binary("floor_divide", "floor_divide({0}, {1})", operator.floordiv, cost=200),
    _binary("remainder", "remainder({0}, {1})", operator.mod, cost=200),
    Operation("negative", operator.neg, "-{0}"),
    Operation("positive", operator.pos, "{0}"),
    Operation("absolute", abs, "magnitude({0})", on_masks="{0}"),
)
COMPARISONS = (
    _compare("less", operator.lt, "LESS({0}, {1})", "~{0} & {1}"),
    _compare("less_equal", operator.le, "NOT_ABOVE({0}, {1})", "~{0} | {1}"),
    _compare("greater", operator.gt, "LESS({1}, {0})", "{0} & ~{1}"),
    _compare("greater_equal", operator.ge, "NOT_ABOVE({1}, {0})", "{0} | ~{1}"),
    _compare("equal", operator.eq, "EQUAL({0}, {1})", "~({0} ^ {1})"),
    _compare("not_equal", operator.ne, "~EQUAL({0}, {1})", "{0} ^ {1}"),
)
LOGIC = (
    Operation("bitwise_and", operator.and_, "{0} & {1}", "mm", "m"),
    Operation("bitwise_or", operator.or_, "{0} | {1}", "mm", "m"),
    Operation("bitwise_xor", operator.xor, "{0} ^ {1}", "mm", "m"),
    Operation("invert", np.invert, "~{0}", "m", "m"),
    Operation("logical_and", np.logical_and, "{0} & {1}", "mm", "m"),
    Operation("logical_or", np.logical_or, "{0} | {1}", "mm", "m"),
    Operation("logical_xor", np.logical_xor, "{0} ^ {1}", "mm", "m"),
    Operation("logical_not", np.logical_not, "~{0}", "m", "m"),
    _unary("isnan", "UNORDERED({0})", result="m"),
    _unary("isinf", "EQUAL(magnitude({0}), SPLAT(INFINITY))", result="m"),
    _unary("isfinite", "LESS(magnitude({0}), SPLAT(INFINITY))", result="m"),
    _unary("signbit", "NEGATIVE({0})", result="m"),
)
CHOICES = (
    Operation(
        "where",
        np.where,
        "BLEND({0}, {1}, {2})",
        "mvv",
        rule="branches",
        on_masks="({0} & {1}) | (~{0} & {2})",
    ),
    _binary("maximum", "larger({0}, {1})", on_masks="{0} | {1}", cost=3),
    _binary("minimum", "smaller({0}, {1})", on_masks="{0} & {1}", cost=3),
    _binary("fmax", "larger_number({0}, {1})", cost=4),
    _binary("fmin", "smaller_number({0}, {1})", cost=4),
    _binary("copysign", "with_sign_of(magnitude({0}), {1})", cost=3),
    _binary("heaviside", "heaviside({0}, {1})", cost=5),
)
FUNCTIONS = (
    _unary("fabs", "magnitude({0})"),
    _unary("sign", "sign_of({0})", 5),
    _unary("square", "ROUNDED({0} * {0})"),
    _unary("reciprocal", "QUOTIENT(SPLAT(1), {0})", 4),
    _unary("sqrt", "square_root({0})", 6),
    _unary("floor", "round_down({0})", 6),
    _unary("ceil", "round_up({0})", 6),
    _unary("trunc", "round_to_zero({0})", 6),
    _unary("rint", "round_to_even({0})", 6),
    _unary("exp", "exponential({0})", 25),
    _unary("exp2", "exponential_of_two({0})", 25),
    _unary("expm1", "exponential_less_one({0})", 25),
    _unary("log", "logarithm({0})", 25),
    _unary("log2", "logarithm_of_two({0})", 25),
    _unary("log10", "logarithm_of_ten({0})", 25),
    _unary("log1p", "logarithm_of_one_more({0})", 30),
    _unary("sin", "sine({0})", 35),
    _unary("cos", "cosine({0})", 35),
    _unary("tan", "tangent({0})", 45),
    _unary("arcsin", "arc_sine({0})", 25),
    _unary("arccos", "arc_cosine({0})", 30),
    _unary("arctan", "arc_tangent({0})", 30),
    _unary("sinh", "hyperbolic_sine({0})", 40),
    _unary("cosh", "hyperbolic_cosine({0})", 40),
    _unary("tanh", "hyperbolic_tangent({0})", 25),
    _unary("arcsinh", "area_sine({0})", 200),
    _unary("arccosh", "area_cosine({0})", 200),
    _unary("arctanh", "area_tangent({0})", 200),
    _unary("cbrt", "cube_root({0})", 200),
    _unary("degrees", "{0} * SPLAT(57.29577951308232)"),
    _unary("radians", "{0} * SPLAT(0.017453292519943295)"),
    _unary("rad2deg", "{0} * SPLAT(57.29577951308232)"),
    _unary("deg2rad", "{0} * SPLAT(0.017453292519943295)"),
    _binary("arctan2", "arc_tangent_of_two({0}, {1})", cost=200),
    _binary("hypot", "hypotenuse({0}, {1})", cost=200),
    _binary("fmod", "truncated_remainder({0}, {1})", cost=200),
    _binary("logaddexp", "logarithm_of_sum({0}, {1})", cost=60),
)


def _activation(name: str, formula: str, cost: int) -> Operation:
    return Operation(name, getattr(elementwise, name), formula, rule="activation", cost=cost)


@cache
def callables() -> dict[int, Operation]:
    """Return every callable that may stand in an expression, by its identity.

    Returns
    -------
    dict of int to Operation
        The key is ``id`` of the callable, which lives as long as its module.

    Examples
    --------
    >>> callables()[id(np.exp)].formula
    'exponential({0})'
    """
    rows = {}
    for row in (*ARITHMETIC, *COMPARISONS, *LOGIC, *CHOICES, *FUNCTIONS):
        rows[id(getattr(np, row.name))] = row
    rows[id(abs)] = rows[id(np.absolute)]
    for name, formula, cost in (
        ("relu", "BLEND(NOT_ABOVE({0}, ZERO), ZERO, {0})", 2),
        ("sigmoid", "logistic({0})", 30),
        ("tanh", "hyperbolic_tangent({0})", 25),
        ("silu", "x_logistic({0})", 35),
        ("softplus", "soft_plus({0})", 50),
        ("exp", "exponential({0})", 25),
        ("gelu", "gelu_exact({0})", 50),
    ):
        row = _activation(name, formula, cost)
        rows[id(row.function)] = row
    return rows


BY_NAME = {row.name: row for row in (*ARITHMETIC, *COMPARISONS, *LOGIC, *CHOICES, *FUNCTIONS)}
REDUCTIONS = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min}
