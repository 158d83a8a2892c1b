"""What cannot be fused: NumPy runs it and one warning says why, or strict raises and points at the place."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorops
from tensorops.fuse.errors import FuseError, FuseWarning
from tests.fuse.conftest import Define

# A function f, what the reason says, and the text under the caret.
REFUSED = [
    ("def f(x):\n    for i in range(3):\n        x = x + i\n    return x", "a loop", "for i"),
    ("def f(x):\n    while False:\n        x = x + 1\n    return x", "a loop", "while"),
    ("def f(x):\n    if True:\n        return x + 1\n    return x", "np.where", "if True"),
    ("def f(x):\n    return x + 1 if True else x", "np.where", "x + 1 if"),
    ("def f(x):\n    return np.linalg.norm(x) + x", "np.linalg.norm", "np.linalg.norm(x)"),
    ("def f(x):\n    return np.sort(x)", "np.sort", "np.sort"),
    ("def f(x):\n    return x + len(x)", "len", "len(x)"),
    ("def f(x):\n    return x + x[0]", "indexing", "x[0]"),
    ("def f(x):\n    return (x > 0) and x", "use & and |", "(x > 0) and"),
    ("def f(x):\n    return 0 < x < 1", "(a < b) & (b < c)", "0 < x"),
    ("def f(x):\n    return not x", "np.logical_not", "not x"),
    ("def f(x):\n    return x, x + 1", "one array", "x, x + 1"),
    ("def f(x):\n    return x", "nothing is computed", "return x"),
    ("def f(x):\n    y = x + 1", "ends with the return", "y = x"),
    ("def f(x):\n    return x + 1\n    return x", "nothing may follow", "return x + 1"),
    ("def f(x):\n    x += 1\n    return x", "another name", "x += 1"),
    ("def f(x):\n    y = x + 1\n    z = y\n    y += 1\n    return z * y", "another name", "y += 1"),
    ("def f(x):\n    y[0] = x\n    return x + 1", "plain name", "y[0]"),
    ("def f(x):\n    return x.T + 1", "with a dot", "x.T"),
    ("def f(x):\n    return x.tolist()", "method 'tolist'", "x.tolist"),
    ("def f(x):\n    return x + 'a'", "real number", "'a'"),
    ("def f(x):\n    return x + 1j", "real number", "1j"),
    ("def f(x):\n    return x * 10**400", "exponent", "10**400"),
    ("def f(x):\n    return x * 99999999999999999999", "whole number", "9999"),
    ("def f(x):\n    return np.exp(x, out=x)", "keyword", "np.exp(x"),
    ("def f(x):\n    return np.exp(*[x])", "*arguments", "*[x]"),
    ("def f(*x):\n    return x[0] + 1", "*args", "x"),
    ("def f():\n    return np.exp(1)", "needs an argument", "def f"),
    ("def f(x, out):\n    return x + out", "'out'", "out"),
    ("import math\ndef f(x):\n    return math.exp(x)", "np.exp", "math.exp"),
    ("A = np.ones(3)\ndef f(x):\n    return x + A", "pass it as an argument", "A"),
    ("def g(x):\n    return x + 1\ndef f(x):\n    return g(x) + 1", "g is not among", "g(x)"),
    ("def f(x):\n    return np.sum(x) + np.sum(x * x)", "second reduction", "np.sum(x * x)"),
    ("def f(x):\n    return np.sum(x, dtype='f8')", "only axis and keepdims", "np.sum"),
    ("def f(x):\n    return np.sum(x + 1, axis=x)", "whole number", "x)"),
    ("def f(x):\n    import os\n    return x + 1", "only assignments", "import os"),
    ("def f(x):\n    return (lambda y: y)(x)", "a function inside", "lambda"),
    ("def f(x):\n    return [y for y in x]", "ListComp", "[y for"),
    ("def f(x):\n    return x + __import__('os').getpid()", "method 'getpid'", "__import__"),
    ("import os\ndef f(x):\n    return x + os.system('exit 1')", "os.system is not among", "os.system("),
    ("def f(x):\n    return eval('x') + 1", "eval is not among", "eval("),
    ("def f(x):\n    return getattr(np, 'exp')(x)", "cannot be called", "getattr("),
    ("def f(x):\n    return np.exp.__call__(x)", "with a dot", "np.exp.__call__"),
    ("def f(x):\n    return np.exp.__class__ + x", "with a dot", "np.exp.__class__"),
    ("def f(x):\n    return x.__class__(x)", "method '__class__'", "x.__class__"),
    ("def f(x):\n    return x + np.__builtins__", "type dict", "np.__builtins__"),
    ("def f(x):\n    return x + np.__name__", "type str", "np.__name__"),
    ("def f(x):\n    return x + f'{x}'", "JoinedStr", "f'"),
    ("def f(x):\n    return x + float('1')", "real number", "'1'"),
    ("def f(x):\n    return x + int(1e999)", "OverflowError", "int("),
    ("def f(x):\n    return x + (y := 1)", "a line of its own", "y := 1"),
    ("def f(x):\n    return np.sum(x * 2, axis='0')", "real number", "'0'"),
    ("def f(x):\n    return x + ...", "type ellipsis", "..."),
    ("def f(x):\n    return x + np.longdouble(1)", "np.longdouble is not among", "np.longdouble"),
    (f"def f({', '.join(f'x{k}' for k in range(40))}):\n    return x0 + x39", "40 arguments", "x32"),
    ("def f(x):\n    return " + "+".join(["x"] * 700), "nested", "def f"),
    ("def g(c):\n    def f(x):\n        return c * x\n    return f\nf = g(2)", "closure", "c * x"),
    ("f = lambda x: x + 1", "lambda", ""),
    (
        "from functools import partial\ndef g(x, y):\n    return x + y\nf = partial(g, 1)",
        "plain function",
        "",
    ),
    (
        "from functools import wraps\ndef d(g):\n    @wraps(g)\n    def h(*a):\n        return g(*a)\n"
        "    return h\n@d\ndef f(x):\n    return x + 1",
        "*args",
        "a",
    ),
]


@pytest.mark.parametrize("text, reason, under", REFUSED)
def test_strict_points_at_the_place(text: str, reason: str, under: str, define: Define) -> None:
    function = define(text)
    with pytest.raises(FuseError) as caught:
        tensorops.fuse(function, strict=True)
    assert reason in caught.value.reason
    place = caught.value.place
    if under:
        assert place is not None
        assert place.text[place.column - 1 :].startswith(under)
        *_, source, caret = str(caught.value).splitlines()
        assert source[caret.index("^") :].startswith(under)


@pytest.mark.parametrize(
    "text",
    [
        text
        for text, *_ in REFUSED
        if text.startswith("def f(x):\n    for") or "np.sort" in text or "lambda x" in text
    ],
)
def test_numpy_runs_it_and_says_so_once(text: str, define: Define) -> None:
    function = define(text)
    x = np.array([3.0, 1.0, 2.0])
    with pytest.warns(FuseWarning, match="NumPy runs") as heard:
        fused = tensorops.fuse(function)
    assert heard[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(fused(x), function(x))
        out = np.empty(3)
        assert fused(x, out=out) is out
        assert np.array_equal(out, function(x))
        assert not fused.explain(x).fused
        assert "NumPy runs it" in str(fused.explain())


def test_a_function_that_calls_itself_is_found_at_the_first_call(define: Define) -> None:
    function = define("import tensorops\n@tensorops.fuse(strict=True)\ndef f(x):\n    return f(x) + 1")
    with pytest.raises(FuseError, match="recursion"):
        function(np.ones(3))


def test_a_name_may_be_defined_below(define: Define) -> None:
    function = define(
        "import tensorops\n@tensorops.fuse(strict=True)\ndef f(x):\n    return x * SCALE\nSCALE = 3.0"
    )
    assert np.array_equal(function(np.ones(3)), [3.0, 3.0, 3.0])


def test_a_name_that_is_never_defined_is_named(define: Define) -> None:
    function = define("import tensorops\n@tensorops.fuse(strict=True)\ndef f(x):\n    return x * SCALE")
    with pytest.raises(FuseError, match="'SCALE' is not defined"):
        function(np.ones(3))


def test_a_prompt_has_no_source() -> None:
    found: dict[str, Any] = {}
    exec("def f(x):\n    return x + 1", found)
    with pytest.raises(FuseError, match="put it into a file"):
        tensorops.fuse(found["f"], strict=True)


def test_a_file_changed_after_the_import_is_noticed(define: Define) -> None:
    function = define("def f(x):\n    return x + 1")
    Path(function.__code__.co_filename).write_text("def f(x):\n    return x - 1\n", encoding="utf-8")
    with pytest.raises(FuseError, match="changed after the import"):
        tensorops.fuse(function, strict=True)


def test_exponential_growth_by_calls_is_stopped(define: Define) -> None:
    lines = ["import tensorops", "@tensorops.fuse", "def f0(x, y):", "    return x + y"]
    for k in range(1, 20):
        lines += ["@tensorops.fuse", f"def f{k}(x, y):", f"    return f{k - 1}(x, y) * f{k - 1}(y, x + {k})"]
    with pytest.warns(FuseWarning, match="calls of fused functions"):
        define("\n".join([*lines, "f = f19"]))


@pytest.mark.parametrize(
    "text, dtypes, reason",
    [
        ("def f(x):\n    return x + 1", "i", "int32"),
        ("def f(x, y):\n    return np.where(x > 0, y, 1) * 1.5", "fl", "int64"),
        ("def f(x, y):\n    return x == y", "ll", "compares"),
        ("def f(x):\n    return np.exp(x)", "b", "float16"),
        ("def f(x):\n    return x + 1.5", "e", "float16"),
        ("def f(x):\n    return x + 1.5", "D", "complex128"),
        ("def f(x):\n    return x - (x > 0)", "?", "refuses"),
        ("def f(x, y):\n    z = x + 1\n    z += y\n    return z", "fd", "keeps the dtype"),
        ("def f(x):\n    return x - np.mean(x)", "f", "ends a fused expression"),
    ],
)
def test_types_that_numpy_keeps(text: str, dtypes: str, reason: str, define: Define) -> None:
    function = define(text)
    arrays = [np.ones(5, dtype) for dtype in dtypes]
    with pytest.raises(FuseError, match=reason):
        tensorops.fuse(function, strict=True)(*arrays)
    fused = tensorops.fuse(function)
    try:
        expected = function(*arrays)
    except TypeError:
        return
    with pytest.warns(FuseWarning, match=reason):
        result = fused(*arrays)
    assert result.dtype == expected.dtype
    assert np.array_equal(result, expected)


def test_subclasses_go_to_numpy(define: Define) -> None:
    function = define("def f(x):\n    return x * 2.0")
    fused = tensorops.fuse(function)
    masked = np.ma.masked_array([1.0, 2.0], [False, True])
    with pytest.warns(FuseWarning, match="MaskedArray"):
        result = fused(masked)
    assert isinstance(result, np.ma.MaskedArray)
    assert result.mask.tolist() == [False, True]


HOSTILE = [
    'def f(x):\n    """\n    import os\n    """\n    y = x + 1  # """ injected\n    return y',
    "def f(x):\n    \N{GREEK SMALL LETTER LAMDA} = x * 2.0\n    return \N{GREEK SMALL LETTER LAMDA} + 1",
    "def f(system):\n    exit = system * 2.0\n    return exit + 1",
    "def f(SPLAT):\n    element = SPLAT * 2.0\n    return element + 1",
    "def f(x):\n    \N{FULLWIDTH LATIN SMALL LETTER Y} = x * 2.0\n    return y + 1",
    "def f(x: 'int); system(0') -> '\"\"\"':\n    y: 'exit(1)' = x \\\n        * 2.0\n    return y + 1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_the_source_reaches_the_kernel(text: str, define: Define) -> None:
    plain = tensorops.fuse(define("def f(x):\n    y = x * 2.0\n    return y + 1"), strict=True)
    function = tensorops.fuse(define(text), strict=True)
    function.__name__ = function.__doc__ = '"""\nimport os\n"""'
    body = function.source[function.source.index("cdef inline vector_t element") :]
    words = set(re.findall(r"[^\W\d]\w*", body))
    known = set(re.findall(r"[^\W\d]\w*", plain.source))
    assert words <= known
    assert function.source.isascii()


