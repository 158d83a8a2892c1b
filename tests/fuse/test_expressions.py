"""Random expressions: the graph is what NumPy computes, and the kernel's text holds nothing of the source.

What is compiled stays near NumPy. Compiling costs time: many kernels stand in one module for each dtype.
"""

from __future__ import annotations

import itertools
import linecache
import random
import re
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorops.fuse.building import load, text_of
from tensorops.fuse.calling import Kernel
from tensorops.fuse.errors import FuseError
from tensorops.fuse.generate import kernel_body, module_text
from tensorops.fuse.parse import parse_function
from tensorops.fuse.planning import Plan, make_plan
from tensorops.fuse.types import Types
from tensorops.fuse.whitelist import BY_NAME, callables
from tests.fuse.expressions import Array, Writer, interpret

NUMBER = -1.75
COMPILED = 40
NAMES = ("element", "kernel", "capsule")
_numbers = itertools.count()


def function_of(text: str) -> Any:
    """Return the function that a text defines; its source is where tracebacks look for it."""
    name = f"<expression {next(_numbers)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    found: dict[str, Any] = {"np": np, "SCALE": 1.5}
    exec(compile(text, name, "exec"), found)
    return found["f"]


def operands(dtype: str) -> tuple[Array, Array]:
    """Return two arrays of usual and special numbers."""
    rng = np.random.default_rng(3)
    x, y = (rng.standard_normal((2, 301)) * 3).astype(dtype)
    special = np.array([0.0, -0.0, 1, -1, 2, np.inf, -np.inf, np.nan, 1e30, 1e-30], dtype)
    x[:10], y[:10] = special, special[::-1]
    x[10:20], y[10:20] = special, 2.0
    return x, y


def planned(function: Any, arguments: tuple[Any, ...]) -> tuple[Plan, Types, dict[int, Any]]:
    """Return a function's plan for some arguments, its dtypes, and the values that are known beforehand."""
    plan = make_plan(parse_function(function), [isinstance(value, np.ndarray) for value in arguments])
    values = plan.evaluate(arguments)
    types = plan.types(arguments, values)
    return plan, types, {**dict(enumerate(arguments)), **values}


def words(text: str) -> set[str]:
    """Return the names in a text of Cython, without numbers."""
    return set(re.findall(r"(?<![\w.])[^\W\d]\w*", text))


@cache
def known_words() -> set[str]:
    """Return what the text of a kernel may name: the whitelist's formulas, and what stands in every one."""
    plain = planned(
        function_of("def f(x, y, c):\n    return x * c + 0.5 * y ** -2 * (x > y)"), (*operands("f4"), 1.0)
    )
    fixed = kernel_body(
        plain[0].graph, plain[1], plain[0].arrays, plain[0].numbers, plain[0].order, plain[0].root
    )
    rows = [*BY_NAME.values(), *callables().values()]
    formulas = " ".join(row.formula + " " + row.on_masks for row in rows).format(*"   ")
    return words(fixed) | words(formulas) | {"square_root", "INFINITY", "NAN", "words_t"}


@given(st.randoms(use_true_random=False), st.sampled_from(["f4", "f8"]))
def test_the_graph_is_what_numpy_computes(chooser: Any, dtype: str) -> None:
    text = Writer(chooser).function(4)
    function, arguments = function_of(text), (*operands(dtype), NUMBER)
    with np.errstate(all="ignore"):
        try:
            expected = function(*arguments)
        except ArithmeticError:
            with pytest.raises((FuseError, ArithmeticError)):
                planned(function, arguments)
            return
        plan, types, values = planned(function, arguments)
        result = interpret(plan, values)
    assert types.element == expected.dtype
    assert np.array_equal(result, expected, equal_nan=True)
    body = text_of(plan, types)
    body = body[body.index("cdef inline vector_t element(") :]
    assert body.isascii()
    assert all(re.fullmatch(r"[xsatm]\d+", word) for word in words(body) - known_words())


class Compiled:
    """Random functions, and a kernel for each.

    Parameters
    ----------
    dtype : str
        Of the arrays.
    exact : bool
        Whether they hold only what rounds correctly.
    """

    def __init__(self, dtype: str, exact: bool) -> None:
        self.arguments = (*operands(dtype), NUMBER)
        self.texts: list[str] = []
        self.found: list[tuple[Plan, Types, dict[int, Any]]] = []
        chooser = random.Random(f"{dtype} {exact}")
        while len(self.found) < COMPILED // 2:
            text = Writer(chooser, exact=exact).function(3)
            try:
                found = planned(function_of(text), self.arguments)
            except (FuseError, ArithmeticError):
                continue
            if found[1].real == dtype:
                self.texts.append(text)
                self.found.append(found)


@cache
def compiled(dtype: str) -> tuple[Compiled, Compiled, Any]:
    """Return functions of both kinds, and the module of all their kernels."""
    kinds = Compiled(dtype, True), Compiled(dtype, False)
    bodies = []
    for number, (plan, types, _) in enumerate(kinds[0].found + kinds[1].found):
        body = kernel_body(plan.graph, types, plan.arrays, plan.numbers, plan.order, plan.root)
        for name in NAMES:
            body = re.sub(rf"\b{name}\b(?!\")", f"{name}_{number}", body)
        bodies.append(body)
    return (*kinds, load(module_text("\n\n".join(bodies)), np.dtype(dtype).name))


def results(dtype: str, exact: bool) -> Any:
    """Yield text, plan, values and the kernel's result of each function of a kind."""
    *kinds, module = compiled(dtype)
    chosen = kinds[not exact]
    for number, (text, (plan, types, values)) in enumerate(zip(chosen.texts, chosen.found, strict=True)):
        capsule = getattr(module, f"capsule_{number + (0 if exact else COMPILED // 2)}")
        out = np.empty_like(chosen.arguments[0], types.element)
        kernel = Kernel(SimpleNamespace(capsule=capsule), types.real, len(plan.arrays), 1 << 15)
        kernel.run([values[k] for k in plan.arrays], [values[k] for k in plan.numbers], out)
        yield text, plan, values, out


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_rounds_correctly_is_equal(dtype: str) -> None:
    for text, plan, values, result in results(dtype, True):
        assert np.array_equal(result, interpret(plan, values), equal_nan=True), text


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_does_not_is_close(dtype: str) -> None:
    """Each value may be off by what errors of 4 ulp in every node make of it, or near NumPy's own."""
    eps = np.finfo(dtype).eps
    for text, plan, values, result in results(dtype, False):
        exact = interpret(plan, values, np.longdouble)
        off = [interpret(plan, values, np.longdouble, 4 * eps, seed) - exact for seed in range(8)]
        bound = 4 * np.max(np.abs(off), axis=0) + 4 * eps * np.abs(exact) + np.finfo(dtype).tiny
        usual = interpret(plan, values)
        near = (np.abs(result - exact) <= bound) | (np.abs(result - usual) <= np.nan_to_num(bound))
        assert np.all(near | (result == usual) | (np.isnan(result) & np.isnan(usual))), text
