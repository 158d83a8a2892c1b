"""Native addresses get the lines of the sources they were built from, or a reason why not."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from profiling.collect import elf, native_lines
from profiling.collect.elf import NotElfError, read_sections
from profiling.collect.native_lines import (
    NativeLine,
    find_source,
    plain_name,
    pyx_line_times,
    resolve,
    why_unavailable,
)
from profiling.collect.samples import Sample

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF files are Linux's")

COMPILER = shutil.which("cc") or shutil.which("gcc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler")
# What Cython writes: a source line before each piece of C, and its own helpers without any.
SOURCE = """\
const char *const names[] = {"pack/fast.pyx"};
#line 4 "pack/fast.pyx"
static double __pyx_f_4pack_4fast_inner(const double *x, int n) {
#line 5 "pack/fast.pyx"
    double total = 0;
#line 6 "pack/fast.pyx"
    for (int i = 0; i < n; i++)
#line 7 "pack/fast.pyx"
        total += x[i] * x[i];
#line 8 "pack/fast.pyx"
    return total;
}
#line 10 "pack/fast.pyx"
double outer(const double *x, int n) {
#line 11 "pack/fast.pyx"
    return __pyx_f_4pack_4fast_inner(x, n) + 1;
}
double helper(double x) { return names[0] ? x * 3 : x; }
"""
PYX = """\
# a module


cdef double inner(double *x, int n):
    cdef double total = 0
    for i in range(n):
        total += x[i] * x[i]
    return total

def outer(x, n):
    return inner(x, n) + 1
