"""The report on a user's own code: what was planted is found, and whatever fails is told."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

from profiling.__main__ import main
from profiling.collect.sampler import why_unavailable
from profiling.commands import _profile_call, _report_runs
from profiling.commands._profile_call import profile_call

SAMPLED = pytest.mark.skipif(why_unavailable() is not None, reason=str(why_unavailable()))
COMPILER = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0])


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    for module in (_report_runs, _profile_call):
        monkeypatch.setattr(module.calibration, "sample", lambda: [0.04])


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def write(text, name="script.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


def report(*arguments, code=0):
    path = Path("report.json")
    words = list(arguments)
    place = words.index("--") if "--" in words else len(words)
    # Advice has tests of its own.
    assert main(["report", *words[:place], "--no-advice", "--json", str(path), *words[place:]]) == code
    return json.loads(path.read_text(encoding="utf-8"))


def first(data, key, **wanted):
    lines = [line for line in data["lines"] if all(line[name] == value for name, value in wanted.items())]
    return max(lines, key=lambda line: line[key] or 0)["source"].strip()


PLANTED = """
import numpy as np

SIZE = 3000

def count(n):
    total = 0
    for i in range(n):
        total += i * i % 7  # the slow line
    return total

def collect(n):
    kept = []
    for _ in range(n):
        kept.append(np.ones(20_000))  # the line that allocates
    return len(kept)

def down_columns(x):
    total = 0.0
    for column in range(SIZE):
        total += x[:, column].sum()  # hostile to the cache
    return total

def along_rows(x):
    total = 0.0
    for row in range(SIZE):
        total += x[row].sum()
    return total

x = np.zeros((SIZE, SIZE), np.float32)
"""


@SAMPLED
def test_a_planted_slow_line_and_an_allocating_one_come_first(script, capsys):
    script(PLANTED + "count(6_000_000)\ncollect(300)\nalong_rows(x)\n")
    data = report("script.py")
    assert first(data, "seconds").endswith("# the slow line")
    assert first(data, "bytes").endswith("# the line that allocates")
    (line,) = [line for line in data["lines"] if line["allocations"] and line["function"] == "collect"]
    assert (line["allocations"], line["bytes"]) == (300, 300 * 160_000)
    text = capsys.readouterr().out
    hottest = text[text.index("2. Hottest lines") : text.index("3. Most")].splitlines()
    assert "total += i * i % 7" in hottest[2]


@SAMPLED
def test_a_planted_loop_that_misses_the_cache_comes_first(script):
    script(PLANTED + "for _ in range(8):\n    down_columns(x)\n    along_rows(x)\n")
    data = report("script.py")
    assert first(data, "seconds").endswith("# hostile to the cache")


PYX = """
# cython: language_level=3
from libc.stdlib cimport calloc, free

import numpy as np

def slow(Py_ssize_t n):
    cdef Py_ssize_t i
    cdef double total = 0
    for i in range(n):
        total = total / 1.0000001 + i  # the slow line
    return total

def hungry(Py_ssize_t n):
    kept = []
    for _ in range(n):
        kept.append(np.ones(20_000))  # the line that allocates
    return len(kept)

def columns(Py_ssize_t n):
    cdef Py_ssize_t i, j
    cdef float total = 0
    cdef float *x = <float *> calloc(n * n, sizeof(float))
    for j in range(n):
        for i in range(n):
            total += x[i * n + j]  # hostile to the cache
    free(x)
    return total

def rows(Py_ssize_t n):
    cdef Py_ssize_t i, j
    cdef float total = 0
    cdef float *x = <float *> calloc(n * n, sizeof(float))
    for i in range(n):
        for j in range(n):
            total += x[i * n + j]
    free(x)
    return total
"""

BUILD = """
import sys
from setuptools import Extension, setup
from Cython.Build import cythonize
setup(
    script_args=["build_ext", "--inplace"],
    ext_modules=cythonize(
        [Extension("planted", ["planted.pyx"], extra_compile_args=["-O2", *sys.argv[1:]])],
        emit_linenums="-g1" in sys.argv,
        quiet=True,
    ),
)
"""


def build(folder, *flags):
    """Compile the planted module, as its user would."""
    if COMPILER is None:
        pytest.skip("no C compiler")
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    (folder / "planted.pyx").write_text(PYX, encoding="utf-8")
    (folder / "build.py").write_text(BUILD, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "build.py", *flags], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Return a folder with the planted module, built with its lines."""
    folder = tmp_path_factory.mktemp("compiled")
    build(folder, "-g1")
    return folder


