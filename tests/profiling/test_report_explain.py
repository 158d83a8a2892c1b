"""The crossover map of ``report --explain``: what it shows is what the dispatcher does."""

from __future__ import annotations

import json

import pytest

from profiling.__main__ import main
from profiling.commands import _report_explain as explain
from profiling.document import Axis, Figure, Series
from profiling.measure.tuning_space import case_of
from profiling.reporters import _drawing
from tensorops.dispatch import schema, selection
from tensorops.dispatch.records import Entry, PathResult, Profile


@pytest.fixture
def stored(cache_dir, monkeypatch):
    """Store a profile in which NumPy wins all large products and small kernels the others."""
    monkeypatch.setattr(explain, "SIDES", (1, 8, 64, 512, 4096))
    monkeypatch.setattr(explain, "TEXT_SIDES", (1, 64, 4096))
    monkeypatch.setattr(explain, "DEPTHS", (4, 256))
    entries = []
    for n in (1, 4, 16, 64, 256, 1024, 4096):
        times = {"blocked/small": 1e-7 + 1e-10 * n**3, "numpy": 1e-6 + 1e-11 * n**3}
        paths = {path: PathResult(seconds, seconds, seconds, n=12) for path, seconds in times.items()}
        case = case_of("matmul", "float32", (n, n, n, 1))
        entries.append(Entry(case.op, case.dtype, case.shapes, paths=paths))
    file = schema.save(Profile(schema.fingerprint(), tuple(entries)))
    selection.reload_profile()
    return file


def test_the_map_shows_what_the_dispatcher_takes(stored, tmp_path, capsys):
    assert main(["report", "matmul", "--explain", "--json", str(tmp_path / "map.json")]) == 0
    data = json.loads((tmp_path / "map.json").read_text())
    assert [one["k"] for one in data["maps"]] == [4, 256, None] and data["entries"] == 7
    cells = {(x, y): path for x, y, path, _ in data["maps"][2]["cells"]}
    assert cells[1, 1] == "blocked/small" and cells[4096, 4096] == "numpy"
    out = capsys.readouterr().out
    assert ": blocked/small;" in out and ": numpy" in out and "m = n \\ k" in out and str(stored) in out
    assert "closest decisions" in out


def test_the_map_is_drawn_as_a_page_and_a_picture(stored, tmp_path):
    page, picture = tmp_path / "map.html", tmp_path / "map.png"
    assert main(["report", "matmul", "--explain", "--html", str(page), "--png", str(picture)]) == 0
    assert picture.read_bytes()[1:4] == b"PNG"
    text = page.read_text()
    assert "numpy measured fastest" in text and "cannot be drawn" not in text


def test_without_a_profile_the_thresholds_are_shown(cache_dir, monkeypatch, capsys):
    monkeypatch.setattr(explain, "SIDES", (1, 4096))
    monkeypatch.setattr(explain, "TEXT_SIDES", (1, 4096))
    monkeypatch.setattr(explain, "DEPTHS", (4,))
    assert main(["report", "matmul", "--explain", "--threads", "2", "--dtype", "float64"]) == 0
    assert "shipped thresholds" in capsys.readouterr().out


def test_sizes_are_refused(cache_dir, capsys):
    assert main(["report", "matmul", "--explain", "--size", "64"]) == 2
    assert "all sizes" in capsys.readouterr().err


def test_cells_of_several_series_tile_the_grid_without_gaps():
    edges = _drawing._edges([1.0, 4.0, 16.0, 4.0], True)
    assert edges[1.0][1] == pytest.approx(edges[4.0][0]) and edges[4.0] == pytest.approx((2.0, 8.0))
    assert _drawing._edges([3.0], False) == {3.0: (2.5, 3.5)}


def test_cells_may_share_a_figure_with_points_but_not_with_bars():
    cells = Series("a", "cells", (1.0,), (1.0,))
    Figure("t", "", Axis("x"), Axis("y"), (cells, Series("p", "points", (1.0,), (1.0,))), "f")
    with pytest.raises(ValueError, match="expected"):
        Figure("t", "", Axis("x"), Axis("y"), (cells, Series("p", "bars", (1.0,), labels=("b",))), "f")
