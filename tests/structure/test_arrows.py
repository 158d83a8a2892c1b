"""The import arrows of the design, in the files that import-linter does not see."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.structure.arrows import Arrows, imports
from tests.structure.compiled import ROOT, cython_files, module_name

ARROWS = Arrows.read()


@pytest.mark.parametrize("path", cython_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_cython_file_keeps_the_arrows(path: Path) -> None:
    importer = module_name(path)
    package = importer.rpartition(".")[0]
    found = imports(path.read_text(encoding="utf-8"), package)
    assert [message for name in sorted(found) if (message := ARROWS.violation(importer, name))] == []


def test_layers_are_the_design_s() -> None:
    library, toolkit = ARROWS.stacks
    assert [layer[0] for layer in library[2:]] == [
        "tensorops.boundary",
        "tensorops.dispatch",
        "tensorops.backends",
        "tensorops.kernels",
        "tensorops.runtime",
    ]
    assert toolkit[1] == ("profiling.commands",)


@pytest.mark.parametrize(
    ("importer", "source", "caught"),
    [
        ("tensorops.kernels.ladder", "cimport cython\nfrom libc.stdlib cimport malloc", False),
        ("tensorops.kernels.gemm.loops", "from tensorops.runtime cimport workspace", False),
        ("tensorops.kernels.gemm.loops", "from ...runtime cimport workspace", False),
        ("tensorops.kernels.gemm.ukr", 'include "microkernel.pxi"', False),
        ("tensorops.runtime.cpu", "from tensorops.kernels.table import ISA_NAMES", False),
        ("tensorops.dispatch.table", "def f():\n    from .selection import choose_path", False),
        ("tensorops.runtime.cpu", "from tensorops.kernels.gemm cimport loops", True),
        ("tensorops.runtime.cpu", "from ..kernels.gemm cimport loops", True),
        ("tensorops.runtime.cpu", "from .. import boundary", True),
        ("tensorops.runtime.cpu", 'include "../kernels/gemm/microkernel.pxi"', True),
        ("tensorops.kernels.ladder", "cimport tensorops.boundary.products as p, numpy", True),
        ("tensorops.kernels.ladder", "import numpy, tensorops.dispatch.policy", True),
        ("tensorops.backends.x", "def f(): from tensorops.boundary.products import matmul", True),
        ("tensorops.dispatch.table", "from tensorops import (\n    backends,\n    boundary as b,\n)", True),
        ("tensorops.boundary.products", "from profiling.measure import timer", True),
        ("tensorops.operations", "from tensorops.runtime cimport workspace", True),
        ("profiling.collect.sampler", "from tensorops.runtime import cpu", False),
        ("profiling.collect.sampler", "from profiling.commands import report", True),
    ],
)
def test_the_reader_catches_what_it_must(importer: str, source: str, caught: bool) -> None:
    found = imports(source, importer.rpartition(".")[0])
    messages = [message for name in found if (message := ARROWS.violation(importer, name))]
    assert bool(messages) is caught, (found, messages)


def test_comments_and_docstrings_import_nothing() -> None:
    source = '''
"""
>>> import tensorops.boundary
"""
# from tensorops.boundary cimport products
cdef inline double f(double x) noexcept nogil:
    "import tensorops.boundary"
    return x  # import tensorops.boundary
'''
    assert imports(source, "tensorops.kernels") == set()


def test_names_of_all_forms_are_found() -> None:
    source = """
cimport a.b as c, d
from ..e.f cimport (g as h,
    i)
import j; import k
cdef extern from "x.h": int l
"""
    assert imports(source, "p.q.r") == {"a.b", "d", "p.q.e.f.g", "p.q.e.f.i", "j", "k"}
