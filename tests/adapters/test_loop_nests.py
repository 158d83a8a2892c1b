"""Which loops are products, and which only look like one."""

import ast

import numpy as np
import pytest

from tensorops.adapters.calls import fresh, loops
from tensorops.adapters.loop_nests import find_nest
from tensorops.adapters.written_loops import loops_as_written

PRODUCTS = {
    "i j k": """
for i in range(m):
    for j in range(n):
        for k in range(d):
            c[i, j] += a[i, k] * b[k, j]
""",
    "i k j, a factor with a name": """
for i in range(m):
    for k in range(d):
        factor = a[i][k]
        for j in range(n):
            c[i][j] += factor * b[k][j]
""",
    "j k i, written out": """
for j in range(n):
    for k in range(d):
        for i in range(m):
            c[i, j] = c[i, j] + b[k, j] * a[i, k]
""",
    "a sum": """
for i in range(m):
    for j in range(n):
        total = 0.0
        for k in range(d):
            total += a[i, k] * b[k, j]
        c[i, j] = total
""",
    "set to zero first": """
for i in range(m):
    for j in range(n):
        c[i, j] = 0
        for k in range(d):
            c[i, j] += a[i, k] * b[k, j]
""",
    "dot": """
for i in range(m):
    for j in range(n):
        c[i, j] = np.dot(a[i, :], b[:, j])
""",
    "rows and columns with names": """
for i in range(m):
    row = a[i]
    for j in range(n):
        column = b[:, j]
        c[i, j] = float(np.sum(row * column))
""",
    "columns first": """
for j in range(n):
    for i in range(m):
        c[i, j] = a[i] @ b[:, j]
""",
    "a generator": """
for i in range(m):
    for j in range(n):
        c[i, j] = sum(a[i, k] * b[k, j] for k in range(d))
""",
    "method": """
for i in range(m):
    for j in range(n):
        c[i, j] += (a[i, :] * b[:, j]).sum()
""",
    "a row of another name": """
for i in range(m):
    row = a[i]
    for j in range(n):
        s = 0
        for k in range(d):
            s += row[k] * b[k, j]
        c[i, j] = s
""",
}

ROW, COLUMN, DEPTH = "for i in range(m):", "for j in range(n):", "for k in range(d):"
TERM = "c[i, j] += a[i, k] * b[k, j]"
OTHERS = {
    "a difference": [ROW, COLUMN, DEPTH, "c[i, j] -= a[i, k] * b[k, j]"],
    "a quotient": [ROW, COLUMN, DEPTH, "c[i, j] += a[i, k] / b[k, j]"],
    "the last term": [ROW, COLUMN, DEPTH, "c[i, j] = a[i, k] * b[k, j]"],
    "zero in the inner loop": [ROW, COLUMN, DEPTH, f"c[i, j] = 0; {TERM}"],
    "zero after the sum": [ROW, COLUMN, ["s = 0", [DEPTH, "s += a[i, k] * b[k, j]"], "s = 0", "c[i, j] = s"]],
    "a triangle": [ROW, "for j in range(i):", DEPTH, TERM],
    "every other": ["for i in range(0, m, 2):", COLUMN, DEPTH, TERM],
    "a window": [ROW, COLUMN, DEPTH, "c[i, j] += a[i, k] * b[k + 1, j]"],
    "four loops": ["for h in range(z):", ROW, COLUMN, DEPTH, TERM],
    "a print": [ROW, COLUMN, ["print(i)", [DEPTH, TERM]]],
    "a condition": [ROW, COLUMN, DEPTH, "if i:", TERM],
    "in place": [ROW, COLUMN, DEPTH, "a[i, j] += a[i, k] * b[k, j]"],
    "elementwise": [ROW, COLUMN, "c[i, j] = a[i, j] * b[i, j]"],
    "an outer sum": [ROW, COLUMN, DEPTH, "c[i, j] += a[i, k] * b[i, j]"],
    "a call": [ROW, COLUMN, DEPTH, "c[i, j] += f(a)[i, k] * b[k, j]"],
    "a count beside it": [ROW, COLUMN, DEPTH, f"{TERM}; count += 1"],
    "a while": [ROW, COLUMN, "while x:", TERM],
    "three axes": [ROW, COLUMN, DEPTH, "c[i, j] += a[i, k, 0] * b[k, j]"],
    "two loops in one": [ROW, COLUMN, [[DEPTH, TERM], [DEPTH, TERM]]],
}


