"""The rivals compute what they are measured on; verification says so."""

import functools
import importlib.util
import math

import numpy as np
import pytest

from profiling.cases import GROUPS, SPECS, Case, example_case
from profiling.cases.steps import STEPS
from profiling.measure.contenders import LIBRARIES
from profiling.measure.rivals import RIVALS, formulas, numba_loops
from profiling.measure.verify import Check


def small(case):
    """Return a case of the table on few elements."""
    if case.op in STEPS:
        return case
    spec, params = SPECS[case.op], dict(case.params)
    if case.op.endswith("_backward") and spec.cost_class in ("convolution", "attention"):
        return example_case(case.op, case.dtype, spec.example_shapes[0])
    if spec.cost_class in ("convolution", "attention") or case.op == "matmul":
        return example_case(case.op, case.dtype, spec.example_shapes[0], **params)
    sizes = [min(size, 5 + place) for place, size in enumerate(spec.sizes(case.shapes, params))]
    return example_case(case.op, case.dtype, spec.shapes_of(sizes, params), **params)


def usual(case):
    """Return whether a small case stands for this one: neither strided nor of an odd number of axes."""
    large = SPECS[case.op].cost_class in ("convolution", "attention", "training")
    return large or (set(case.layout) == {"C"} and len(case.shapes[0]) < 3)


CASES = list(
    dict.fromkeys(
        small(case)
        for group in GROUPS.values()
        for case in group.cases
        if case.dtype == "float32"
        and (case.op in STEPS or usual(case) or case.op.startswith(("conv", "att")))
    )
)


@functools.cache
def checked(case):
    """Return operands and their check, made once for all libraries."""
    operands = case.operands()
    return operands, Check(case, operands)


@pytest.mark.parametrize("library", ["tensorops", *RIVALS])
def test_rivals_compute_the_cases(library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    # What is compiled for each operation takes a second each.
    cases = CASES[::12] if library in ("numba", "jax") else CASES
    contender = LIBRARIES[library]
    measured = 0
    for case in cases:
        if contender.lacks_case(case) is not None:
            continue
        operands, check = checked(case)
        out = case.results()
        contender.loop(case, operands, out)(1)
        assert check.problem(out, own_bounds=contender.own_bounds) is None, case
        measured += 1
    assert measured > (2 if len(cases) < len(CASES) else 20)


def test_what_a_rival_lacks_is_refused_with_a_reason():
    case = example_case("conv2d", "float32")
    for name in ("numba", "numexpr", "jax"):
        reason = RIVALS[name].lacks_case(case)
        assert "conv2d" in reason
        with pytest.raises(ValueError, match="conv2d"):
            RIVALS[name].loop(case, case.operands(), case.results())
    assert RIVALS["numexpr"].lacks_case(example_case("gelu", "float32")) == "numexpr has no error function"


def test_formulas_are_the_operations():
    functions = {name: getattr(np, name) for name in ("exp", "tanh", "log1p", "where", "abs")}
    functions["erf"] = np.vectorize(math.erf)
    seen = set()
    for case in CASES:
        formula = formulas.formula_of(case)
        if formula is None:
            continue
        wide = Case(case.op, "float64", case.shapes, case.layout, "", case.params)
        operands = wide.operands()
        expression = formulas.expression_of(wide)
        given = dict(zip(expression.operands, operands, strict=True))
        found = eval(expression.text, functions | expression.numbers | given)
        expected = SPECS[case.op].reference(*operands, **dict(case.params))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
        seen.add(formula)
    assert seen == set(formulas.FORMULAS.values())


@pytest.mark.parametrize("name", numba_loops.LOOPS)
def test_the_loops_written_for_numba_are_the_operations(monkeypatch, name):
    monkeypatch.setattr(numba_loops, "prange", range)
    case = example_case(name if name in SPECS else f"{name}_", "float64")
    case = small(case)
    spec, params = SPECS[case.op], {key: value for key, value in case.params if key != "axis"}
    operands = [operand.copy() for operand in case.operands()]
    expected = spec.reference(*operands, **dict(case.params))
    outs = () if spec.in_place else (np.empty_like(operands[0]),)
    numba_loops.LOOPS[name](*operands, *outs, **params)
    found = [operands[place] for place in spec.changed] if spec.in_place else list(outs)
    for one, two in zip(found, expected if spec.outputs > 1 else [expected], strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-9)


def test_a_rival_is_held_to_what_rounding_explains_and_ours_to_its_bounds():
    case = example_case("tanh", "float32", ((100,),))
    operands = case.operands()
    exact = np.tanh(operands[0].astype(np.float64))
    check = Check(case, operands)
    near = (exact * (1 + 1e-5)).astype(np.float32)
    assert check.problem(near, own_bounds=False) is None
    assert check.problem(near) is not None
    wrong = near.copy()
    wrong[7] += 1e-2
    assert check.problem(wrong, own_bounds=False) == "wrong result in 1 of 100 elements"


@pytest.mark.parametrize("name", STEPS)
def test_a_training_step_that_leaves_a_parameter_as_it_was_is_wrong(name):
    case = example_case(name, "float32")
    operands, check = checked(case)
    out = case.results()
    LIBRARIES["numpy"].loop(case, operands, out)(1)
    assert check.problem(out, own_bounds=False) is None
    for place, before in enumerate(operands[2:]):
        forgotten = (*out[:place], before, *out[place + 1 :])
        assert check.problem(forgotten, own_bounds=False) is not None, place
