from __future__ import annotations

import doctest
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorops.kernels import table
from tensorops.runtime import cpu

REGISTER = st.integers(0, 2**32 - 1)
ALL_BITS = 2**32 - 1
CACHED = (cpu.selected_isa, cpu.requested_threads)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Let every test read the environment anew, and leave nothing of its own behind."""
    for function in CACHED:
        function.cache_clear()
    yield
    for function in CACHED:
        function.cache_clear()


def test_every_isa_of_the_build_table_is_known() -> None:
    every = cpu.decode_features(ALL_BITS, ALL_BITS, ALL_BITS, ALL_BITS)
    assert all(every.values())
    assert cpu.isas_of({**every, "neon": True}) == table.ISA_NAMES


def test_registers_that_the_system_does_not_save_are_not_used() -> None:
    without_zmm = cpu.decode_features(ALL_BITS, ALL_BITS, ALL_BITS, 0x07)
    assert cpu.isas_of(without_zmm) == ("portable", "v2", "v3")
    assert cpu.isas_of(cpu.decode_features(ALL_BITS, ALL_BITS, ALL_BITS, 0)) == ("portable", "v2")
    # The opmask and upper registers without the lower halves: no system does it, no kernel may run.
    assert "v3" not in cpu.isas_of(cpu.decode_features(ALL_BITS, ALL_BITS, ALL_BITS, 0xE0))


@given(leaf1=REGISTER, leaf7=REGISTER, extended=REGISTER, xcr0=REGISTER)
def test_decoding_never_promises_wide_registers_without_their_state(
    leaf1: int, leaf7: int, extended: int, xcr0: int
) -> None:
    isas = cpu.isas_of(cpu.decode_features(leaf1, leaf7, extended, xcr0))
    assert isas == tuple(name for name in table.ISA_NAMES if name in isas)
    assert isas[0] == "portable"
    if "v3" in isas:
        assert xcr0 & 0x06 == 0x06
    if "v4" in isas:
        assert xcr0 & 0xE6 == 0xE6


@pytest.mark.parametrize("missing", ["fma", "avx2", "bmi2", "movbe", "lzcnt"])
def test_a_level_needs_all_of_its_features(missing: str) -> None:
    features = {**cpu.decode_features(ALL_BITS, ALL_BITS, ALL_BITS, ALL_BITS), missing: False}
    assert cpu.isas_of(features) == ("portable", "v2")


@pytest.mark.skipif(
    platform.machine() not in table.X86_64 or not Path("/proc/cpuinfo").exists(),
    reason="compares with the flags that Linux shows on x86-64",
)
def test_features_agree_with_the_kernel_s_own_reading() -> None:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = next(line for line in lines if line.startswith("flags")).split()
    other_names = {"sse3": "pni", "lzcnt": "abm", "lahf": "lahf_lm"}
    features = cpu.features()
    assert features.pop("osxsave") is ("xsave" in flags)
    assert features == {name: other_names.get(name, name) in flags for name in features}


def test_what_is_returned_is_a_copy() -> None:
    cpu.caches()["L2"] = 1
    cpu.features()["made_up"] = True
    assert cpu.caches()["L2"] > 1
    assert "made_up" not in cpu.features()


def test_the_machine_is_described() -> None:
    caches = cpu.caches()
    assert sorted(caches) == ["L1d", "L2", "L3", "line"]
    assert 4096 <= caches["L1d"] <= caches["L2"]
    assert caches["line"] in (32, 64, 128, 256)
    assert cpu.model_name().strip() == cpu.model_name() != ""
    assert 1 <= cpu.available_cores() <= (os.cpu_count() or 1)


def test_the_strongest_isa_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENSOROPS_ISA", raising=False)
    assert cpu.selected_isa() == cpu.supported_isas()[-1]


@pytest.mark.parametrize("name", cpu.supported_isas())
def test_an_isa_can_be_forced(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSOROPS_ISA", name)
    assert cpu.selected_isa() == name


@pytest.mark.parametrize("name", ["V3", "avx2", "v3 ", "none"])
def test_an_unknown_isa_is_an_error_that_lists_the_known(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSOROPS_ISA", name)
    with pytest.raises(ValueError, match="known: portable, v2, v3, v4, neon"):
        cpu.selected_isa()


def test_an_isa_of_another_processor_is_an_error_that_lists_the_supported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (name, *_) = (name for name in table.ISA_NAMES if name not in cpu.supported_isas())
    monkeypatch.setenv("TENSOROPS_ISA", name)
    with pytest.raises(ValueError, match=f"supported here: {', '.join(cpu.supported_isas())}$"):
        cpu.selected_isa()


@pytest.mark.parametrize(("text", "threads"), [("1", 1), (" 12 ", 12), ("007", 7), ("", None)])
def test_threads_can_be_requested(text: str, threads: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSOROPS_NUM_THREADS", text)
    assert cpu.requested_threads() == threads


@pytest.mark.parametrize("text", ["0", "x", "-1", "1.5", "2 3", "1e3", "9" * 5000, "²", "٣"])
def test_a_bad_number_of_threads_is_an_error_that_says_what_is_allowed(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSOROPS_NUM_THREADS", text)
    with pytest.raises(ValueError, match="expected a whole number of at least 1"):
        cpu.requested_threads()


def test_examples() -> None:
    result = doctest.testmod(cpu)
    assert result.failed == 0
    assert result.attempted > 8