@pytest.fixture
def planted(compiled, script, tmp_path):
    """Put the module and its source beside the script."""
    for path in (compiled / "planted.pyx", *compiled.glob("planted*.so")):
        shutil.copy(path, tmp_path)


@SAMPLED
def test_planted_lines_of_a_pyx_come_first(script, planted):
    script("import planted\nplanted.slow(60_000_000)\nplanted.hungry(5)\n", "slow.py")
    data = report("slow.py")
    # The compiler merges the head of a loop with its body.
    assert first(data, "seconds", origin="pyx") in (
        "total = total / 1.0000001 + i  # the slow line",
        "for i in range(n):",
    )
    assert {
        line["function"] for line in data["lines"] if line["origin"] == "pyx" and (line["samples"] or 0) > 20
    } == {"slow"}
    script(
        """
        import planted
        for _ in range(8):
            planted.columns(3000)
            planted.rows(3000)
        """,
        "misses.py",
    )
    data = report("misses.py")
    top = max((line for line in data["lines"] if line["origin"] == "pyx"), key=lambda line: line["seconds"])
    assert top["function"] == "columns"
    assert Path(top["file"]).name == "planted.pyx"


@SAMPLED
def test_a_planted_line_of_a_pyx_that_allocates_comes_first(script, planted):
    script("import planted\nplanted.hungry(50)\nplanted.slow(10)\n")
    data = report("script.py")
    assert first(data, "bytes") == "kept.append(np.ones(20_000))  # the line that allocates"
    top = max(data["lines"], key=lambda line: line["bytes"] or 0)
    assert (top["origin"], top["function"]) == ("pyx", "hungry")
    assert (top["allocations"], top["bytes"]) == (50, 50 * 160_000)
    assert data["program"]["children_cpu_seconds"] == 0.0


@SAMPLED
def test_a_pyx_without_lines_is_told(script, tmp_path, capsys):
    build(tmp_path)
    script("import planted\nplanted.slow(60_000_000)\n")
    data = report("script.py")
    assert any("planted" in note and "emit_linenums=True and -g1" in note for note in data["notes"])
    assert "emit_linenums=True and -g1" in " ".join(capsys.readouterr().out.split())


@SAMPLED
def test_a_pyx_without_its_source_is_told(script, compiled, tmp_path, capsys):
    for path in compiled.glob("planted*.so"):
        shutil.copy(path, tmp_path)
    source = compiled / "planted.pyx"
    hidden = source.rename(source.with_suffix(".hidden"))
    try:
        script("import planted\nplanted.slow(60_000_000)\n")
        data = report("script.py")
    finally:
        hidden.rename(source)
    assert any(line["origin"] == "pyx" and line["source"] == "" for line in data["lines"])
    assert "The source was not found" in " ".join(capsys.readouterr().out.split())


def test_lines_and_memory_are_further_runs_in_the_same_table(script, capfd):
    script(PLANTED + "collect(300)\nprint('ran', flush=True)\n")
    data = report("script.py", "--lines", "--memory", "--functions", "collect")
    captured = capfd.readouterr()
    assert captured.out.count("ran\n") == 3
    assert captured.err.count("One more run, followed by") == 2
    by_source = {line["source"].strip().split("(")[0]: line for line in data["lines"]}
    line = by_source["kept.append"]
    assert (line["hits"], line["allocations"]) == (300, 300)
    assert line["resident_growth"] > 20_000_000
    assert "hits" in captured.out
    assert "process" in captured.out


@SAMPLED
def test_several_runs_give_each_lines_time_in_each(script, capfd):
    script("""
        total = 0
        for i in range(2_000_000):
            total += i % 7
        print("ran")
    """)
    data = report("script.py", "--runs", "3")
    line = max(data["lines"], key=lambda line: line["seconds"])
    assert len(line["run_seconds"]) == 3
    assert min(line["run_seconds"]) > 0
    assert line["seconds"] == pytest.approx(sum(line["run_seconds"]) / 3)
    assert (data["sampling"]["runs"], data["sampling"]["calls"]) == (3, 3)
    assert len(data["calibration"]["during"]) == 2
    captured = capfd.readouterr()
    assert captured.out.count("ran\n") == 3
    assert "Run 3 of 3." in captured.err
    assert all(line["run_seconds"] is None for line in report("script.py")["lines"])


def test_a_series_ends_with_a_run_that_ends_otherwise(script, capsys):
    script("""
        from pathlib import Path
        again = Path("again")
        if again.exists():
            raise ValueError("twice")
        again.touch()
    """)
    data = report("script.py", "--runs", "5", code=1)
    assert any(note.startswith("Run 2 of 5 ended otherwise than the first") for note in data["notes"])
    assert "The script raised ValueError: twice" in " ".join(capsys.readouterr().out.split())
    data = report("script.py", "--runs", "5", code=1)
    assert "There was one run of 5: it did not end well." in data["notes"]


