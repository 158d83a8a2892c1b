"""The processor's counters: the way to them works, and what is missing has a reason."""

import errno
import mmap
import sys

import pytest

from profiling.model import counters
from profiling.model.counters import HARDWARE_EVENTS, PAGE_FAULTS, count_events

LINUX = sys.platform.startswith("linux")


def touch_pages(count):
    block = mmap.mmap(-1, count * mmap.PAGESIZE)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        block.madvise(mmap.MADV_NOHUGEPAGE)
    for place in range(count):
        block[place * mmap.PAGESIZE] = 1
    block.close()


@pytest.mark.skipif(not LINUX, reason="perf_event_open is Linux's")
def test_page_faults_are_counted():
    counts, reasons = count_events({"faults": PAGE_FAULTS}, lambda: touch_pages(300))
    if reasons:
        pytest.skip(f"no software counters here: {reasons['faults']}")
    few, _ = count_events({"faults": PAGE_FAULTS}, lambda: touch_pages(3))
    assert 290 <= counts["faults"] - few["faults"] <= 400


def test_every_event_has_a_count_or_a_reason():
    counts, reasons = count_events(HARDWARE_EVENTS, lambda: None)
    assert set(counts) | set(reasons) == set(HARDWARE_EVENTS)
    assert not set(counts) & set(reasons)
    assert all(reasons.values())
    assert (counters.why_unavailable() is None) == ("cycles" in counts)


@pytest.mark.skipif(not LINUX, reason="perf_event_open is Linux's")
def test_an_event_that_does_not_exist_is_told_and_the_call_is_not_made():
    ran = []
    counts, reasons = count_events({"nothing": (1, 10_000)}, lambda: ran.append(1))
    assert counts == {}
    assert reasons["nothing"]
    assert ran == []


def test_a_failing_call_is_not_swallowed():
    def fail():
        raise ZeroDivisionError

    if count_events({"faults": PAGE_FAULTS}, lambda: None)[1]:
        pytest.skip("no software counters here")
    with pytest.raises(ZeroDivisionError):
        count_events({"faults": PAGE_FAULTS}, fail)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOENT, "no such counter"),
        (errno.EACCES, "perf_event_paranoid"),
        (errno.ENOSYS, "blocked"),
        (errno.EMFILE, "perf_event_open failed"),
    ],
)
def test_each_failure_has_its_reason(number, words):
    assert words in counters._reason(number)


def test_other_systems_are_told(monkeypatch):
    monkeypatch.setattr(counters.sys, "platform", "darwin")
    assert "Linux only" in str(counters.why_unavailable())