class Number(float):
    """A float whose text is an attack."""

    def __repr__(self) -> str:
        return "0); system(0"


class Single(np.float32):
    """A float32 whose text is an attack."""

    __repr__ = Number.__repr__


@pytest.mark.parametrize(
    "value", [Number(1), Single(1), np.str_("0); system(0"), np.longdouble(1), np.void(b"0"), 1j]
)
def test_numbers_of_other_types_are_refused(value: Any, define: Define) -> None:
    with pytest.raises(FuseError, match=type(value).__name__):
        tensorops.fuse(define("def f(x):\n    return x + A", A=value), strict=True)


@pytest.mark.parametrize(
    "value", [np.nan, -np.inf, -0.0, 5e-324, 2**53, 0.1, np.float32(0.1), np.int8(-3), True]
)
def test_a_number_reaches_the_kernel_as_digits_alone(value: Any, define: Define) -> None:
    function = tensorops.fuse(define("def f(x):\n    return x * 0.75 + A", A=value), strict=True)
    numbers = set(re.findall(r"-?SPLAT\(([^()]*)\)", function.source[function.source.index("element(") :]))
    [text] = numbers - {"0.75"}
    assert text in ("NAN", "INFINITY") or re.fullmatch(r"[0-9]+\.[0-9]+|[0-9]+(\.[0-9]+)?e[-+]?[0-9]+", text)


def test_a_function_under_numpy_s_name_is_not_numpy_s(define: Define) -> None:
    text = (
        "class np:\n    @staticmethod\n    def exp(x):\n        return x * 0\ndef f(x):\n    return np.exp(x)"
    )
    with pytest.raises(FuseError, match="with a dot"):
        tensorops.fuse(define(text), strict=True)