def test_buffers_that_differ_between_runs_are_told(script):
    script("""
        from pathlib import Path
        import numpy as np
        count = Path("count")
        number = int(count.read_text()) if count.exists() else 1
        count.write_text(str(number + 1))
        kept = [np.ones(100) for _ in range(number)]
    """)
    data = report("script.py", "--runs", "2")
    assert any(note.startswith("Buffers: bytes and count differ from run to run") for note in data["notes"])


def test_a_budget_that_ends_is_told_with_its_place(script, capsys):
    script(PLANTED + "count(3_000_000)\n")
    data = report("script.py", "--lines", "--functions", "count", "--budget-events", "20000")
    (note,) = [note for note in data["notes"] if "stopped after" in note]
    assert note.startswith("line_profiler stopped after")
    assert "script.py:" in note
    assert "--budget-events allows more" in note
    assert 0 < max(line["hits"] or 0 for line in data["lines"]) < 3_000_000


def test_a_function_that_never_ran_is_told(script, capsys):
    script(PLANTED + "def never():\n    pass\ncount(1000)\ncollect(10)\n")
    data = report("script.py", "--functions", "never", "colect")
    assert any(note.startswith("never: never found running, nor allocating") for note in data["notes"])
    assert any("did you mean collect?" in note for note in data["notes"])
    assert "No function of the user's own code" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        ("raise ValueError('no good')", 1, "The script raised ValueError: no good, in script.py line"),
        ("import sys; sys.exit(7)", 7, "The script ended itself by sys.exit(7)"),
        ("import os; os._exit(3)", 3, "os._exit(3)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143, "was killed by SIGTERM"),
    ],
)
def test_the_reports_exit_code_is_the_scripts(script, capfd, end, code, words):
    script(PLANTED + f"collect(300)\nimport time; time.sleep(1.3)\n{end}\n")
    data = report("script.py", code=code)
    assert data["program"]["exit_code"] == code
    assert first(data, "bytes").endswith("# the line that allocates")
    assert words in " ".join(capfd.readouterr().out.split())


def test_the_scripts_output_comes_before_the_report_and_its_arguments_reach_it(script, capfd):
    script("import sys\nprint('arguments', sys.argv[1:], flush=True)\n")
    data = report("script.py", "--", "--epochs", "1")
    out = capfd.readouterr().out
    assert out.startswith("arguments ['--epochs', '1']\nscript.py --epochs 1\n")
    assert data["target"] == {"kind": "script", "name": "script.py", "arguments": ["--epochs", "1"]}


