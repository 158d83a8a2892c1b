"""Every compiled module has its stub beside it; ``.ci/run`` has stubtest compare the two."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.structure.compiled import ROOT, baseline_sources


@pytest.mark.parametrize("source", baseline_sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_compiled_module_has_a_stub(source: Path) -> None:
    stub = source.with_suffix(".pyi")
    assert stub.is_file(), f"{source.name} needs {stub.name} beside it, so that its users can be type-checked"
    assert ast.parse(stub.read_text(encoding="utf-8")).body


def test_there_are_compiled_modules() -> None:
    assert baseline_sources()


@pytest.mark.parametrize("package", ["tensorops", "profiling"])
def test_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
