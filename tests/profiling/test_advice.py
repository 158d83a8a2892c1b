"""Advice: planted lines get the right replacement, good code gets none, and nothing breaks a report."""

import json
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from profiling.__main__ import main
from profiling.advice import advising, running
from profiling.advice.advising import Advice, advise, candidates_in
from profiling.advice.candidates import Candidate, Match
from profiling.advice.running import Outcome, try_out
from profiling.advice.snapshot import Moment, made, moments_of
from profiling.advice.trial import AFTER, BEFORE, Trial
from profiling.collect.names import observed
from profiling.collect.own_code import block_at
from profiling.collect.sampler import why_unavailable
from profiling.commands import _report_runs

HEAD = "import math\nimport numpy as np\nimport tensorops\nerf = np.vectorize(math.erf)\n"


def space():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((24, 32)).astype(np.float32)
    return {
        "x": x,
        "w": (generator.standard_normal((32, 16)) / 6).astype(np.float32),
        "b": np.ones(16, np.float32),
        "column": np.linspace(0.5, 1.5, 32, dtype=np.float32),
        "state": {"w": x * np.float32(0.01)},
        "squares": {"w": x * x},
        "np": np,
    }


@pytest.fixture
def candidates(tmp_path):
    def find(body, call="f(x)"):
        # A new name for each: sources are cached by their names.
        path = tmp_path / f"planted_{len(list(tmp_path.iterdir()))}.py"
        text = HEAD + textwrap.dedent(body)
        path.write_text(text, encoding="utf-8")
        names = space()
        code = compile(text, str(path), "exec")
        exec(code, names)
        names["run_module"] = lambda: exec(code, names)
        with np.errstate(all="ignore"):
            seen, times = observed(lambda: eval(call, names), str(path), 2)
        by_function = {}
        for entry in seen["lines"]:
            block = block_at(str(path), entry["line"])
            by_function.setdefault((block.name, block.first), []).append(entry)
        # Every line is hot.
        times = dict.fromkeys(times, 1.0)
        return [
            candidate
            for (name, first), entries in by_function.items()
            for candidate in candidates_in(str(path), name, first, moments_of(entries), times, 0.5)
        ]

    return find


