"""Every elementwise operation of the list against its definition, at the edges of vectors and layouts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import tensorops
from tensorops.backends.numpy_backend import INEXACT
from tensorops.boundary.generate import FILES
from tensorops.elementwise_table import APPROXIMATE, ELEMENTWISE, Elementwise
from tensorops.kernels.elementwise import family
from tensorops.operations import OPERATIONS
from tensorops.runtime import cpu

DTYPES = ("float32", "float64")
# Around one vector, several, a block of the buffer, and the length at which threads begin.
LENGTHS = (0, 1, 2, 3, 7, 8, 15, 16, 17, 63, 64, 65, 1023, 1025, 70_001)
NUMBERS = {"alpha": 0.75, "low": -0.5, "high": 1.25, "slope": 0.125}
Array = NDArray[Any]


def calls(chosen: Callable[[Elementwise, str], bool] = lambda item, form: True) -> Iterator[Any]:
    for item in ELEMENTWISE:
        for form in filter(partial(chosen, item), item.forms):
            for kind in APPROXIMATE if item.approximate else ("",):
                yield pytest.param(item, form, kind, id="-".join(filter(None, (item.name + form, kind))))


EVERY = pytest.mark.parametrize(("item", "form", "kind"), list(calls()))
OF_ONE_OPERAND = pytest.mark.parametrize(
    ("item", "form", "kind"), list(calls(lambda item, form: len(item.operands) == 1))
)
# Those that read something else than what they write.
WITH_OVERLAP = pytest.mark.parametrize(
    ("item", "form", "kind"), list(calls(lambda item, form: not form or len(item.operands) > 1))
)


def options(item: Elementwise, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = {name: NUMBERS[name] for name in item.parameters}
    return {**found, "approximate": kind} if kind else found


def call(item: Elementwise, form: str, kind: str, operands: list[Array], **more: Any) -> Any:
    needed = [NUMBERS[name] for name, value in item.parameters.items() if value is None]
    named = {name: NUMBERS[name] for name, value in item.parameters.items() if value is not None}
    if kind:
        named["approximate"] = kind
    return getattr(tensorops, item.name + form)(*operands, *needed, **named, **more)


def operands_of(item: Elementwise, shape: Any, dtype: str, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 3, shape).astype(dtype) for _ in item.operands]


def check(item: Elementwise, form: str, kind: str, operands: list[Array], result: Any) -> None:
    spec = OPERATIONS[item.name + form]
    expected = spec.reference(*operands, **options(item, kind))
    bound = spec.error_bound(*operands, **options(item, kind))
    # The definition itself is rounded, and in float64 its argument too.
    allowed = bound * (3 if operands[0].dtype == np.float64 else 1)
    with np.errstate(all="ignore"):
        wrong = np.abs(np.asarray(result, np.float64) - expected) > allowed
    assert result.dtype == operands[0].dtype
    assert result.shape == expected.shape
    assert not wrong.any(), [(x[wrong][:3], expected[wrong][:3]) for x in operands]


@EVERY
@pytest.mark.parametrize("dtype", DTYPES)
def test_contiguous_arrays_of_every_length(item: Elementwise, form: str, kind: str, dtype: str) -> None:
    for length in LENGTHS:
        operands = operands_of(item, length, dtype)
        check(item, form, kind, operands, call(item, form, kind, [x.copy() for x in operands]))


@EVERY
@pytest.mark.parametrize("dtype", DTYPES)
def test_strides_and_broadcasting(item: Elementwise, form: str, kind: str, dtype: str) -> None:
    first, *others = operands_of(item, (6, 5, 7), dtype)
    views = [first.T, first[::2, ::-1], first[:, 1:, ::3], np.asfortranarray(first)]
    for view in [*views, first[0, 0, 0, ...], first[:, :0]]:
        rest = [np.resize(x, view.shape) for x in others]
        target = view.copy("K") if form else view
        result = call(item, form, kind, [target, *rest])
        check(item, form, kind, [view, *rest], np.asarray(result))
    for shape in ((7,), (5, 1), (1, 1, 1), (), (6, 1, 7)):
        small = [np.resize(x, shape) for x in others]
        result = call(item, form, kind, [first.copy(), *small])
        check(item, form, kind, [first, *small], result)


OF_SEVERAL_OPERANDS = pytest.mark.parametrize(
    ("item", "form", "kind"), list(calls(lambda item, form: len(item.operands) > 1))
)


@OF_SEVERAL_OPERANDS
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_for_all_rows(item: Elementwise, form: str, kind: str, dtype: str) -> None:
    # Rows that many, few and no copies of fit a block of, and shares of two threads.
    for shape in ((1, 5), (7, 1), (301, 3), (2, 3, 33), (13, 100), (5, 700), (700, 100), (0, 4), (4, 0)):
        first, *others = operands_of(item, shape, dtype)
        for number in range(1, 2 ** len(others)):
            rest = [np.resize(x, shape[-1]) if number >> place & 1 else x for place, x in enumerate(others)]
            more = {} if form else {"out": first.copy()}
            check(item, form, kind, [first, *rest], call(item, form, kind, [first.copy(), *rest], **more))


@OF_SEVERAL_OPERANDS
def test_a_row_of_the_array_itself_is_numpy_s_or_refused(item: Elementwise, form: str, kind: str) -> None:
    first = operands_of(item, (4, 6), "float32")[0]
    assert form == "_"
    before = first.copy()
    operands = [first, *[first[0]] * (len(item.operands) - 1)]
    if item.numpy:
        call(item, form, kind, operands)
        check(item, form, kind, [before, *[before[0]] * (len(operands) - 1)], first)
    else:
        with pytest.raises(ValueError, match="overlaps"):
            call(item, form, kind, operands)
        assert np.array_equal(first, before)


@EVERY
def test_in_place_on_a_view_changes_the_view_alone(item: Elementwise, form: str, kind: str) -> None:
    base = operands_of(item, (8, 9), "float32")[0]
    first = base[1:7:2, ::-2]
    rest = operands_of(item, first.shape, "float32", 1)[1:]
    kept, before = base.copy(), first.copy()
    if form == "_":
        result = call(item, form, kind, [first, *rest])
        assert result is first
    else:
        result = call(item, form, kind, [first], out=first)
        assert result is first
    check(item, form, kind, [before, *rest], first)
    first[...] = before
    assert np.array_equal(base, kept)


@pytest.mark.parametrize(
    "item", [item for item in ELEMENTWISE if "" in item.forms], ids=lambda item: item.name
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_in_place_twin_gives_the_same_bits(item: Elementwise, dtype: str) -> None:
    x = operands_of(item, 1003, dtype)[0]
    for kind in APPROXIMATE if item.approximate else ("",):
        expected = call(item, "", kind, [x])
        assert np.array_equal(call(item, "_", kind, [x.copy()]), expected)
        assert np.array_equal(call(item, "", kind, [x], out=np.empty_like(x)[::1]), expected)
        strided = np.empty(2 * x.size, dtype)[::2]
        assert np.array_equal(call(item, "", kind, [x], out=strided), expected)


@OF_ONE_OPERAND
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_at_the_ends_of_the_range(item: Elementwise, form: str, kind: str, dtype: str) -> None:
    info = np.finfo(dtype)
    values = [
        0.0,
        -0.0,
        info.smallest_subnormal,
        -info.smallest_subnormal,
        info.tiny,
        -info.tiny,
        info.max,
        info.min,
    ]
    values += [np.inf, -np.inf, np.nan, 88.7, -88.7, -103.9, 709.7, -745.1]
    x = np.array(values, dtype)
    result = call(item, form, kind, [x.copy()])
    expected = item.reference(x, **options(item, kind))
    with np.errstate(all="ignore"):
        bound = OPERATIONS[item.name + form].error_bound(x, **options(item, kind))
        close = np.abs(result.astype(np.float64) - expected) <= bound
        overflow = np.isinf(result) & (np.abs(expected) > float(info.max))
        rounded = expected.astype(dtype)
    equal = (result == rounded) | (np.isnan(result) & np.isnan(expected))
    assert np.all(equal | close | overflow), (x, result, expected)
    if item.name in ("tanh", "elu", "silu", "gelu"):
        assert np.signbit(result[1])


@settings(max_examples=30)
@given(st.data())
@pytest.mark.parametrize("item", ELEMENTWISE, ids=lambda item: item.name)
def test_any_shape(item: Elementwise, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(0, 5), max_size=4)))
    order = data.draw(st.permutations(range(len(shape))))
    dtype = data.draw(st.sampled_from(DTYPES))
    first, *rest = (
        x.transpose(order) for x in operands_of(item, shape, dtype, data.draw(st.integers(0, 99)))
    )
    form = item.forms[-1]
    kind = data.draw(st.sampled_from(APPROXIMATE)) if item.approximate else ""
    check(item, form, kind, [first, *rest], call(item, form, kind, [first.copy("K"), *rest]))


@EVERY
def test_what_cannot_be_written_is_refused_before_anything_is(
    item: Elementwise, form: str, kind: str
) -> None:
    first, *rest = operands_of(item, (3, 4), "float32")
    before = first.copy()
    target = {} if form else {"out": first}
    source = [first, *rest] if form else [first.copy()]
    first.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        call(item, form, kind, source, **target)
    assert np.array_equal(first, before)
    if form and rest:
        with pytest.raises(ValueError, match=r"\(3, 5\)"):
            call(item, form, kind, [before, *[np.zeros((3, 5), "float32")] * len(rest)])
    if not form:
        with pytest.raises(ValueError, match=r"\(4, 3\)"):
            call(item, form, kind, [before], out=np.zeros((4, 3), "float32"))
        with pytest.raises(TypeError):
            call(item, form, kind, [before], out=[1.0])
        with pytest.raises(TypeError):
            call(item, form, kind, [before], out=np.zeros((3, 4), "int32"))
    else:
        with pytest.raises(TypeError, match="must be an array"):
            call(item, form, kind, [[1.0], *rest])
        with pytest.raises(ValueError, match="share memory"):
            repeated = np.lib.stride_tricks.as_strided(before, (3, 4), (0, 4), writeable=True)
            call(item, form, kind, [repeated, *rest])


@WITH_OVERLAP
def test_overlap_is_numpy_s_or_refused(item: Elementwise, form: str, kind: str) -> None:
    memory = np.linspace(-2, 2, 40).astype("float32")
    first, other = memory[1:31], memory[:30]
    if form:
        operands = [first, *[other] * (len(item.operands) - 1)]
        more = {}
    else:
        operands, more = [other], {"out": first}
    copies = [x.copy() for x in operands]
    if item.numpy:
        call(item, form, kind, operands, **more)
        check(item, form, kind, copies, first.copy())
    else:
        with pytest.raises(ValueError, match="overlaps"):
            call(item, form, kind, operands, **more)
        assert all(np.array_equal(a, b) for a, b in zip(operands, copies, strict=True))


@pytest.mark.parametrize("name", ["gelu", "gelu_"])
def test_an_unknown_form_is_named_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match="none, tanh, sigmoid, not 'exact'"):
        getattr(tensorops, name)(np.zeros(2), approximate="exact")


@EVERY
@pytest.mark.parametrize("backend", ["numpy", "blocked"])
def test_backends_compute_the_same(item: Elementwise, form: str, kind: str, backend: str) -> None:
    operands = operands_of(item, (5, 9), "float64")
    expected = call(item, form, kind, [x.copy() for x in operands])
    if backend == "numpy" and (item.name, kind) in INEXACT:
        with tensorops.use_backend(backend), pytest.raises(ValueError, match="beyond the error bound"):
            call(item, form, kind, operands)
        return
    with tensorops.use_backend(backend):
        found = call(item, form, kind, [x.copy() for x in operands])
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_other_dtypes_go_to_numpy() -> None:
    assert tensorops.relu(np.array([-1, 2])).tolist() == [0, 2]
    assert tensorops.exp(np.float16(1)).dtype == np.float16
    assert isinstance(tensorops.tanh(np.ma.masked_array([1.0], [True])), np.ma.MaskedArray)
    assert tensorops.add_(np.ones(2, "float32"), np.ones(2)).dtype == np.float32
    assert tensorops.sigmoid([0.0, 0.0]).tolist() == [0.5, 0.5]
    with pytest.raises(TypeError):
        tensorops.gelu_(np.array([1, 2]))


def test_python_numbers_do_not_widen() -> None:
    assert tensorops.mul_(np.ones(3, "float32"), 2.5).tolist() == [2.5] * 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_selected_instruction_set_computes(dtype: str) -> None:
    assert family.kernel_name(dtype) == f"formulas_{cpu.selected_isa()}_{dtype}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_generated_files_are_what_the_list_says(path: Any) -> None:
    assert path.read_text(encoding="utf-8") == FILES[path](), "run python -m tensorops.boundary.generate"


def test_gelu_in_float64_is_exact_to_its_bound() -> None:
    mpmath = pytest.importorskip("mpmath")
    mpmath.mp.dps = 40
    x = np.concatenate([np.linspace(-9, 9, 301), np.random.default_rng(0).normal(0, 3, 300)])
    factor = 2 * mpmath.sqrt(2 / mpmath.pi)
    forms = {
        "none": lambda v: v * mpmath.erfc(-v / mpmath.sqrt(2)) / 2,
        "tanh": lambda v: v / (1 + mpmath.exp(-factor * (v + mpmath.mpf("0.044715") * v**3))),
        "sigmoid": lambda v: v / (1 + mpmath.exp(-mpmath.mpf("1.702") * v)),
    }
    for kind, form in forms.items():
        for value, result in zip(x, tensorops.gelu(x, approximate=kind), strict=True):
            exact = form(mpmath.mpf(value))
            bound = 4 * np.finfo(float).eps * max(abs(exact), abs(value) / 1024)
            assert abs(mpmath.mpf(result) - exact) <= bound, (kind, value)


def test_the_environment_s_backend_is_asked_by_the_first_call() -> None:
    # NumPy's function is called without an object, except for strided operands.
    code = (
        "import numpy as np, tensorops; from tensorops.backends.numpy_backend import NumpyBackend as B; "
        "ran = []; run = B.run; "
        "B.run = lambda self, op, *a, **k: (ran.append(op), run(self, op, *a, **k))[1]; "
        "tensorops.relu(np.ones(6)[::2]); print(ran)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TENSOROPS_BACKEND": "numpy"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "['relu']"
