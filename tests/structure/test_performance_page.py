"""The performance page takes its figures from a benchmark's file, and only from one for publication."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import pytest

from profiling.cases import Case
from profiling.measure.run import Launch, Measurement, Run
from tests.structure.compiled import ROOT


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """Load ``docs/performance_table.py``, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("performance_table", ROOT / "docs" / "performance_table.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bench(
    *, published: bool = True, errors: dict[str, str] | None = None, dtype: str = "float32"
) -> dict[str, Any]:
    """Return a benchmark of one case in which ours takes 1 ms and NumPy 2 ms."""
    case = Case("matmul", dtype, ((128, 128), (128, 128)), group="square")
    launch = Launch.of({"tensorops": [1e-3] * 8, "numpy": [2e-3] * 8}, {"tensorops": 1, "numpy": 1})
    machine = {
        "cpu": "Some Processor",
        "cores": 2,
        "caches": {"L1d": 32768},
        "isa": "v3",
        "python": "3.11",
        "numpy": "2.4",
        "blas": [],
        "versions": {"numpy": "2.4"},
    }
    return {
        "schema": 1,
        "kind": "bench",
        "target": "matmul",
        "published": published,
        "summary": [
            {
                "group": "square",
                "threads": 1,
                "geometric_mean": [2.0, 1.9, 2.1],
                "cases": {case.name: {"best_rival": "numpy", "ratio": [2.0, 1.9, 2.1]}},
            }
        ],
        "run": Run(machine, {"launches": 3}, (Measurement(case, 1, (launch,), errors or {}),)).to_dict(),
    }


def test_figures_are_those_of_the_file(generator: ModuleType) -> None:
    text = generator.render([bench()])
    assert "Some Processor" in text
    assert "2.00 (128x128x128 float32)" in text
    row = text[text.index("   * - 128x128x128 float32") :]
    cells = [line.split("- ", 1)[1] for line in row.splitlines()[:7]]
    assert cells == ["128x128x128 float32", "1.00 ms", "4.19", "numpy", "2.00 ms", "2.00", "1.90 to 2.10"]


def test_files_of_two_dtypes_share_a_page(generator: ModuleType) -> None:
    text = generator.render([bench(), bench(dtype="float64")])
    assert text.count("Some Processor") == 1
    assert "square, float32, 1 thread\n" in text and "square, float64, 1 thread\n" in text
    assert text.index("2.00 (128x128x128 float64)") < text.index("   * - 128x128x128 float32")


def suite(**changed: Any) -> dict[str, Any]:
    """Return a suite of the same case, below a roof of 100 GFLOP/s."""
    one = bench()
    place = {"intensity": 21.3, "level": "L2", "limit": "compute", "roof": 100.0, "gflops": 4.19}
    cases = [{"place": place, "left_out": {}}]
    return one | {"kind": "suite", "cases": cases, "left_out": {"jax": "jax is not installed"}} | changed


def test_the_figures_of_suites_are_those_of_their_files(generator: ModuleType) -> None:
    text = generator.render_suites([suite()])
    assert "Some Processor" in text
    assert "Left out: jax is not installed." in text
    assert "2.00 (``matmul 128x128x128 float32``)" in text
    row = (
        "``matmul 128x128x128 float32``,1,1.00 ms,4.19 GFLOP/s,4 % (compute),numpy,2.00 ms,2.00,2.00 to 2.00"
    )
    assert text.count(f"   {row}\n") == 2


@pytest.mark.parametrize(
    ("changed", "message"), [({"published": False}, "not for publication"), ({"schema": 0}, "schema 0")]
)
def test_other_suites_are_refused(generator: ModuleType, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generator.render_suites([suite(**changed)])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (bench(published=False), "not for publication"),
        (bench(errors={"tensorops": "differs"}), "results were wrong"),
        (bench() | {"schema": 0}, "schema 0"),
        (bench() | {"kind": "run"}, "kind 'run'"),
    ],
)
def test_other_files_are_refused(generator: ModuleType, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generator.render([changed])


def test_only_the_marked_section_changes(generator: ModuleType) -> None:
    page = (ROOT / "docs" / "performance.rst").read_text(encoding="utf-8")
    once = generator.insert(page, "FIGURES")
    assert generator.insert(once, "FIGURES") == once
    assert once.startswith(page[: page.index(generator.BEGIN)])
    assert "FIGURES" in once
    with pytest.raises(ValueError, match="no section"):
        generator.insert("no markers", "FIGURES")
