"""Docstrings of the public names are complete, and their examples run."""

from __future__ import annotations

import doctest
import importlib
import tomllib
from types import ModuleType

import pytest

import tensorops
from tests.structure.compiled import ROOT, baseline_modules

CALLABLES = sorted(name for name in tensorops.__all__ if callable(getattr(tensorops, name)))


def numpydoc_errors(dotted_name: str) -> list[tuple[str, str]]:
    """Return what numpydoc finds wrong with one object, less what ``pyproject.toml`` switches off."""
    validate = pytest.importorskip("numpydoc.validate", reason="numpydoc is not installed: extra 'dev'")
    checks = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "numpydoc_validation"
    ]
    switched_off = set(checks["checks"]) - {"all"}
    errors: list[tuple[str, str]] = validate.validate(dotted_name)["errors"]
    return [error for error in errors if error[0] not in switched_off]


@pytest.mark.parametrize("name", CALLABLES)
def test_docstring_is_complete(name: str) -> None:
    assert numpydoc_errors(f"tensorops.{name}") == []


def test_an_incomplete_docstring_is_found() -> None:
    codes = {code for code, _ in numpydoc_errors(f"{__name__}.numpydoc_errors")}
    assert "PR01" in codes
    assert "EX01" in codes


def test_every_public_name_exists() -> None:
    assert [name for name in tensorops.__all__ if not hasattr(tensorops, name)] == []
    assert len(set(tensorops.__all__)) == len(tensorops.__all__)


def examples(module: ModuleType) -> list[doctest.DocTest]:
    """Return the doctests of a compiled module, each once: Cython repeats them in ``__test__``."""
    found = doctest.DocTestFinder(exclude_empty=True).find(module)
    return list({test.docstring: test for test in found if test.examples}.values())


@pytest.mark.parametrize("name", baseline_modules())
def test_examples_of_compiled_modules_run(name: str) -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    for test in examples(importlib.import_module(name)):
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_examples_of_compiled_functions_are_found() -> None:
    names = {test.name for test in examples(importlib.import_module("tensorops.boundary.products"))}
    assert any("matmul" in name for name in names), names