# the end
"""


def build(folder, *flags, source=SOURCE, name="fast.so"):
    folder.mkdir(exist_ok=True)
    (folder / "fast.c").write_text(source)
    # addr2line 2.40 takes the first rows of a DWARF 5 table for the C file's; here every row counts.
    command = [
        COMPILER,
        "-O1",
        "-gdwarf-4",
        "-g0",
        "-fno-inline",
        "-shared",
        "-fPIC",
        *flags,
        "-o",
        name,
        "fast.c",
    ]
    subprocess.run(command, cwd=folder, check=True)
    return str(folder / name)


@pytest.fixture
def installed(tmp_path):
    """Give a module built in one folder and installed, with its source, in another."""
    built = build(tmp_path / "build", "-g1")
    package = tmp_path / "site" / "pack"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "fast.pyx").write_text(PYX)
    shutil.move(built, package / "fast.so")
    shutil.rmtree(tmp_path / "build")
    return str(package / "fast.so")


def functions(module):
    text = subprocess.run(["nm", "-S", module], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in text.splitlines()]
    return {
        row[3]: range(int(row[0], 16), int(row[0], 16) + int(row[1], 16)) for row in rows if len(row) == 4
    }


def at(module, *offsets, seconds=1.0, running=True):
    return [Sample(1, (), module, offset, seconds, running) for offset in offsets]


def both_readers():
    return pytest.mark.parametrize("reader", ["addr2line", "pyelftools"])


def choose(reader, monkeypatch):
    if reader == "addr2line":
        if shutil.which("addr2line") is None:
            pytest.skip("no addr2line")
    else:
        pytest.importorskip("elftools")
        monkeypatch.setattr("shutil.which", lambda name: None)
        monkeypatch.setattr(elf, "_tables", elf._tables.__wrapped__)


@needs_compiler
@both_readers()
def test_lines_are_those_of_the_source_beside_the_installed_module(installed, reader, monkeypatch):
    choose(reader, monkeypatch)
    assert why_unavailable(installed) is None
    places = functions(installed)
    inner = places["__pyx_f_4pack_4fast_inner"]
    lines = resolve(at(installed, *inner))
    found = {line.line for line in lines.values() if line is not None}
    assert {6, 7} & found
    assert found <= set(range(4, 10))
    assert {line.filename for line in lines.values() if line is not None} == {
        str(Path(installed).with_name("fast.pyx"))
    }
    assert {line.function for line in lines.values() if line is not None} == {"__pyx_f_4pack_4fast_inner"}


@needs_compiler
@both_readers()
def test_an_address_outside_of_the_code_has_no_line(installed, reader, monkeypatch):
    choose(reader, monkeypatch)
    assert resolve(at(installed, 0, 0x7FFFFFFF)) == {(installed, 0): None, (installed, 0x7FFFFFFF): None}


@needs_compiler
def test_line_times_of_a_pyx_file(installed):
    places = functions(installed)
    inner, outer, helper = (places[name] for name in ("__pyx_f_4pack_4fast_inner", "outer", "helper"))
    samples = [
        *at(installed, *inner, seconds=2.0),
        *at(installed, *outer, seconds=0.25),
        *at(installed, *helper, seconds=100.0),
        *at(installed, inner[0], seconds=1000.0, running=False),
        *at(None, 0, seconds=1000.0),
    ]
    times = pyx_line_times(samples)
    source = str(Path(installed).with_name("fast.pyx"))
    assert {key[0] for key in times} == {source}
    assert {key[1:3] for key in times} == {("inner", 4), ("outer", 10)}
    first = next(iter(times))
    assert first[1] == "inner"
    # Cython's helpers stand behind the last line of the file, and count for none of its lines.
    assert sum(entry.seconds for entry in times.values()) == 2.0 * len(inner) + 0.25 * len(outer)


@needs_compiler
def test_without_its_source_a_line_keeps_its_recorded_name(installed):
    source = Path(installed).with_name("fast.pyx")
    source.unlink()
    native_lines.find_source.cache_clear()
    native_lines._functions.cache_clear()
    inner = functions(installed)["__pyx_f_4pack_4fast_inner"]
    times = pyx_line_times(at(installed, *inner))
    assert {Path(key[0]).name for key in times} == {"fast.pyx"}
    assert {key[1:3] for key in times} == {("inner", 0)}


@needs_compiler
@pytest.mark.parametrize(
    ("flags", "source", "reason"),
    [
        ((), SOURCE, "built without line information, or stripped: build with emit_linenums=True and -g1"),
        (("-g1", "-s"), SOURCE, "built without line information, or stripped: build with emit_linenums"),
        ((), "int f(int x) { return x; }", "built without line information, or stripped"),
        (
            ("-g1",),
            'const char *const names[] = {"pack/fast.pyx"};\nint f(int x) { return x; }\n',
            "the lines of its generated C file only: build with emit_linenums=True",
        ),
    ],
)
def test_a_module_without_lines_says_why(tmp_path, flags, source, reason):
    module = build(tmp_path / "build", *flags, source=source)
    assert reason in str(why_unavailable(module))
    assert resolve(at(module, 64)) == {(module, 64): None}


def test_a_file_that_is_no_module_says_so(tmp_path):
    text = tmp_path / "module.so"
    assert "the file is not there" in str(why_unavailable(str(text)))
    for content in (b"", b"hello" * 100, b"\x7fELF\x02\x01" + bytes(58), b"\x7fELF\x02\x01" + b"\xff" * 90):
        text.write_bytes(content)
        assert str(why_unavailable(str(text))).startswith("module.so has no lines: ")
        with pytest.raises(NotElfError):
            read_sections(str(text))


@needs_compiler
def test_without_any_reader_there_is_a_reason(installed, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setitem(sys.modules, "elftools", None)
    assert "install binutils (addr2line) or pyelftools" in str(why_unavailable(installed))
    assert list(resolve(at(installed, 64)).values()) == [None]


@needs_compiler
@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo broken >&2; exit 3", "broken"), ("echo 0x1", "answered 1 of 2 addresses")],
)
def test_an_addr2line_that_fails_is_an_error(installed, tmp_path, monkeypatch, script, reason):
    tool = tmp_path / "bin" / "addr2line"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    with pytest.raises(RuntimeError, match=reason):
        resolve(at(installed, 64, 65))


def test_compressed_tables_are_read(tmp_path):
    if COMPILER is None:
        pytest.skip("no C compiler")
    try:
        module = build(tmp_path / "build", "-g1", "-gz=zlib")
    except subprocess.CalledProcessError:
        pytest.skip("this compiler compresses no tables")
    assert why_unavailable(module) is None


def test_the_longest_fitting_path_beside_the_module_is_the_source(tmp_path):
    package = tmp_path / "pack"
    inner = package / "kernels"
    inner.mkdir(parents=True)
    for folder in (package, inner):
        (folder / "__init__.py").touch()
    (inner / "loops.pyx").touch()
    (package / "loops.pyx").touch()
    module = str(inner / "loops.so")
    assert find_source("/build/x/pack/kernels/loops.pyx", module) == str(inner / "loops.pyx")
    assert find_source("pack/loops.pyx", module) == str(package / "loops.pyx")
    assert find_source("/elsewhere/loops.pyx", module) == str(inner / "loops.pyx")
    assert find_source("/usr/include/stdio_of_nowhere.h", module) == "/usr/include/stdio_of_nowhere.h"


@pytest.mark.parametrize(
    ("mangled", "name"),
    [
        ("__pyx_pf_9tensorops_7kernels_6ladder_8naive", "naive"),
        ("__pyx_fuse_1__pyx_pw_9tensorops_7kernels_6ladder_21blocked.constprop.0", "blocked"),
        ("__pyx_f_4pack_4fast_5Class_method", "method"),
        ("__Pyx_PyObject_Call", "__Pyx_PyObject_Call"),
        ("", ""),
    ],
)
def test_names_of_cython_are_made_plain(mangled, name):
    assert plain_name(mangled) == name


def test_the_modules_of_this_project_have_lines():
    from tensorops.kernels import ladder

    module = ladder.__file__
    assert module.endswith(sysconfig.get_config_var("EXT_SUFFIX"))
    assert why_unavailable(module) is None or "addr2line" in str(why_unavailable(module))
    assert isinstance(NativeLine("a.pyx", 1, "f"), NativeLine)