PLANTED = {
    "gelu, tanh": (
        "def f(x):\n    return 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))",
        "f(x)",
        "return tensorops.gelu(x, approximate='tanh')",
    ),
    "gelu, tanh, in other words": (
        """
        def f(z):
            inner = math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z)
            half = z / 2
            return half + half * np.tanh(inner)
        """,
        "f(x)",
        "return tensorops.gelu(z, approximate='tanh')",
    ),
    "gelu, erf": (
        "def f(x):\n    y = x * (1.0 + erf(x / np.sqrt(2.0))) / 2\n    return y",
        "f(x)",
        "y = tensorops.gelu(x)",
    ),
    "gelu, sigmoid": (
        "def f(x):\n    return x / (1 + np.exp(-1.702 * x))",
        "f(x)",
        "return tensorops.gelu(x, approximate='sigmoid')",
    ),
    "silu": (
        "def f(x):\n    s = 1 / (1 + np.exp(-x))\n    return x * s",
        "f(x)",
        "return tensorops.silu(x)",
    ),
    "cube": ("def f(x):\n    return x**3", "f(x)", "return x * x * x"),
    "fourth power": ("def f(x):\n    return 2 * x**4", "f(x)", "return 2 * np.square(np.square(x))"),
    "softmax on a line": (
        """
        def f(x):
            return np.exp(x - x.max(1, keepdims=True)) / np.exp(x - np.max(x, 1, keepdims=True)).sum(
                axis=1, keepdims=True
            )
        """,
        "f(x)",
        "return tensorops.softmax(x)",
    ),
    "softmax on several, along the columns": (
        """
        def f(x):
            e = np.exp(x - x.max(axis=0))
            e /= np.sum(e, axis=0)
            return e
        """,
        "f(x)",
        "e = tensorops.softmax(x, axis=0)",
    ),
    "softmax in place": (
        """
        def f(x):
            x -= x.max(axis=1, keepdims=True)
            np.exp(x, out=x)
            x /= x.sum(axis=1, keepdims=True)
        """,
        "f(x)",
        "tensorops.softmax_(x)",
    ),
    "softmax of the module": (
        """
        for _ in range(2):
            y = x - x.max(axis=1, keepdims=True)
            y = np.exp(y)
            y = y / y.sum(axis=1, keepdims=True)
        print(y.shape)
        """,
        "module()",
        "y = tensorops.softmax(x)",
    ),
    "log softmax": (
        """
        def f(x):
            s = x - x.max(axis=1, keepdims=True)
            return s - np.log(np.exp(s).sum(axis=1, keepdims=True))
        """,
        "f(x)",
        "return tensorops.log_softmax(x)",
    ),
    "layer": (
        "def f(x, w, b):\n    y = x @ w\n    y += b\n    return np.maximum(y, 0)",
        "f(x, w, b)",
        "return tensorops.linear(x, w, b, activation='relu')",
    ),
    "layer of an object": (
        """
        class Layer:
            def f(self, x):
                self.x = x
                x = np.dot(x, self.w) + self.b
                x = x * (x > 0)
                return x
        layer = Layer()
        layer.w, layer.b = w, b[None]
        """,
        "layer.f(x)",
        "x = tensorops.linear(x, self.w, self.b[0], activation='relu')",
    ),
    "layer whose sum is needed": (
        "def f(x, w, b):\n    h = x @ w + b\n    a = np.maximum(h, 0)\n    return a, h > 0",
        "f(x, w, b)",
        "h = tensorops.linear(x, w, b)",
    ),
    "layer norm": (
        """
        def f(x, g, b, eps=1e-5):
            mean = x.mean(axis=-1, keepdims=True)
            variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
            return g * (x - mean) / np.sqrt(variance + eps) + b
        """,
        "f(x, column, column)",
        "return tensorops.layer_norm(x, g, b, eps=eps)",
    ),
    "root mean square norm": (
        "def f(x, g):\n    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + 1e-6) * g",
        "f(x, column)",
        "return tensorops.rms_norm(x, g, eps=1e-06)",
    ),
    "Adam, in place": (
        """
        def f(p, g, m, v, t, lr=1e-3, b1=0.9, b2=0.999):
            m *= b1
            m += (1 - b1) * g
            v *= b2
            v += (1 - b2) * (g * g)
            p -= lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-8)
        """,
        "f(x, x * 0.1, x * 0.01, x * x, 3)",
        "tensorops.adam_step_(p, g, m, v, step=t, lr=lr, beta1=b1, beta2=b2, eps=1e-08)",
    ),
    "Adam of an object": (
        """
        class Adam:
            t, lr = 0, 1e-3
            def f(self, params, grads):
                self.t += 1
                for name in params:
                    self.m[name] = 0.9 * self.m[name] + (1 - 0.9) * grads[name]
                    self.v[name] = 0.999 * self.v[name] + (1 - 0.999) * np.square(grads[name])
                    m_hat = self.m[name] / (1 - 0.9 ** self.t)
                    v_hat = self.v[name] / (1 - 0.999 ** self.t)
                    params[name] -= self.lr * m_hat / (np.sqrt(v_hat) + 1e-8)
        adam = Adam()
        adam.lr, adam.m, adam.v = 1e-3, state, squares
        """,
        "adam.f({'w': x}, {'w': x * 0.1})",
        "tensorops.adam_step_(params[name], grads[name], self.m[name], self.v[name], step=self.t, "
        "lr=self.lr, beta1=0.9, beta2=0.999, eps=1e-08)",
    ),
    "part of a line": (
        """
        def g(x): return x
        def f(x):
            h = g(0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3))))
            return h
        """,
        "f(x)",
        "h = g(tensorops.gelu(x, approximate='tanh'))",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_line_gets_the_right_replacement_and_it_agrees(candidates, name):
    body, call, after = PLANTED[name]
    if call == "module()":
        call = "run_module()"
    found = candidates(body, call)
    named = [one for one in found if not one.match.setup]
    assert after in [one.after for one in named], [one.after for one in found]
    (candidate,) = [one for one in named if one.after == after]
    answer = Trial(candidate.trial).run(timed=False)
    assert answer["agrees"], answer["reason"]


GOOD = {
    "the library's own": (
        "def f(x, w, b):\n    return tensorops.softmax(tensorops.linear(x, w, b, activation='gelu'))",
        "f(x, w, b)",
    ),
    "softmax without its maximum": (
        "def f(x):\n    e = np.exp(x)\n    return e / e.sum(axis=1, keepdims=True)",
        "f(x)",
    ),
    "softmax along two axes": (
        "def f(x):\n    e = np.exp(x - x.max(1, keepdims=True))\n    return e / e.sum(0, keepdims=True)",
        "f(x)",
    ),
    "softmax of the greatest of all": (
        "def f(x):\n    e = np.exp(x - x.max())\n    return e / e.sum(axis=1, keepdims=True)",
        "f(x)",
    ),
    "a square": ("def f(x):\n    return x**2", "f(x)"),
    "a root": ("def f(x):\n    return x**0.5", "f(np.abs(x))"),
    "a cube of whole numbers": ("def f(x):\n    return x**3", "f(np.arange(9))"),
    "a cube of a number": ("def f(x):\n    return x**3", "f(2.0)"),
    "gelu with another constant": ("def f(x):\n    return x * np.tanh(0.8 * x)", "f(x)"),
    "a function that NumPy has": ("def f(x):\n    return np.exp(x)", "f(x)"),
    "a product alone": ("def f(x, w):\n    return x @ w", "f(x, w)"),
    "an outer bias": ("def f(x, w, c):\n    return x @ w + c", "f(x, w, np.ones((24, 1)))"),
    "half precision": ("def f(x):\n    return x / (1 + np.exp(-x))", "f(x.astype(np.float16))"),
    "norm along the columns": (
        "def f(x):\n    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)",
        "f(x)",
    ),
    "two steps": ("def f(x):\n    return 2 * x + 1", "f(x)"),
    "a name that is no module": ("def f(np, x):\n    return x / (1 + np.exp(-x))", "f(np, x)"),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_lines_and_near_misses_get_no_named_replacement(candidates, name):
    found = candidates(*GOOD[name])
    assert [one.after for one in found if not one.match.setup] == []


def test_an_intermediate_value_that_others_need_stays(candidates):
    body = """
    def f(x):
        e = np.exp(x - x.max(1, keepdims=True))
        s = e.sum(1, keepdims=True)
        y = e / s
        return y, {kept}
    """
    assert [one.after for one in candidates(body.format(kept=0)) if not one.match.setup] == [
        "y = tensorops.softmax(x)"
    ]
    assert [one.after for one in candidates(body.format(kept="e")) if not one.match.setup] == []


@pytest.mark.parametrize(
    "between",
    [
        "g(e)",
        "x[0] = 1",
        "x = x + 1",
        "e[0] = 0",
        "np.add(e, 1, out=e)",
        "np.random.shuffle(e)",
        "alias *= 2",
    ],
)
def test_a_change_in_between_is_noticed(candidates, between):
    body = f"""
    def g(e): e += 1
    def f(x):
        e = np.exp(x - x.max(1, keepdims=True))
        alias = e
        {between}
        y = e / e.sum(1, keepdims=True)
        return y, x
    """
    assert [one.after for one in candidates(body) if "softmax" in one.after] == []


def test_a_value_of_the_round_before_stays(candidates):
    body = """
    def f(x, w, b):
        y = x
        for _ in range(3):
            z = np.tanh(y[:, :16] @ w[:16] + b + y.sum())
            y = x @ w
            y += b
        return z
    """
    assert "np.tanh(y" in "".join(one.before for one in candidates(body, "f(x, w, b)"))
    body = """
    def f(x):
        for _ in range(2):
            h = x * 2
            y = 1 / (1 + np.exp(-h))
        return y, h
    """
    assert [one.after for one in candidates(body) if not one.match.setup] == ["y = tensorops.sigmoid(h)"]


def test_a_chain_becomes_a_function_of_its_own(candidates):
    body = """
    def f(a, b):
        d = a - b
        q = np.sqrt(d * d + 1.0)
        return np.mean(np.where(q < 1.5, q * 0.3, q - 1.0), axis=1)
    """
    candidate = max(candidates(body, "f(x, x[::-1])"), key=lambda one: len(one.lines))
    assert candidate.after.splitlines() == [
        "@tensorops.fuse",
        "def fused_9(a, b):",
        "    d = a - b",
        "    q = np.sqrt(d * d + 1.0)",
        "    return np.mean(np.where(q < 1.5, q * 0.3, q - 1.0), axis=1)",
        "return fused_9(a, b)",
    ]
    assert "float32" in candidate.shapes


def test_a_chain_in_place_stays_in_place(candidates):
    body = "def f(a, b):\n    a *= 0.5\n    a += b\n    np.tanh(a, out=a)"
    found = candidates(body, "f(x, x[::-1])")
    assert found[-1].after.splitlines()[-1] == "fused_8.inplace(a, b)"
    assert found[-1].trial["changes"]


def test_a_result_that_differs_is_no_advice(candidates):
    # So near to gelu that the probes cannot tell; float64 can.
    body = "def f(x):\n    return 0.5 * x * (1 + np.tanh(0.79788456 * (x + 0.044715 * x * x * x)))"
    (candidate,) = [one for one in candidates(body, "f(x.astype(float))") if not one.match.setup]
    answer = Trial(candidate.trial).run(timed=True)
    assert not answer["agrees"]
    assert "bound" in answer["reason"]
    assert "samples" not in answer


def test_float32_that_becomes_float64_by_a_number_is_told(candidates):
    body = "def f(x):\n    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))"
    (candidate,) = [one for one in candidates(body) if one.match.title == "tensorops.gelu"]
    answer = Trial(candidate.trial).run(timed=False)
    assert answer["agrees"]
    assert answer["narrowed"]
    advice = Advice(candidate, Outcome(True, narrowed=True), "f.py", "f", 1.0, 1.0)
    assert "stays float32" in advice.note


def test_values_that_overflow_are_not_judged(candidates):
    (candidate,) = candidates("def f(x):\n    return x**3", "f(x * np.float32(1e30))")
    assert "NaN or infinity" in Trial(candidate.trial).run(timed=False)["reason"]


def outcome(low, estimate, high):
    from profiling.measure.stats import Interval

    return Outcome(True, None, 0.1, Interval(estimate, low, high, 12), 2.0, 1.0)


def candidate_at(first, last, title="tensorops.gelu", setup=""):
    match = Match(title, "text", (), setup=setup)
    return Candidate(match, ((first, last),), "before", "after", {}, "x 3 float32", True)


@pytest.mark.parametrize(
    ("found", "good"),
    [
        (outcome(1.2, 1.3, 1.4), True),
        (outcome(0.9, 1.3, 1.5), False),
        (outcome(1.01, 1.05, 1.08), False),
        (Outcome(False, "no"), False),
        (Outcome(True, "it was not timed"), False),
    ],
)
def test_only_a_gain_beyond_chance_is_advice(monkeypatch, found, good):
    advice = Advice(candidate_at(1, 1), found, "f.py", "f", 2.0, 0.5)
    assert advice.is_good is good
    assert (advice.why_not is None) is good
    assert (advice.to_dict()["rejected_reason"] is None) is good


def test_of_several_for_one_line_the_best_is_given():
    def advice(first, last, gain, **more):
        found = outcome(gain - 0.1, gain, gain + 0.1)
        return Advice(candidate_at(first, last, **more), found, "f.py", "f", last - first + 1.0, 0.5)

    fused, named = advice(1, 3, 2.1, setup="@fuse"), advice(1, 3, 2.0)
    small, other = advice(2, 2, 9.0), advice(5, 5, 1.5)
    advised = advising._sorted_out([fused, small, other, named])
    assert advised.given == (named, other)
    assert advised.rejected == (fused, small)
    assert advising._sorted_out([advice(1, 3, 3.0, setup="@fuse"), named]).given[0].candidate.match.setup


def test_cold_lines_are_left_alone(candidates, tmp_path, monkeypatch):
    monkeypatch.setattr(advising, "try_out", lambda trials: [outcome(2.0, 3.0, 4.0) for _ in trials])
    path = tmp_path / "cold.py"
    path.write_text("def f(x):\n    return x**3\n", encoding="utf-8")
    names = {"x": described_array()}
    seen = [{"filename": str(path), "line": 2, "count": 1, "names": names}]

    def given(seconds):
        times = {(str(path), 2): seconds, ("other.py", 1): 1.0}
        return advise(times, seen, lambda name: name).given

    assert len(given(0.1)) == 1
    assert given(0.001) == ()
    assert advise({}, seen, lambda name: name).given == ()


def described_array(shape=(3,), strides=(4,)):
    return {"dtype": "<f4", "shape": list(shape), "strides": list(strides), "values": [1.0, 2.0]}


def test_a_trial_that_ends_its_process_or_fails_is_an_answer(monkeypatch):
    def trial(line):
        return {
            "imports": ["import numpy as np", "import os"],
            "setup": "",
            "arguments": {"x": described_array()},
            "original": [],
            "results": [line],
            "timed_results": [line],
            "replacement": [],
            "replacement_results": ["x * 1"],
            "timed_replacement_results": ["x * 1"],
            "operands": [],
            "operation": "",
            "params": {},
            "changes": False,
        }

    monkeypatch.setattr(running, "SECONDS_EACH", 60.0)
    found = try_out([trial("os._exit(3)"), trial("missing"), trial("np.add(x, 0)")], launches=1)
    assert [one.agrees for one in found] == [False, False, True]
    assert "exit code 3" in found[0].reason
    assert "NameError" in found[1].reason
    assert found[2].gain is not None
    assert try_out([]) == []


def test_a_trial_that_takes_too_long_is_an_answer(monkeypatch):
    monkeypatch.setattr(running, "SECONDS_EACH", 0.01)
    (found,) = try_out([{}], launches=1)
    assert found.reason == "the trial took too long"


def test_what_changes_its_arguments_gets_them_back():
    from profiling.advice.trial import Restoring

    def change(x, y):
        assert x[0] == 1.0
        x += y

    values = (np.ones(3), 2.0)
    contender = Restoring(BEFORE, change, values, {"x": np.zeros(3), "y": 2.0})
    assert contender.sample(3) > 0
    assert values[0].tolist() == [1.0, 1.0, 1.0]
    assert BEFORE != AFTER


@pytest.mark.parametrize(
    "array",
    [
        np.ones((3, 4), np.float32),
        np.ones((3, 4)).T,
        np.ones((8, 6))[::2, 1:4],
        np.ones(5)[::-1],
        np.broadcast_to(np.ones(4), (3, 4)),
        np.zeros((0, 3)),
        np.array([True, False]),
        np.arange(5),
    ],
)
def test_arrays_are_made_like_those_seen(array):
    from profiling.collect.names import described

    again = made(described({"x": array})["x"], np.random.default_rng(0))
    assert (again.shape, again.dtype) == (array.shape, array.dtype)
    if array.size:
        assert again.strides == array.strides
        assert set(again.ravel().tolist()) <= set(array.ravel().tolist())


def test_an_array_that_is_too_large_is_not_made():
    with pytest.raises(MemoryError, match="too large"):
        made(described_array((2**29,)), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("x", (4, 6)),
        ("x.T", (6, 4)),
        ("x[i:i + 2]", (2, 6)),
        ("x[:, 0]", (4,)),
        ("x[0, 0]", None),
        ("x[name]", None),
        ("model.layers[0].w", (4, 6)),
        ("model.missing", None),
        ("y", None),
    ],
)
def test_places_are_looked_up(text, shape):
    array = {"dtype": "<f8", "shape": [4, 6], "strides": [48, 8], "values": [1.0]}
    layers = {"items": {"0": {"attributes": {"w": array}}}}
    names = {
        "x": array,
        "i": {"number": 1, "type": "int"},
        "name": {"number": 1.5, "type": "float"},
        "model": {"attributes": {"layers": layers}},
    }
    found = Moment(1, 1, names).at(text)
    assert (None if found is None else found.array.shape) == shape


def test_the_section_shows_gain_and_both_forms():
    from profiling.commands._report_advice import advice_data, advice_section
    from profiling.document import Document
    from profiling.reporters import get_reporter

    whole = Advice(candidate_at(3, 5), outcome(1.9, 2.0, 2.1), "/home/me/train.py", "f", 1.0, 0.5)
    part = replace(whole, candidate=replace(candidate_at(9, 9), is_whole=False))
    rejected = Advice(candidate_at(7, 7), Outcome(False, "no"), "/home/me/train.py", "f", 1.0, 0.5)
    advised = advising.Advised((whole, part), (rejected,))
    section = advice_section("6. Advice", advised, "the run")
    for width in (80, 100):
        text = get_reporter("text").render(Document("Title", (section,)), width)
        assert max(map(len, text.splitlines())) <= width
    for words in ("train.py:3-5", "2.00x", "1.90 to 2.10", "500 ms", "at most 500 ms", "- before", "+ after"):
        assert words in text
    assert "part of the line" in text
    data = advice_data(advised)
    assert [entry["first_line"] for entry in data["advice"]] == [3, 9]
    assert data["advice"][0]["gain"] == [2.0, 1.9, 2.1]
    assert data["advice_rejected"][0]["rejected_reason"] == "no"
    assert advice_section("6. Advice", advising.Advised((), (rejected,)), "the run") is None
    assert advice_section("6. Advice", None, "the run") is None
    assert advice_data(None) == {"advice": None, "advice_rejected": None}


def test_advice_that_fails_breaks_no_report(monkeypatch):
    from profiling.commands import _report_advice

    def fail(*arguments):
        raise ZeroDivisionError("by accident")

    monkeypatch.setattr(_report_advice, "advise", fail)
    advised, notes = _report_advice.advise_on([], [], str)
    assert advised is None
    assert "ZeroDivisionError: by accident" in notes[0]
    advised, notes = _report_advice.advise_on_step(lambda: None, __file__)
    assert advised is None
    assert "by accident" in notes[0]


SCRIPT = """
import numpy as np

x = np.random.default_rng(0).standard_normal(400_000).astype(np.float32)
for _ in range(12):
    y = x**3  # the planted line
    z = x * x  # as good as it gets
print(y[0], z[0])
"""


@pytest.mark.skipif(why_unavailable() is not None, reason=str(why_unavailable()))
def test_a_script_gets_advice_in_its_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_report_runs.calibration, "sample", lambda: [0.04])
    Path("planted.py").write_text(SCRIPT, encoding="utf-8")
    assert main(["report", "planted.py", "--json", "report.json"]) == 0
    captured = capsys.readouterr()
    assert "Trying 1 replacement of hot lines; --no-advice" in captured.err
    data = json.loads(Path("report.json").read_text(encoding="utf-8"))
    # NumPy takes a hundred times as long for it as for the products.
    (advice,) = data["advice"]
    assert (advice["after"], advice["first_line"]) == ("y = x * x * x", 6)
    assert advice["arrays"] == "x 400000 float32"
    assert advice["gain"][1] > 1
    assert "6. Advice" in captured.out
    assert main(["report", "planted.py", "--no-advice", "--json", "report.json"]) == 0
    assert json.loads(Path("report.json").read_text(encoding="utf-8"))["advice"] is None
    assert "Advice" not in capsys.readouterr().out