def written(lines, depth=0):
    """Return the text of lines that stand in each other; a list stands beside what follows it."""
    text = ""
    for place, line in enumerate(lines):
        if isinstance(line, list):
            for part in line:
                text += written(part if isinstance(part, list) else [part], depth + place)
        else:
            text += "    " * (depth + place) + line + "\n"
    return text


def nest_of(text):
    (loop,) = ast.parse(text).body
    return loop, find_nest(loop)


@pytest.mark.parametrize("text", PRODUCTS.values(), ids=PRODUCTS)
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True)])
def test_a_product_is_found_and_gives_what_the_loops_give(text, transposed):
    for name, turned in zip("ab", transposed, strict=True):
        if turned:
            # The same loops on the transposed matrix: only where both indices stand in one pair of brackets.
            text = text.replace(f"{name}[i, k]", f"{name}[k, i]").replace(f"{name}[k, j]", f"{name}[j, k]")
    loop, nest = nest_of(text)
    assert nest is not None
    rng = np.random.default_rng(0)
    a, b = rng.integers(-5, 6, (3, 4)).astype(np.float32), rng.integers(-5, 6, (4, 5)).astype(np.float32)
    a, b = a.T.copy() if nest.left_transposed else a, b.T.copy() if nest.right_transposed else b
    first = rng.integers(-5, 6, (3, 5)).astype(np.float32)
    by_loops, by_product = first.copy(), first.copy()
    loops_as_written(loop, nest)(by_loops, a, b, 3, 5, 4)
    k = None if nest.k is None else 4
    assert loops(by_product, a, b, 3, 5, k, nest.accumulate, nest.left_transposed, nest.right_transposed)
    assert np.array_equal(by_loops, by_product)


@pytest.mark.parametrize("lines", OTHERS.values(), ids=OTHERS)
def test_what_is_no_product_stays(lines):
    assert nest_of(written(lines))[1] is None


def test_a_loop_with_an_else_stays():
    text = written([ROW, COLUMN, DEPTH, TERM])
    assert nest_of(text)[1] is not None
    assert nest_of(f"{text}else:\n    f()")[1] is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"m": 2}, "fewer rows"),
        ({"k": 3}, "less depth"),
        ({"result": [[0.0] * 5] * 3}, "lists"),
        ({"left": np.ones((3, 4, 1))}, "three axes"),
        ({"result": np.zeros((3, 5), int), "accumulate": True}, "integers that reals are added to"),
    ],
    ids=str,
)
def test_loops_over_anything_else_run(arguments, reason):
    given = {"result": np.zeros((3, 5)), "left": np.ones((3, 4)), "right": np.ones((4, 5))}
    given |= {"m": 3, "n": 5, "k": 4, "accumulate": False}
    given |= {"left_transposed": False, "right_transposed": False}
    assert loops(**given)
    assert not loops(**{**given, **arguments})


def test_products_instead_of_new_zeros():
    a, b = np.arange(6.0).reshape(2, 3), np.ones((3, 4))
    assert np.array_equal(fresh(a, b, 2, 4, 3, False, False, (2, 4)), a @ b)
    assert np.array_equal(fresh(a.T, b, 2, 4, 3, True, False, (2, 4), np.float64), a @ b)
    narrow = fresh(a, b, 2, 4, None, False, False, (2, 4), dtype=np.float32)
    assert narrow.dtype == np.float32
    for m, k, shape in ((2, 2, (2, 4)), (2, 3, (3, 4)), (2, 3, [2, 4]), (1, 3, (1, 4))):
        assert fresh(a, b, m, 4, k, False, False, shape) is None


def test_sums_have_the_precision_of_the_result():
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 400), np.float32), rng.random((400, 5), np.float32)
    result = np.zeros((3, 5))
    assert loops(result, a, b, 3, 5, 400, True, False, False)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_allclose(result, exact, rtol=1e-13)
