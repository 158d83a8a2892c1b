"""Elementwise operations as one expression each, for the libraries that compile expressions.

Names are those of the operands and parameters in ``tensorops.elementwise_table``. Numbers take the dtype of
the operands; exponents do not occur.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from tensorops.elementwise_table import ELEMENTWISE

from ...cases import Case

_ITEMS = {item.name: item for item in ELEMENTWISE}

_SIGMOID = "1 / (1 + exp(-({0})))"
_TANH_INNER = "0.7978845608028654 * (x + 0.044715 * x * x * x)"
_GELU = {
    "none": "0.5 * x * (1 + erf(0.7071067811865476 * x))",
    "tanh": f"0.5 * x * (1 + tanh({_TANH_INNER}))",
    "sigmoid": "x / (1 + exp(-1.702 * x))",
}
_S_TANH = _SIGMOID.format(f"2 * {_TANH_INNER}")
_S = _SIGMOID.format("1.702 * x")
_GELU_SLOPE = {
    "none": "0.5 * (1 + erf(0.7071067811865476 * x)) + x * 0.3989422804014327 * exp(-0.5 * x * x)",
    "tanh": f"({_S_TANH}) * (1 + x * (1 - {_S_TANH}) * 1.5957691216057308 * (1 + 0.134145 * x * x))",
    "sigmoid": f"({_S}) * (1 + 1.702 * x * (1 - {_S}))",
}
_GRADIENT = _SIGMOID.format("x")

FORMULAS: Mapping[str, str] = MappingProxyType(
    {
        "relu": "where(x > 0, x, 0)",
        "leaky_relu": "where(x > 0, x, slope * x)",
        "elu": "where(x > 0, x, alpha * (exp(x) - 1))",
        "sigmoid": _GRADIENT,
        "tanh": "tanh(x)",
        **{f"gelu_{kind}": text for kind, text in _GELU.items()},
        "silu": "x / (1 + exp(-x))",
        "softplus": "where(x > 0, x, 0) + log1p(exp(-abs(x)))",
        "exp": "exp(x)",
        "clip": "where(x < low, low, where(x > high, high, x))",
        "add": "x + y",
        "sub": "x - y",
        "mul": "x * y",
        "div": "x / y",
        "maximum": "where(x > y, x, y)",
        "minimum": "where(x < y, x, y)",
        "axpy": "y + alpha * x",
        "scale_shift": "x * scale + shift",
        "bias_add": "x + b",
        "bias_relu": "where(x + b > 0, x + b, 0)",
        **{f"bias_gelu_{kind}": re.sub(r"\bx\b", "(x + b)", text) for kind, text in _GELU.items()},
        "add_relu": "where(x + y > 0, x + y, 0)",
        "relu_backward": "where(y > 0, grad, 0)",
        **{f"gelu_backward_{kind}": f"grad * ({text})" for kind, text in _GELU_SLOPE.items()},
        "sigmoid_backward": "grad * y * (1 - y)",
        "tanh_backward": "grad * (1 - y * y)",
        "silu_backward": f"grad * ({_GRADIENT}) * (1 + x * (1 - {_GRADIENT}))",
    }
)
"""By operation without the underscore of one that works in place, with ``_none``, ``_tanh`` or ``_sigmoid``
where it has approximations."""


def formula_of(case: Case) -> str | None:
    """Return the expression of a case, or None if there is none.

    Parameters
    ----------
    case : Case
        Any case.

    Returns
    -------
    str or None
        Over the operands' and parameters' names.

    Examples
    --------
    >>> formula_of(Case("silu_", "float32", ((5,),), "C"))
    'x / (1 + exp(-x))'
    """
    kind = dict(case.params).get("approximate")
    name = case.op.removesuffix("_")
    return FORMULAS.get(name if kind is None else f"{name}_{kind}")


def has_formula(op: str) -> bool:
    """Return whether there is an expression for an operation.

    Parameters
    ----------
    op : str
        Name in the operation registry.

    Returns
    -------
    bool
        In at least one of its approximations.

    Examples
    --------
    >>> has_formula("gelu_"), has_formula("softmax")
    (True, False)
    """
    name = op.removesuffix("_")
    return name in FORMULAS or f"{name}_none" in FORMULAS


@dataclass(frozen=True, slots=True)
class Expression:
    """An elementwise case for a library that compiles text.

    Attributes
    ----------
    text : str
        The expression, with a name for each number: a plain one would be a double.
    operands : tuple of str
        Names of the case's operands in it.
    numbers : dict of str to scalar
        Numbers and parameters, in the dtype of the operands.
    """

    text: str
    operands: tuple[str, ...]
    numbers: dict[str, Any]


def expression_of(case: Case) -> Expression:
    """Return the expression of a case.

    Parameters
    ----------
    case : Case
        One that has a formula.

    Returns
    -------
    Expression
        Its text and what the names stand for.

    Examples
    --------
    >>> expression_of(Case("silu", "float32", ((5,),), "C"))
    Expression(text='x / (number_0 + exp(-x))', operands=('x',), numbers={'number_0': np.float32(1.0)})
    """
    item = _ITEMS[case.op.removesuffix("_")]
    kind = np.dtype(case.dtype).type
    params = {**item.parameters, **dict(case.params)}
    names = {name: kind(value) for name, value in params.items() if isinstance(value, int | float)}
    numbers: dict[str, str] = {}

    def named(literal: re.Match[str]) -> str:
        name = numbers.setdefault(literal[0], f"number_{len(numbers)}")
        names[name] = kind(float(literal[0]))
        return name

    formula = formula_of(case)
    assert formula is not None
    # A digit in a name, as in log1p, is no number.
    text = re.sub(r"(?<![\w.])\d+(?:\.\d+)?", named, formula)
    return Expression(text, item.operands, names)
