"""Requests that compiled Cython code makes are counted on the lines of its source, exactly."""

import collections
import ctypes
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import threading
import types
from pathlib import Path

import numpy as np
import pytest

from profiling.collect import compiled_modules
from profiling.collect.allocations import count_allocations
from profiling.collect.compiled_modules import CompiledLines, is_from_cython, source_names, wanted_by_name
from profiling.collect.native_lines import _reader

COMPILER = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0])
FOUND = sys.platform == "linux" and os.uname().machine in ("x86_64", "aarch64") and sys.version_info < (3, 14)
pytestmark = [
    pytest.mark.skipif(not FOUND, reason="lines of compiled code are found on Linux, before Python 3.14"),
    pytest.mark.skipif(FOUND and _reader() is None, reason="no addr2line and no pyelftools"),
]

PYX = """\
# cython: language_level=3
import numpy as np


def two():
    first = np.empty(100)  # empty
    second = np.zeros(200)  # zeros
    return first, second


def helpers(x):
    like = np.zeros_like(x)  # like
    return like, np.stack([x, x])  # stack


def call(function):
    result = function()  # call
    return result, np.empty(30)  # after


def recurse(int depth, function):
    if depth == 0:
        return np.empty(50)  # bottom
    return function(depth - 1)


def itself(int depth):
    x = np.empty(60)  # each
    return itself(depth - 1) if depth else x


cdef int inner(int size) except -1 nogil:
    with gil:
        np.empty(size)  # with gil
    return 0


def without(int size):
    with nogil:
        inner(size)


def fails(size):
    try:
        np.add(np.empty(size), np.empty(size + 1))  # fails
    except ValueError:
        return np.empty(size)  # handled


def produce(int count):
    for _ in range(count):
        yield np.empty(40)  # yields


def resized():
    x = np.empty(100)  # made
    x.resize(300, refcheck=False)  # moved
    return x


def many(int count):
    for _ in range(count):
        np.empty(70)  # many


class Model:
    def step(self):
        return np.empty(80)  # method
"""

BUILD = """\
import sys
from setuptools import Extension, setup
from Cython.Build import cythonize
name, *flags = sys.argv[1:]
setup(
    script_args=["build_ext", "--inplace"],
    ext_modules=cythonize(
        [Extension(name, [name + ".pyx"], extra_compile_args=["-O2", *flags])],
        emit_linenums="-g1" in flags,
        quiet=True,
    ),
)
"""


def build(folder, name, *flags):
    if COMPILER is None:
        pytest.skip("no C compiler")
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    (folder / f"{name}.pyx").write_text(PYX, encoding="utf-8")
    (folder / "build.py").write_text(BUILD, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "build.py", name, *flags], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (module,) = folder.glob(f"{name}.*.so")
    return module


