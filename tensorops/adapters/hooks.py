"""Whole functions of a library that one operation here replaces: linear layers, activations, other products.

Each is tried against what it replaces before it takes its place, on the library's own tensors: same values,
same class, same attributes. Where a call brings something else, or a gradient is wanted, the library's own
function runs.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from tensorops.adapters.rewriting import filled
from tensorops.adapters.tensors import array_of, carries_nothing_else, wants_gradient
from tensorops.boundary import elementwise
from tensorops.boundary.layers import linear

Function = Callable[..., Any]
Wrapper = Callable[[Function], Function]

ACTIVATIONS: dict[str, tuple[tuple[str, Function], ...]] = {
    "relu": (("relu", elementwise.relu),),
    "sigmoid": (("sigmoid", elementwise.sigmoid),),
    "tanh": (("tanh", elementwise.tanh),),
    "gelu": (
        ("gelu", elementwise.gelu),
        ("gelu, tanh form", lambda x: elementwise.gelu(x, approximate="tanh")),
        ("gelu, sigmoid form", lambda x: elementwise.gelu(x, approximate="sigmoid")),
    ),
    "silu": (("silu", elementwise.silu),),
    "swish": (("silu", elementwise.silu),),
}
"""What a class or a function of such a name, in small letters, may compute."""

LINEAR_CLASSES = ("Linear", "Dense")
PRODUCT_FUNCTIONS = ("matmul", "__matmul__", "mm")
_RELATIVE = 1e-5


class Unfit(Exception):
    """Why a function is left as it is."""


def copy_of(function: FunctionType) -> FunctionType:
    """Return a function of the same code and defaults that stays when the code is exchanged."""
    copied = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copied.__kwdefaults__ = function.__kwdefaults__
    copied.__qualname__ = function.__qualname__
    return copied


def code_that_calls(function: FunctionType, hook: Function) -> CodeType:
    """Return code with a function's parameters that passes them to a hook.

    Parameters
    ----------
    function : function
        Whose place it takes.
    hook : callable
        Called with the same arguments.

    Returns
    -------
    code
        To be put in the place of the function's own.

    Notes
    -----
    What the function closes over stays, unused: a code object may only take the place of one with as many
    free variables.
    """
    code = function.__code__
    names = list(code.co_varnames)
    positional = [ast.arg(name) for name in names[: code.co_argcount]]
    only = [ast.arg(name) for name in names[code.co_argcount :][: code.co_kwonlyargcount]]
    rest = names[code.co_argcount + code.co_kwonlyargcount :]
    variable = ast.arg(rest.pop(0)) if code.co_flags & 0x04 else None
    keywords = ast.arg(rest.pop(0)) if code.co_flags & 0x08 else None
    arguments = ast.arguments(
        posonlyargs=positional[: code.co_posonlyargcount],
        args=positional[code.co_posonlyargcount :],
        vararg=variable,
        kwonlyargs=only,
        kw_defaults=[None] * len(only),
        kwarg=keywords,
        defaults=[],
    )
    values: list[ast.expr] = [ast.Name(part.arg, ast.Load()) for part in positional]
    if variable:
        values.append(ast.Starred(ast.Name(variable.arg, ast.Load()), ast.Load()))
    named = [ast.keyword(part.arg, ast.Name(part.arg, ast.Load())) for part in only]
    if keywords:
        named.append(ast.keyword(None, ast.Name(keywords.arg, ast.Load())))
    placeholder = "\0tensorops hook"
    statement = ast.parse("def hooked(): pass").body[0]
    assert isinstance(statement, ast.FunctionDef)
    statement.args = arguments
    statement.body = [ast.Return(ast.Call(ast.Constant(placeholder), values, named))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = compile(
            ast.fix_missing_locations(ast.Module([statement], [])),
            code.co_filename,
            "exec",
            dont_inherit=True,
        )
    (inner,) = (constant for constant in module.co_consts if isinstance(constant, CodeType))
    return filled(inner, {placeholder: hook}).replace(
        co_firstlineno=code.co_firstlineno,
        co_name=code.co_name,
        co_qualname=code.co_qualname,
        co_freevars=code.co_freevars,
    )


def linear_hook(original: FunctionType, kind: type, timed: Wrapper) -> Function:
    """Return a linear layer's ``forward`` that computes product and bias in one pass.

    Parameters
    ----------
    original : function
        A copy of the library's own.
    kind : type
        The library's tensors.
    timed : callable
        Wraps the operation, to count its calls.

    Returns
    -------
    callable
        ``forward(self, x)``.
    """
    computed = timed(linear)

    def forward(self: Any, x: Any, *more: Any, **named: Any) -> Any:
        if type(x) is kind and not more and not named and not wants_gradient(x):
            weight = getattr(self, "weights", None)
            weight = getattr(self, "weight", None) if weight is None else weight
            bias = getattr(self, "bias", None)
            arrays = array_of(x), array_of(weight), array_of(bias)
            if _usable(arrays[:2]) and not (wants_gradient(weight) or wants_gradient(bias)):
                x_array, weight_array, bias_array = arrays
                if bias is None or _usable([bias_array]):
                    try:
                        return kind(computed(x_array, weight_array, bias_array))
                    except (TypeError, ValueError):
                        # The library's own error is the one to see.
                        pass
        return original(self, x, *more, **named)

    return forward


def activation_hook(
    original: FunctionType,
    kind: type,
    operation: Function,
    method: bool,
    timed: Wrapper,
) -> Function:
    """Return an activation that is computed here.

    Parameters
    ----------
    original : function
        A copy of the library's own.
    kind : type
        The library's tensors.
    operation : callable
        Of an array.
    method : bool
        Whether the function is a method.
    timed : callable
        Wraps the operation, to count its calls.

    Returns
    -------
    callable
        With the original's arguments.
    """
    computed = timed(operation)

    def activation(*arguments: Any, **named: Any) -> Any:
        if len(arguments) == 1 + method and not named and type(arguments[-1]) is kind:
            x = arguments[-1]
            array = array_of(x)
            if _usable([array]) and not wants_gradient(x):
                return kind(computed(array))
        return original(*arguments, **named)

    return activation


def check_linear(layer: type, hook: Function, original: FunctionType, kind: type) -> None:
    """Try a linear layer's hook.

    Parameters
    ----------
    layer : type
        The layer's class.
    hook, original : callable
        Both ``forward(self, x)``.
    kind : type
        The library's tensors.

    Raises
    ------
    Unfit
        If the layer cannot be made, keeps its weights differently, or gives something else.
    """
    try:
        made = layer(4, 3)
    except Exception as error:  # a constructor of unknown code: it may raise anything
        raise Unfit(f"{layer.__name__}(4, 3) raises {type(error).__name__}: {error}") from error
    weight = array_of(getattr(made, "weights", getattr(made, "weight", None)))
    if weight is None or weight.shape != (4, 3):
        shape = None if weight is None else weight.shape
        raise Unfit(f"its weights have shape {shape}, expected (inputs, outputs)")
    for shape in ((2, 4), (5, 4)):
        _compare(hook, original, (made,), np.random.default_rng(1).integers(-4, 5, shape), kind)


def check_activation(hook: Function, original: FunctionType, owner: type | None, kind: type) -> None:
    """Try an activation's hook.

    Parameters
    ----------
    hook, original : callable
        With the same arguments.
    owner : type or None
        The class that it is a method of.
    kind : type
        The library's tensors.

    Raises
    ------
    Unfit
        If it gives something else.
    """
    try:
        leading = () if owner is None else (owner(),)
    except Exception as error:  # a constructor of unknown code: it may raise anything
        raise Unfit(f"it cannot be made without arguments: {error}") from error
    for shape in ((61,), (3, 7)):
        values = np.linspace(-6, 6, int(np.prod(shape))).reshape(shape)
        _compare(hook, original, leading, values, kind)


def _compare(hook: Function, original: FunctionType, leading: Any, values: Any, kind: type) -> None:
    x = kind(np.asarray(values, np.float32))
    try:
        expected = original(*leading, x)
    except Exception as error:  # unknown code: it may raise anything
        raise Unfit(
            f"on a tensor of shape {values.shape} it raises {type(error).__name__}: {error}"
        ) from error
    found = hook(*leading, x)
    first, second = array_of(expected), array_of(found)
    if first is None or second is None or type(expected) is not type(found):
        raise Unfit(f"it returns a {type(expected).__name__}, expected {kind.__name__}")
    if not carries_nothing_else(expected, first):
        raise Unfit("its results carry more than the array, as for automatic differentiation")
    if first.dtype != second.dtype or first.shape != second.shape:
        raise Unfit(
            f"it returns {first.dtype} of shape {first.shape}, expected {second.dtype} of {second.shape}"
        )
    with np.errstate(all="ignore"):
        if not np.allclose(first, second, rtol=_RELATIVE, atol=_RELATIVE):
            raise Unfit("it computes something else")


def _usable(arrays: Any) -> bool:
    return all(type(array) is np.ndarray and array.dtype.kind == "f" for array in arrays)
