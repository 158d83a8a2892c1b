"""Which files are a user's own, and which function a line belongs to."""

import json
import os
import sysconfig
from pathlib import Path

import pytest

import profiling
import tensorops
from profiling.collect.own_code import MODULE, OwnCode, block_at, blocks_of, matches

PYTHON = """\
import functools

@functools.cache
def first(x):
    return [y for y in x]

class Model:
    def step(self, x):
        def inner():
            return x
        return inner()

    weight = [
        1,
    ]
value = first(())
"""

CYTHON = '''\
# A comment with def f(x): in it
cdef extern from "math.h":
    double sqrt(double)

cdef inline double square(double x) noexcept nogil:
    return x * x

def longer(
    double[:, ::1] x,
    Py_ssize_t n=3,
):
    """Words.

def not_this_one(): stands in a docstring, at the margin; the function goes on.
    """
    # A comment.
    return square(x[0, 0]) + n

cdef class Holder:
    cdef double value
    cpdef double get(self):
        return self.value

cdef double only_declared(double x)
'''


@pytest.fixture
def sources(tmp_path):
    python, cython = tmp_path / "model.py", tmp_path / "model.pyx"
    python.write_text(PYTHON, encoding="utf-8")
    cython.write_text(CYTHON, encoding="utf-8")
    blocks_of.cache_clear()
    return str(python), str(cython)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (1, MODULE),
        (3, "first"),
        (5, "first"),
        (6, MODULE),
        (7, MODULE),
        (8, "Model.step"),
        (10, "Model.step.inner"),
        (11, "Model.step"),
        (14, MODULE),
        (16, MODULE),
    ],
)
def test_lines_of_python_belong_to_their_function(sources, line, name):
    assert block_at(sources[0], line).name == name


@pytest.mark.parametrize(
    ("line", "name"), [(3, MODULE), (6, "square"), (10, "longer"), (19, MODULE), (22, "Holder.get")]
)
def test_lines_of_cython_belong_to_their_function(sources, line, name):
    assert block_at(sources[1], line).name == name


def test_a_declaration_is_no_function(sources):
    assert "only_declared" not in [block.name for block in blocks_of(sources[1])]
    assert "sqrt" not in [block.name for block in blocks_of(sources[1])]


def test_every_kernel_of_the_library_is_found():
    folder = Path(tensorops.__file__).parent
    for name, functions in {
        "kernels/ladder.pyx": {"naive", "reordered", "blocked"},
        "kernels/gemm/microkernel.pxi": {"tile"},
    }.items():
        found = {block.name for block in blocks_of(str(folder / name))}
        assert functions <= found


def test_a_source_that_is_no_python_or_not_there_has_no_functions(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("def f(:\n", encoding="utf-8")
    assert blocks_of(str(path)) == ()
    assert block_at(str(tmp_path / "missing.py"), 7).name == MODULE


def test_own_code_is_neither_installed_nor_of_the_toolkit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = OwnCode()
    foreign = [
        json.__file__,
        pytest.__file__,
        profiling.__file__,
        tensorops.__file__,
        "<string>",
        os.__file__,
    ]
    assert [own(name) for name in foreign] == [False] * len(foreign)
    assert own("train.py")
    assert own(str(tmp_path / "package" / "module.py"))
    assert own.absolute("train.py") == str(tmp_path / "train.py")
    monkeypatch.chdir("/")
    assert own.absolute("train.py") == str(tmp_path / "train.py")


def test_what_is_named_is_own_wherever_it_stands():
    inside = str(Path(sysconfig.get_paths()["purelib"], "package", "module.py"))
    assert not OwnCode()(inside)
    assert OwnCode([inside])(inside)
    assert OwnCode([str(Path(inside).parent)])(inside)
    assert not OwnCode([inside])(inside + "x")


def test_a_folder_whose_name_only_begins_alike_is_not_the_same(tmp_path):
    own = OwnCode([str(tmp_path / "mine")])
    own._folders = (str(tmp_path / "theirs"), str(tmp_path))
    assert own(str(tmp_path / "mine" / "a.py"))
    assert not own(str(tmp_path / "mine-not" / "a.py"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("step", True),
        ("Model.step", True),
        ("model.py:step", True),
        ("model:Model.step", True),
        ("package.model:step", True),
        ("tep", False),
        ("Other.step", False),
        ("other:step", False),
    ],
)
def test_functions_go_by_several_names(name, expected):
    assert matches(name, "Model.step", "/package/model.py") == expected
