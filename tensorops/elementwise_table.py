"""THE list of elementwise operations: one line each, and one formula in ``kernels/elementwise/formulas.pxi``.

Kernels, public functions, in-place twins, tests, benchmarks, documentation and the dispatcher's entries
follow from it. After a change of the list run ``python -m tensorops.boundary.generate``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensorops.reference import elementwise as ref

Reference = Callable[..., NDArray[np.float64]]
Bound = Callable[..., NDArray[np.float64]]
APPROXIMATE = ("none", "tanh", "sigmoid")


@dataclass(frozen=True, slots=True)
class Elementwise:
    """One elementwise operation.

    Attributes
    ----------
    name : str
        Public name, without the underscore of the in-place form.
    summary : str
        What it computes, for the docstring.
    operands : tuple of str
        Names of the array parameters; all broadcast, the first one alone where it is changed.
    reference : callable
        The definition in float64, ``reference(*operands, **params)``.
    bound : callable
        ``bound(eps, result, *operands, **params)``: the largest error allowed.
    parameters : mapping of str to float or None
        Numbers beside the operands, and their defaults; None where there is none.
    forms : tuple of str
        "" for the function with ``out=``, "_" for the in-place one.
    approximate : bool
        Whether there are formulas NAME_none, NAME_tanh and NAME_sigmoid, chosen by ``approximate=``.
    numpy : bool
        Whether NumPy has the operation, so that overlapping operands have a meaning.
    flops : int
        Floating-point operations an element, as the registry counts them.
    shared : str
        Name of the operation whose formula it is too, if it has none of its own.

    Examples
    --------
    >>> [item.name for item in ELEMENTWISE if item.approximate]
    ['gelu', 'bias_gelu', 'gelu_backward']
    """

    name: str
    summary: str
    operands: tuple[str, ...]
    reference: Reference
    bound: Bound
    parameters: Mapping[str, float | None] = field(default_factory=lambda: MappingProxyType({}))
    forms: tuple[str, ...] = ("", "_")
    approximate: bool = False
    numpy: bool = False
    flops: int = 1
    shared: str = ""

    def formula(self, approximate: str = "none") -> str:
        """Return the name of the formula in ``formulas.pxi``.

        Parameters
        ----------
        approximate : str
            One of `APPROXIMATE`; without meaning where there is one formula only.

        Returns
        -------
        str
            Its name.
        """
        if not self.approximate:
            return self.shared or self.name
        if self.name.endswith("_backward"):
            return f"{self.name.removesuffix('_backward')}_{approximate}_backward"
        return f"{self.name}_{approximate}"

    def signature(self, form: str) -> str:
        """Return the parameters of the public function.

        Parameters
        ----------
        form : str
            One of `forms`.

        Returns
        -------
        str
            In brackets.
        """
        first = [*self.operands, "/"] if form == "_" else [*self.operands, "/", "out=None"]
        # A number that every call needs may be given by position.
        needed = [name for name, value in self.parameters.items() if value is None]
        given = [f"{name}={value}" for name, value in self.parameters.items() if value is not None]
        if self.approximate:
            given.append('approximate="none"')
        if needed:
            first = [*self.operands, "/", *needed] + ([] if form == "_" else ["out=None"])
        return f"({', '.join([*first, *(['*', *given] if given else [])])})"

    @property
    def formulas(self) -> tuple[str, ...]:
        """Names of all its formulas."""
        return tuple(self.formula(kind) for kind in (APPROXIMATE if self.approximate else ("none",)))


def _ulps(count: float) -> Bound:
    def bound(eps: float, result: Any, *operands: Any, **params: Any) -> NDArray[np.float64]:
        # Half the distance of two neighbours is lost where the result is subnormal.
        least = 1.5e-45 if eps > 1e-10 else 5e-324
        return np.asarray(count * (eps * np.abs(result) + least))

    return bound


def _of_terms(count: float, terms: Callable[..., Any]) -> Bound:
    def bound(eps: float, result: Any, *operands: Any, **params: Any) -> NDArray[np.float64]:
        return np.asarray(
            count * eps * np.abs(terms(*operands, **params)) + (1e-44 if eps > 1e-10 else 1e-322)
        )

    return bound


def _gelu_bound(eps: float, result: Any, x: Any, approximate: str = "none") -> NDArray[np.float64]:
    return np.asarray(4 * eps * np.maximum(np.abs(result), 2.0**-10 * np.abs(x)) + 1e-44)


def _bias_gelu_bound(
    eps: float, result: Any, x: Any, b: Any, approximate: str = "none"
) -> NDArray[np.float64]:
    total = np.abs(np.add(x, b, dtype=np.float64))
    return np.asarray(_gelu_bound(eps, result, total) + 2 * eps * total)


def _pair(summary: str, name: str, reference: Reference, **more: Any) -> Elementwise:
    return Elementwise(name, summary, ("x", "y"), reference, _ulps(1), forms=("_",), numpy=True, **more)


def _sum(x: Any, y: Any, *rest: Any, **params: Any) -> Any:
    return np.abs(x) + np.abs(y)


_X = ("x",)
ELEMENTWISE: tuple[Elementwise, ...] = (
    Elementwise("relu", "max(x, 0)", _X, ref.relu, _ulps(0)),
    Elementwise("leaky_relu", "x where x > 0, else slope * x", _X, ref.leaky_relu, _ulps(1), {"slope": 0.01}),
    Elementwise(
        "elu", "x where x > 0, else alpha * (exp(x) - 1)", _X, ref.elu, _ulps(4), {"alpha": 1.0}, flops=20
    ),
    Elementwise("sigmoid", "1 / (1 + exp(-x))", _X, ref.sigmoid, _ulps(4), flops=20),
    Elementwise("tanh", "the hyperbolic tangent of x", _X, ref.tanh, _ulps(4), numpy=True, flops=20),
    Elementwise(
        "gelu",
        "x times the normal distribution function of x",
        _X,
        ref.gelu,
        _gelu_bound,
        approximate=True,
        flops=30,
    ),
    Elementwise("silu", "x / (1 + exp(-x))", _X, ref.silu, _ulps(4), flops=20),
    Elementwise("softplus", "log(1 + exp(x))", _X, ref.softplus, _ulps(4), flops=30),
    Elementwise("exp", "the exponential of x", _X, ref.exp, _ulps(4), numpy=True, flops=15),
    Elementwise(
        "clip",
        "x, but not below low nor above high",
        _X,
        ref.clip,
        _ulps(1),
        {"low": None, "high": None},
        numpy=True,
        flops=2,
    ),
    _pair("x + y", "add", ref.add),
    _pair("x - y", "sub", ref.sub),
    _pair("x * y", "mul", ref.mul),
    _pair("x / y", "div", ref.div),
    _pair("the larger of x and y", "maximum", ref.maximum),
    _pair("the smaller of x and y", "minimum", ref.minimum),
    Elementwise(
        "axpy",
        "y + alpha * x",
        ("y", "x"),
        ref.axpy,
        _of_terms(2, lambda y, x, alpha: np.abs(y) + np.abs(alpha * x)),
        {"alpha": None},
        ("_",),
        flops=2,
    ),
    Elementwise(
        "scale_shift",
        "x * scale + shift",
        ("x", "scale", "shift"),
        ref.scale_shift,
        _of_terms(2, lambda x, scale, shift: np.abs(x * scale) + np.abs(shift)),
        forms=("_",),
        flops=2,
    ),
    Elementwise("bias_add", "x + b", ("x", "b"), ref.add, _ulps(1), forms=("_",), shared="add", numpy=True),
    Elementwise(
        "bias_relu",
        "max(x + b, 0)",
        ("x", "b"),
        ref.add_relu,
        _ulps(1),
        forms=("_",),
        shared="add_relu",
        flops=2,
    ),
    Elementwise(
        "bias_gelu",
        "gelu(x + b)",
        ("x", "b"),
        ref.bias_gelu,
        _bias_gelu_bound,
        forms=("_",),
        approximate=True,
        flops=31,
    ),
    Elementwise("add_relu", "max(x + y, 0)", ("x", "y"), ref.add_relu, _ulps(1), forms=("_",), flops=2),
    Elementwise(
        "relu_backward",
        "grad where the result y of relu is positive, else 0",
        ("grad", "y"),
        ref.relu_backward,
        _ulps(0),
        forms=("_",),
    ),
    Elementwise(
        "gelu_backward",
        "grad times the derivative of gelu at x",
        ("grad", "x"),
        ref.gelu_backward,
        _of_terms(16, lambda grad, x, approximate="none": grad),
        forms=("_",),
        approximate=True,
        flops=40,
    ),
    Elementwise(
        "sigmoid_backward",
        "grad * y * (1 - y), y the result of sigmoid",
        ("grad", "y"),
        ref.sigmoid_backward,
        _of_terms(3, lambda grad, y: grad * y * _sum(1, y)),
        forms=("_",),
        flops=3,
    ),
    Elementwise(
        "tanh_backward",
        "grad * (1 - y * y), y the result of tanh",
        ("grad", "y"),
        ref.tanh_backward,
        _of_terms(3, lambda grad, y: grad * (1 + y * y)),
        forms=("_",),
        flops=3,
    ),
    Elementwise(
        "silu_backward",
        "grad times the derivative of silu at x",
        ("grad", "x"),
        ref.silu_backward,
        _of_terms(16, lambda grad, x: grad),
        forms=("_",),
        flops=30,
    ),
)

FORMULAS: tuple[str, ...] = tuple(dict.fromkeys(name for item in ELEMENTWISE for name in item.formulas))
"""Names of the formulas, in the order of the kernels' tables."""