def test_a_script_that_reads_its_input_can(script):
    script("import sys\nsys.exit(len(input()))\n")
    root = str(Path(_report_runs.__file__).parent.parent.parent)
    done = subprocess.run(
        [sys.executable, "-m", "profiling.report", "script.py"],
        input="four\n",
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert done.returncode == 4, done.stderr


def test_a_function_is_reported_per_call(script):
    script("import numpy as np\ndef work(n):\n    y = np.ones(n)\n    return y * 2\n", "mod.py")
    data = report("mod:work", "--setup", "n = 1000", "--args", "n", "--lines")
    assert data["target"] == {
        "kind": "function",
        "name": "mod:work",
        "arguments": {"setup": "n = 1000", "args": "n"},
    }
    lines = {line["line"]: line for line in data["lines"]}
    assert [lines[number]["hits"] for number in (3, 4)] == [1, 1]
    assert [lines[number]["bytes"] for number in (3, 4)] == [8000, 8000]
    assert data["sampling"]["calls"] > 100


@SAMPLED
def test_a_function_of_an_installed_package_shows_its_lines(script):
    """Its package is not the user's own, but he asked for it."""
    data = report("textwrap:fill", "--setup", "text = 'some words ' * 2000", "--args", "text")
    assert {Path(line["file"]).name for line in data["lines"]} == {"textwrap.py"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["matmull"],
            "unknown target 'matmull': no operation of that name, and no script; did you mean matmul?",
        ),
        (["scrpt.py"], "script scrpt.py does not exist; did you mean script.py?"),
        (["nofolder/script.py"], "does not exist."),
        (["folder"], "unknown target 'folder'"),
        (["folder/"], "folder is a folder, not a script; give a script, such as folder/__main__.py"),
        (["broken.py"], "broken.py, line 2: "),
        (["latin.py"], "latin.py: invalid or missing encoding declaration"),
        (["mod:nothing"], "module mod has no 'nothing'"),
        (["nomod:f"], "no module named 'nomod'"),
        (["mod:f", "--args", "1 / 0"], "--args '1 / 0' failed: ZeroDivisionError: division by zero"),
        (["mod:f", "--setup", "x ="], "failed: SyntaxError"),
        (["mod:2"], "'mod:2' is not package.module:function"),
        (["-m", "nomod"], "no module named nomod"),
        ([], "expected one TARGET, or -m MODULE"),
        (["script.py", "--size", "3"], "--size: not for a script"),
        (["script.py", "--args", "3"], "--args: not for a script"),
        (["mod:f", "--threads", "2"], "--threads: not for a function"),
        (["mod:f", "--", "x"], "takes no arguments after --: only a script does"),
        (["script.py", "--no-save"], "--no-save is for operations"),
    ],
)
def test_what_cannot_be_profiled_ends_with_2_and_says_why(script, capfd, arguments, message):
    script("print('ran')\n")
    script("def f(x=1):\n    return x\n", "mod.py")
    script("x = 1\nif x\n", "broken.py")
    Path("latin.py").write_bytes(b"x = '\xe9'\n")
    Path("folder").mkdir()
    Path("folder/__main__.py").touch()
    assert main(["report", *arguments]) == 2
    captured = capfd.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_a_call_in_this_process_is_reported(script):
    script("import numpy as np\ndef work():\n    return [np.ones(1000) for _ in range(7)]\n", "inproc.py")
    namespace = {}
    path = Path("inproc.py").absolute()
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    document = profile_call(namespace["work"], name="work()", seconds=0.05, lines=True)
    (line,) = [line for line in document.data["lines"] if line["allocations"]]
    assert (line["file"], line["line"], line["function"]) == (str(path), 3, "work")
    assert (line["allocations"], line["bytes"]) == (7, 56_000)
    assert line["hits"] > 0
    assert document.title == "work()"
    with pytest.raises(ZeroDivisionError):
        profile_call(lambda: 1 / 0, once=True)


def test_a_python_that_cannot_sample_says_so(script, monkeypatch, capsys):
    """The child asks for itself; here its answer is read."""
    from profiling.collect import runner

    script(PLANTED + "collect(5)\n")
    read = runner._read_samples
    monkeypatch.setattr(
        runner,
        "_read_samples",
        lambda folder: ((), {"reason": "there are no timers"}) if read(folder) else None,
    )
    data = report("script.py", "--lines", "--functions", "collect")
    assert "Not sampled: there are no timers." in data["notes"]
    text = capsys.readouterr().out
    assert "No times: there are no timers." in text
    assert {line["seconds"] for line in data["lines"]} == {None}


DIGITS = """
import sys
import numpy as np
from sklearn.datasets import load_digits

def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)

def train(x, y, epochs, hidden=64, rate=0.1):
    rng = np.random.default_rng(0)
    w1, w2 = rng.normal(0, 0.1, (64, hidden)), rng.normal(0, 0.1, (hidden, 10))
    for _ in range(epochs):
        for start in range(0, len(x), 64):
            a, target = x[start : start + 64], y[start : start + 64]
            h = np.maximum(a @ w1, 0)
            grad = softmax(h @ w2)
            grad[np.arange(len(target)), target] -= 1
            grad /= len(target)
            back = (grad @ w2.T) * (h > 0)
            w2 -= rate * (h.T @ grad)
            w1 -= rate * (a.T @ back)
    return ((np.maximum(x @ w1, 0) @ w2).argmax(axis=1) == y).mean()

digits = load_digits()
accuracy = train(digits.data / 16, digits.target, int(sys.argv[1]))
print(accuracy > 0.9, flush=True)
"""


@SAMPLED
def test_a_training_script_on_real_digits(script, capfd):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    script(DIGITS, "train.py")
    data = report("train.py", "--html", "page.html", "--", "40")
    assert capfd.readouterr().out.startswith("True\ntrain.py 40\n")
    operations = {entry["name"]: entry for entry in data["operations"]}
    steps = 40 * -(-1797 // 64)
    assert operations["matmul"]["calls"] == 5 * steps + 2
    allocating = {line["function"] for line in data["lines"] if line["allocations"]}
    assert {"train", "softmax"} <= allocating
    assert all(Path(line["file"]).name == "train.py" for line in data["lines"] if line["origin"] == "python")
    assert "softmax" in Path("page.html").read_text(encoding="utf-8")
