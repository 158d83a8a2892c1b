"""The verb ``ladder``: versions, speed-ups over the first and the one before, what was extrapolated."""

import json

import pytest

from profiling.__main__ import main
from profiling.commands import ladder
from profiling.measure.timer import Schedule
from tensorops.runtime import cpu


def test_the_table_of_a_small_product(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        ladder, "SCHEDULE", Schedule(sample_seconds=1e-4, blocks=1, min_blocks=1, budget_seconds=0.1)
    )
    path = tmp_path / "ladder.json"
    assert main(["ladder", "--size", "130", "--json", str(path)]) == 0
    data = json.loads(path.read_text())
    rows = data["sizes"]["130"]
    assert [row["version"] for row in rows][:4] == ["Python loops", "naive", "reordered", "blocked"]
    assert all(row["error"] is None for row in rows)
    first, naive = rows[:2]
    assert first["extrapolated"]
    assert first["relative_speedup"] is None
    assert first["seconds"][0] == pytest.approx(2 * 130**3 / first["gflops"] / 1e9)
    assert not naive["extrapolated"]
    assert naive["absolute_speedup"] == naive["relative_speedup"]
    assert naive["absolute_speedup"][0] == pytest.approx(first["seconds"][0] / naive["seconds"][0], rel=0.5)
    threads = {row["threads"] for row in rows if row["contender"] == "path:blocked/packed"}
    cores = cpu.available_cores()
    assert threads == ({1, cores} if cores > 1 else {1})
    assert rows[-1]["contender"] == "numpy"
    assert rows[-1]["relative_speedup"] is None
    text = capsys.readouterr().out
    assert "extrapolated by the number of operations" in text
    assert "Leiserson" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("size", ["64", "10000"])
def test_sizes_out_of_range_are_named(size, capsys):
    assert main(["ladder", "--size", size]) == 2
    assert f"--size {size}: expected 128 to 8192" in capsys.readouterr().err
