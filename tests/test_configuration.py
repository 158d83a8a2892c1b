from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tensorops
from tensorops.backends import Call, ComputeBackend, register_backend, unregister_backend
from tensorops.configuration import VARIABLES, show_config
from tensorops.dispatch import schema, selection
from tensorops.kernels import table
from tensorops.runtime import cpu, openmp

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def no_choice_from_outside(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide the profile and the variables of whoever runs the tests."""
    monkeypatch.delenv("TENSOROPS_PROFILE", raising=False)
    monkeypatch.delenv("TENSOROPS_BACKEND", raising=False)
    selection.reload_profile()
    yield
    monkeypatch.undo()
    selection.reload_profile()


def test_the_dictionary_says_what_is_in_use() -> None:
    found = show_config("dict")
    assert found["version"] == tensorops.__version__
    assert found["cpu"] == cpu.model_name()
    assert found["isa"]["name"] == cpu.selected_isa()
    assert found["caches"] == cpu.caches()
    assert (found["cores"], found["threads"]) == (cpu.available_cores(), openmp.get_num_threads())
    assert found["openmp"] is openmp.enabled()
    assert found["backends"]["numpy"] is None
    assert found["profile"]["entries"] is None
    assert found["profile"]["path"].endswith(f"{schema.fingerprint_id()}.json")
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_is_the_selected_row_s(dtype: str) -> None:
    kernel = show_config("dict")["kernels"][dtype]
    assert kernel["name"].endswith(f"_{cpu.selected_isa()}_{dtype}")
    assert kernel["name"] in {row.name for row in table.family_rows("products")}
    assert kernel["mc"] % kernel["mr"] == 0
    assert kernel["nc"] % kernel["nr"] == 0


def test_the_text_fits_a_terminal_and_names_all_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSOROPS_NUM_THREAD", "2")
    assert show_config() is None
    text = capsys.readouterr().out
    assert cpu.model_name() in text
    assert f"_{cpu.selected_isa()}_float32" in text
    assert "none in use; it would be" in text
    assert re.search(r"^backend python\s+available$", text, re.MULTILINE)
    assert re.search(r"^TENSOROPS_NUM_THREAD\s+2 \(no such variable, ignored\)$", text, re.MULTILINE)
    assert re.search(r"^TENSOROPS_CACHE_DIR\s+[^()]+$", text, re.MULTILINE)


def test_profile_states(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    schema.save(schema.Profile(schema.fingerprint()))
    selection.reload_profile()
    show_config()
    assert "0 measured calls in " in capsys.readouterr().out
    monkeypatch.setenv("TENSOROPS_PROFILE", "none")
    selection.reload_profile()
    show_config()
    assert "switched off by TENSOROPS_PROFILE=none" in capsys.readouterr().out


def test_a_backend_that_is_missing_and_one_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    class Absent(ComputeBackend):
        name = "absent"

        def available(self) -> str | None:
            return "no such package"

        def supports(self, call: Call) -> str | None:
            return None

        def run(self, *_: object, **__: object) -> None:  # type: ignore[override]
            raise AssertionError

    register_backend(Absent())
    try:
        with selection.use_backend("numpy"):
            show_config()
            assert show_config("dict")["backend"] == "numpy"
    finally:
        unregister_backend("absent")
    text = capsys.readouterr().out
    assert re.search(r"^backend absent\s+not available: no such package$", text, re.MULTILINE)
    assert re.search(r"^backend numpy\s+available, asked for$", text, re.MULTILINE)


def test_a_forced_isa_is_said_to_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSOROPS_ISA", cpu.selected_isa())
    assert show_config("dict")["isa"]["why"] == "TENSOROPS_ISA asks for it"
    monkeypatch.delenv("TENSOROPS_ISA")
    assert show_config("dict")["isa"]["why"] == "the strongest that this machine supports"


def test_an_unknown_mode_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown mode 'json'; known: 'text', 'dict'"):
        show_config("json")  # type: ignore[call-overload]


def test_the_known_variables_are_those_of_the_documentation() -> None:
    page = (ROOT / "docs" / "environment.rst").read_text(encoding="utf-8")
    assert list(VARIABLES) == re.findall(r"^\s*\* - ``(TENSOROPS_[A-Z0-9_]+)``", page, re.MULTILINE)