def load(path):
    spec = importlib.util.spec_from_file_location(path.name.split(".")[0], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Give the path of a module that was built with its lines."""
    return build(tmp_path_factory.mktemp("hungry"), "hungry", "-g1")


@pytest.fixture(scope="module")
def hungry(built):
    return load(built)


@pytest.fixture(scope="module")
def source(built):
    return str(built.with_name("hungry.pyx"))


def number_of(mark):
    (number,) = [at for at, text in enumerate(PYX.splitlines(), 1) if text.endswith(f"# {mark}")]
    return number


def found_in(counter, filename):
    """Return the count of each line of a file, by the mark at its end."""
    marks = {at: text.rpartition("# ")[2] for at, text in enumerate(PYX.splitlines(), 1)}
    return {marks[entry.line]: entry.count for entry in counter.lines() if entry.filename == filename}


def test_each_line_has_its_own_requests(hungry, source):
    with count_allocations(lines=source) as counter:
        for _ in range(3):
            kept = hungry.two()
    first, second = counter.lines()
    assert (first.filename, first.function, first.line) == (source, "two", number_of("empty"))
    assert (first.count, first.bytes, first.live) == (3, 3 * 800, 800)
    assert (second.line, second.count, second.bytes) == (number_of("zeros"), 3, 3 * 1600)
    # The next pair is made while the one before is alive.
    assert (first.peak, second.peak) == (1600, 3200)
    assert counter.notes == ()
    del kept


def test_python_helpers_of_numpy_belong_to_the_line_that_called_them(hungry, source):
    with count_allocations(lines=source) as counter:
        hungry.helpers(np.ones(100))
    assert found_in(counter, source) == {"like": 1, "stack": 1}
    assert [entry.count for entry in counter.lines() if not entry.filename] == [1]


def test_a_wanted_python_line_that_compiled_code_called_comes_first(hungry, source):
    def callback():
        return np.empty(90)

    with count_allocations(lines=lambda name: name in (source, __file__)) as both:
        hungry.call(callback)
    assert [(entry.line, entry.count) for entry in both.lines() if entry.filename == __file__] == [
        (callback.__code__.co_firstlineno + 1, 1)
    ]
    assert found_in(both, source) == {"after": 1}
    with count_allocations(lines=source) as compiled:
        hungry.call(callback)
    assert found_in(compiled, source) == {"call": 1, "after": 1}
    with count_allocations(lines=__file__) as python:
        hungry.call(callback)
    assert [entry.count for entry in python.lines()] == [1, 1]


def test_compiled_code_between_python_frames(hungry, source):
    wanted = (source, __file__)

    def outer():
        return hungry.call(lambda: hungry.call(lambda: np.empty(90)))

    with count_allocations(lines=lambda name: name in wanted) as counter:
        outer()
    assert found_in(counter, source) == {"after": 2}
    (line,) = [entry for entry in counter.lines() if entry.filename == __file__]
    assert (line.line, line.count) == (outer.__code__.co_firstlineno + 1, 1)


@pytest.mark.parametrize("both", [True, False])
def test_deep_recursion_through_both_languages(hungry, source, both):
    def back(depth):
        return hungry.recurse(depth, back)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    try:
        with count_allocations(lines=lambda name: name == source or (both and name == __file__)) as counter:
            hungry.recurse(500, back)
            hungry.itself(500)
    finally:
        sys.setrecursionlimit(limit)
    assert found_in(counter, source) == {"bottom": 1, "each": 501}
    assert counter.count == 502


def test_deep_python_recursion_below_a_compiled_call(hungry, source):
    def down(depth):
        return down(depth - 1) if depth else np.empty(50)

    with count_allocations(lines=source) as counter:
        hungry.call(lambda: down(500))
    assert found_in(counter, source) == {"call": 1, "after": 1}


def test_a_function_without_the_interpreters_lock(hungry, source):
    with count_allocations(lines=source) as counter:
        hungry.without(100)
    assert found_in(counter, source) == {"with gil": 1}
    assert [entry.function for entry in counter.lines()] == ["inner"]


def test_exceptions_generators_methods_and_reallocations(hungry, source):
    with count_allocations(lines=source) as counter:
        hungry.fails(100)
        for array in hungry.produce(3):
            del array
        hungry.Model().step()
        moved = hungry.resized()
        assert counter.live == moved.nbytes
    found = {entry.line: entry for entry in counter.lines()}
    assert found_in(counter, source) == {
        "fails": 2,
        "handled": 1,
        "yields": 3,
        "method": 1,
        "made": 1,
        "moved": 1,
    }
    assert (found[number_of("made")].live, found[number_of("moved")].live) == (0, 2400)
    assert found[number_of("moved")].bytes == 2400


def test_threads_have_their_own_stacks(hungry, source):
    def work():
        for _ in range(200):
            hungry.two()
            np.empty(90)

    line = work.__code__.co_firstlineno + 3
    with count_allocations(lines=lambda name: name in (source, __file__)) as counter:
        threads = [threading.Thread(target=work) for _ in range(4)]
        # A function of C is the thread's outermost: no frame of Python is below it.
        threads += [threading.Thread(target=hungry.many, args=(300,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found_in(counter, source) == {"empty": 800, "zeros": 800, "many": 600}
    assert {entry.line: entry.count for entry in counter.lines() if entry.filename == __file__} == {line: 800}


def allocates_through_foreign_code(arguments):
    """Call back through libffi, which makes room on the stack for so many arguments as there are."""
    types_of_all = [ctypes.c_double] * arguments
    callback = ctypes.PYFUNCTYPE(ctypes.c_int, *types_of_all)(lambda *_: np.empty(20).ndim)
    return lambda: callback(*range(arguments))


def mixture(hungry, steps, seed):
    """Call many things in any order and at any depth; return how often each line asked for a buffer."""
    choice = random.Random(seed)
    foreign = [allocates_through_foreign_code(number) for number in (0, 3, 9, 40)]

    def down(depth, action):
        return down(depth - 1, action) if depth else action()

    def back(depth):
        return hungry.recurse(depth, back)

    actions = [
        (hungry.two, {"empty": 1, "zeros": 1}),
        (lambda: hungry.helpers(hungry.two()[0]), {"empty": 1, "zeros": 1, "like": 1, "stack": 1}),
        (lambda: hungry.without(50), {"with gil": 1}),
        (lambda: hungry.fails(20), {"fails": 2, "handled": 1}),
        (lambda: hungry.itself(3), {"each": 4}),
        (lambda: back(2), {"bottom": 1}),
        (lambda: list(hungry.produce(2)), {"yields": 2}),
        (hungry.resized, {"made": 1, "moved": 1}),
        (hungry.Model().step, {"method": 1}),
        (lambda: np.empty(20), {"": 1}),
        (lambda: np.stack([OLD, OLD]), {"": 1}),
        *((function, {"": 1}) for function in foreign),
        *((lambda function=function: hungry.call(function), {"call": 1, "after": 1}) for function in foreign),
    ]
    expected = collections.Counter()
    for _ in range(steps):
        action, counts = choice.choice(actions)
        depth = choice.choice((0, 1, 5))
        if choice.random() < 0.3:
            hungry.call(lambda depth=depth, action=action: down(depth, action))
            expected["after"] += 1
            counts = {mark or "call": count for mark, count in counts.items()}
        else:
            down(depth, action)
        expected.update(counts)
    return expected


OLD = np.ones(30)


@pytest.mark.parametrize("seed", range(4))
def test_any_mixture_of_calls_is_counted_exactly(hungry, source, seed):
    with count_allocations(lines=source) as counter:
        expected = mixture(hungry, 1500, seed)
    python = sum(entry.count for entry in counter.lines() if not entry.filename)
    assert {**found_in(counter, source), "": python} == dict(expected)


def test_any_mixture_of_calls_in_threads(hungry, source):
    results = []

    def work(seed):
        results.append(mixture(hungry, 500, seed))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with count_allocations(lines=source) as counter:
            threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(interval)
    expected = sum(results, collections.Counter())
    python = sum(entry.count for entry in counter.lines() if not entry.filename)
    assert {**found_in(counter, source), "": python} == dict(expected)


def test_greenlets_that_share_a_stack(hungry, source):
    greenlet = pytest.importorskip("greenlet")
    main = greenlet.getcurrent()

    def work():
        for _ in range(20):
            hungry.two()
            hungry.call(lambda: [main.switch(), np.empty(20)])
            np.stack([OLD, OLD])

    def resume(others, depth):
        return resume(others, depth - 1) if depth else [hungry.call(other.switch) for other in others]

    with count_allocations(lines=source) as counter:
        others = [greenlet.greenlet(work) for _ in range(3)]
        for depth in range(21):
            resume(others, depth)
    found = found_in(counter, source)
    assert all(other.dead for other in others)
    # What `hungry.call` called stands for it in the greenlet; the switch to one allocates nothing there.
    assert found == {"empty": 60, "zeros": 60, "call": 60, "after": 60 + 63}
    assert counter.count == sum(found.values()) + 60


def test_a_module_that_is_loaded_while_it_counts(built, tmp_path):
    copy = Path(shutil.copy(built, tmp_path))
    source = shutil.copy(built.with_name("hungry.pyx"), tmp_path)
    with count_allocations(lines=source) as counter:
        np.empty(100)
        load(copy).two()
    assert found_in(counter, source) == {"empty": 1, "zeros": 1}
    assert counter.notes == ()


def test_the_same_counts_after_the_end_and_in_another_counter(hungry, source):
    with count_allocations(lines=source) as outer:
        hungry.two()
        with count_allocations(lines=source) as inner, count_allocations(lines=__file__) as python:
            hungry.two()
    assert found_in(outer, source) == {"empty": 2, "zeros": 2}
    assert found_in(inner, source) == {"empty": 1, "zeros": 1}
    assert [entry.count for entry in python.lines()] == [2]
    assert outer.to_dict()["lines"] == [entry.to_dict() for entry in outer.lines()]


def test_without_its_source_the_recorded_name_is_told(built, tmp_path):
    copy = Path(shutil.copy(built, tmp_path))
    source = built.with_name("hungry.pyx")
    hidden = source.rename(source.with_suffix(".hidden"))
    try:
        with count_allocations(lines=lambda name: name in (str(copy), str(source))) as counter:
            load(copy).two()
        with count_allocations(lines=__file__) as python:
            load(copy).two()
    finally:
        hidden.rename(source)
    assert [(entry.filename, entry.line) for entry in counter.lines()] == [
        (str(source), number_of("empty")),
        (str(source), number_of("zeros")),
    ]
    assert [(entry.filename, entry.count) for entry in python.lines()] == [(__file__, 2)]


def test_a_module_without_lines_is_told_and_its_callers_stand_for_it(tmp_path):
    path = build(tmp_path, "plain", "-g0")
    module = load(path)
    with count_allocations(lines=lambda name: name == __file__ or "plain" in name) as counter:
        module.two()
    (line,) = counter.lines()
    assert (line.filename, line.count) == (__file__, 2)
    (note,) = counter.notes
    assert path.name in note
    assert "emit_linenums=True and -g1" in note
    with count_allocations(lines=__file__) as unasked:
        module.two()
    assert unasked.notes == ()


def test_an_addr2line_that_fails_is_told(hungry, source, monkeypatch):
    def fail(module, offset):
        raise RuntimeError("addr2line failed on hungry: no such thing")

    monkeypatch.setattr(compiled_modules, "_native_line", fail)
    with count_allocations(lines=lambda name: name in (source, __file__)) as counter:
        hungry.two()
    assert [(entry.filename, entry.count) for entry in counter.lines()] == [(__file__, 2)]
    (note,) = counter.notes
    assert "addr2line failed on hungry" in note


def test_a_predicate_that_fails_for_compiled_sources_is_told(hungry, source):
    def fails(name):
        if name == source:
            raise LookupError("no such table")
        return False

    with count_allocations(lines=fails) as counter:
        hungry.two()
    assert counter.count == 2
    assert "no such table" in counter.notes[0]


def test_which_modules_may_have_lines(built, tmp_path):
    source = str(built.with_name("hungry.pyx"))
    assert "hungry.pyx" in source_names(str(built))
    assert is_from_cython(str(built))
    assert CompiledLines(lambda name: name == source).may_have(str(built))
    assert not CompiledLines(lambda name: False).may_have(str(built))
    text = tmp_path / "text.so"
    text.write_text("no module")
    assert (source_names(str(text)), is_from_cython(str(text))) == ((), False)
    assert not CompiledLines(lambda name: True).may_have(str(text))
    # The counters stand between a line and NumPy: the requests they pass on are not theirs.
    own = [str(path) for path in Path(compiled_modules.__file__).parent.glob("*.so")]
    assert own
    assert not any(CompiledLines(lambda name: True).may_have(path) for path in own)


def test_modules_are_known_by_name_where_loaded_code_cannot_be_seen(hungry):
    module = types.ModuleType("python")
    module.__file__ = __file__
    modules = {"hungry": hungry, "python": module, "sys": sys}
    assert wanted_by_name(lambda name: True, modules) == ["hungry"]
    assert wanted_by_name(lambda name: False, modules) == []


def test_heavy_use_with_threads(built):
    source = """
        import importlib.util, sys, threading, time
        import numpy as np
        from profiling.collect.allocations import count_allocations

        sys.setswitchinterval(1e-5)
        path, source = sys.argv[1:]
        spec = importlib.util.spec_from_file_location("hungry", path)
        hungry = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(hungry)
        end = time.monotonic() + SECONDS
        errors = []

        def allocate():
            while time.monotonic() < end:
                hungry.two()
                hungry.helpers(np.empty(20))
                hungry.call(lambda: hungry.call(lambda: np.empty(20)))
                hungry.itself(30)
                hungry.without(50)
                hungry.fails(20)
                for array in hungry.produce(3):
                    array.resize(90, refcheck=False)

        def count(everything):
            while time.monotonic() < end:
                with count_allocations(lines=True if everything else source) as counter:
                    hungry.two()
                    time.sleep(1e-3)
                found = counter.lines()
                for figure in ("count", "bytes", "live"):
                    if sum(getattr(entry, figure) for entry in found) != getattr(counter, figure):
                        errors.append(figure)
                if not {"empty", "zeros"} <= {marks.get(e.line) for e in found if e.filename == source}:
                    errors.append([(e.filename, e.line) for e in found])

        with open(source) as file:
            marks = {at: text.strip().rpartition("# ")[2] for at, text in enumerate(file, 1)}
        threads = [threading.Thread(target=allocate) for _ in range(5)]
        threads += [threading.Thread(target=count, args=(number % 2,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors[:3]
    """
    result = subprocess.run(
        [
            sys.executable,
            "-X",
            "faulthandler",
            "-c",
            textwrap.dedent(source).replace("SECONDS", "2"),
            str(built),
            str(built.with_name("hungry.pyx")),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert result.returncode == 0, result.stderr[-3000:]
