"""The verb ``cache``: what it counts, says and refuses."""

import json

import pytest

from profiling.__main__ import main
from profiling.commands import cache as verb
from profiling.model import cachegrind, counters
from profiling.model.cachegrind_file import CachegrindError, LineCounts

SMALL = ["cache", "matmul", "--size", "16"]


def test_the_kernels_are_compared_and_listed(tmp_path, capsys):
    path = tmp_path / "c.json"
    assert main([*SMALL, "--no-cachegrind", "--json", str(path)]) == 0
    text = capsys.readouterr().out
    for words in (
        "Lines of naive",
        "Lines of blocked",
        "a[i, p] * b[p, j]",
        "million a second",
        "--no-cachegrind",
    ):
        assert words in text
    data = json.loads(path.read_text(encoding="utf-8"))
    assert (data["schema"], data["kind"]) == (verb.SCHEMA, "cache")
    assert [entry["kernel"] for entry in data["kernels"]] == ["naive", "reordered", "blocked"]
    assert data["kernels"][0]["accesses"] == 2 * 16**3 + 16**2
    assert data["cachegrind"] is None
    assert data["cachegrind_reason"]


def test_other_caches_and_blocks_change_the_misses(tmp_path):
    counts = []
    for options in ([], ["--l1", "1K/2/64"], ["--l1", "1K/2/64", "--block", "2"]):
        path = tmp_path / "c.json"
        assert main([*SMALL, "--no-cachegrind", "--kernels", "blocked", *options, "--json", str(path)]) == 0
        counts.append(json.loads(path.read_text(encoding="utf-8"))["kernels"][0]["misses"][0])
    assert len(set(counts)) == 3


def counted(kernels, layouts, dtype, levels):
    """Stand in for cachegrind: a thousand vector accesses and ten misses on every line of the ladder."""
    assert set(kernels) == {"naive", "reordered", "blocked", "packed"}
    lines = {("x/tensorops/kernels/ladder.pyx", line): LineCounts(10_000, 10, 5) for line in range(1, 170)}
    return {**lines, ("x/tensorops/kernels/gemm/microkernel.pxi", 29): LineCounts(700, 70, 7)}


def test_cachegrinds_counts_stand_beside(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(cachegrind, "why_unavailable", lambda: None)
    monkeypatch.setattr(cachegrind, "run_kernels", counted)
    path = tmp_path / "c.json"
    assert main([*SMALL, "--json", str(path)]) == 0
    text = capsys.readouterr().out
    assert "microkernel.pxi:29" in text
    assert "difference" in text
    packed = json.loads(path.read_text(encoding="utf-8"))["cachegrind"]["packed"]
    assert packed == [
        {"file": "microkernel.pxi", "line": 29, "accesses": 700, "first_misses": 70, "last_misses": 7}
    ]


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--cachegrind"], 1)])
def test_a_failing_cachegrind_is_a_reason_or_an_error_where_it_was_asked_for(
    monkeypatch, capsys, options, code
):
    def fail(*arguments):
        raise CachegrindError("valgrind was ended by SIGKILL")

    monkeypatch.setattr(cachegrind, "why_unavailable", lambda: None)
    monkeypatch.setattr(cachegrind, "run_kernels", fail)
    assert main([*SMALL, *options]) == code
    captured = capsys.readouterr()
    assert "valgrind was ended by SIGKILL" in " ".join((captured.out + captured.err).split())


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--cachegrind"], 1)])
def test_a_missing_valgrind_is_told(monkeypatch, capsys, options, code):
    monkeypatch.setenv("PATH", "/no/such/folder")
    assert main([*SMALL, *options]) == code
    captured = capsys.readouterr()
    assert "valgrind is not installed" in " ".join((captured.out + captured.err).split())


def test_long_runs_of_cachegrind_have_to_be_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(cachegrind, "why_unavailable", lambda: None)
    monkeypatch.setattr(verb, "PATIENCE", 1.0)
    assert main(SMALL) == 0
    assert "ask for it with --cachegrind" in " ".join(capsys.readouterr().out.split())


def test_the_processors_counters_are_shown_where_there_are_some(monkeypatch, capsys):
    def count(events, call):
        call()
        return dict.fromkeys(events, 12_345), {}

    monkeypatch.setattr(counters, "why_unavailable", lambda: None)
    monkeypatch.setattr(counters, "count_events", count)
    assert main([*SMALL, "--no-cachegrind"]) == 0
    text = capsys.readouterr().out
    assert text.count("12,345") == 4 * 4
    assert "Not counted" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matmull"], "did you mean matmul?"),
        (["module:function"], "For a compiled function of your own: valgrind"),
        (
            ["matmul", "--kernels", "naiv"],
            "unknown kernel 'naiv'; known: naive, reordered, blocked, packed; did",
        ),
        (["matmul", "--l1", "32K/8/48"], "--l1: L1: a line of 48 bytes is not a power of two"),
        (["matmul", "--l2", "much"], "--l2: L2: 'much' is not SIZE/WAYS/LINE"),
        (["matmul", "--l1", "32K/8/128"], "must be the same in all levels"),
        (["matmul", "--size", "4096", "--no-cachegrind"], "take a smaller --size"),
    ],
)
def test_impossible_requests_end_with_2(arguments, message, capsys):
    assert main(["cache", *arguments]) == 2
    assert message in capsys.readouterr().err
