"""The roofline: footprints, places, what the verb measures, says and refuses."""

import json

import numpy as np
import pytest

from profiling.__main__ import main
from profiling.cases import square_case
from profiling.commands import _roofline_sections as sections
from profiling.commands import roofline as verb
from profiling.measure.run import Launch, Measurement
from profiling.measure.timer import Schedule
from profiling.model import roofline, streams
from profiling.model.geometry import CacheLevel
from profiling.model.roofline import Bandwidth, Roof, capacities, footprints
from profiling.reporters.text import TextReporter

L1 = CacheLevel("L1", 32 << 10, 8, 64)
L2 = CacheLevel("L2", 512 << 10, 8, 64)
L3 = CacheLevel("L3", 32 << 20, 16, 64, shared_by=8)


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("levels", [(L1,), (L1, L2), (L1, L2, L3)])
def test_footprints_lie_inside_their_level_and_beyond_the_one_before(levels, threads):
    found = footprints(levels, threads)
    before = 0
    for level in levels:
        size = found[level.name]
        assert size * min(threads, level.shared_by) <= level.size / 2
        assert size >= 2 * before
        before = level.size
    whole = found["memory"] * threads
    assert 2 * max(level.size for level in levels) <= whole <= roofline.LARGEST_FOOTPRINT


def test_a_level_too_small_to_be_told_from_the_one_before_is_left_out_and_said():
    small = CacheLevel("L3", 1 << 20, 16, 64, shared_by=2)
    found = footprints((L1, L2, small), 2)
    assert "L3" not in found
    bandwidths = tuple(Bandwidth(name, 2, size, {"read": 1.0}) for name, size in found.items())
    roof = Roof("float32", 2, 100.0, bandwidths, capacities((L1, L2, small), 2))
    assert "L3: not measured" in sections.missing_levels(roof, ["L1", "L2", "L3"])
    assert sections.missing_levels(roof, ["L1", "L2"]) is None


def test_huge_caches_do_not_ask_for_more_memory_than_allowed():
    huge = CacheLevel("L3", 1 << 30, 16, 64, shared_by=64)
    assert footprints((L1, huge), 4)["memory"] * 4 == roofline.LARGEST_FOOTPRINT


RATES = {"read": 200.0, "copy": 150.0, "triad": 100.0}
ROOF = Roof(
    "float32",
    1,
    100.0,
    (
        Bandwidth("L1", 1, 16384, RATES),
        Bandwidth("memory", 1, 1 << 28, {name: rate / 10 for name, rate in RATES.items()}),
    ),
    {"L1": 32768},
)


@pytest.mark.parametrize(
    ("flops", "moved", "level", "limit", "top"),
    [
        (1000, 1000, "L1", "compute", 100.0),
        (100, 1000, "L1", "L1", 20.0),
        (10**6, 10**6, "memory", "memory", 20.0),
        (10**8, 10**6, "memory", "compute", 100.0),
    ],
)
def test_the_lower_roof_counts(flops, moved, level, limit, top):
    place = ROOF.place(flops, moved, seconds=flops / 10e9)
    assert (place.level, place.limit) == (level, limit)
    assert place.roof == pytest.approx(top)
    assert place.gflops == pytest.approx(10.0)
    assert place.share == pytest.approx(10.0 / top)


@pytest.mark.parametrize("isa", streams.isas())
def test_the_streams_compute_what_they_say(isa):
    memory = np.zeros(1 << 16, np.uint8)
    footprint = 12288
    start = -memory.ctypes.data % 4096
    length = streams.moved("triad", footprint) // 3
    pitch = length + 576
    values = np.arange(length // 8, dtype=np.float64)

    def part(number):
        return memory[start + number * pitch :][:length].view(np.float64)

    part(1)[:] = values
    part(2)[:] = 10.0
    streams.run("triad", isa, memory, footprint, 1, 2)
    assert np.array_equal(part(0), values + 5.0)
    length = streams.moved("copy", footprint) // 2
    pitch = length + 576
    part(1)[:] = np.arange(length // 8)
    streams.run("copy", isa, memory, footprint, 1, 1)
    assert np.array_equal(part(0), part(1))
    before = memory.copy()
    streams.run("read", isa, memory, footprint, 1, 1)
    assert np.array_equal(memory, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("write", "baseline", 16384, 1, 1), "unknown kernel 'write'"),
        (("read", "v9", 16384, 1, 1), "'v9' cannot run here"),
        (("triad", "baseline", 1000, 1, 1), "nothing to stream over"),
        (("read", "baseline", 16384, 0, 1), "nothing to stream over"),
        (("read", "baseline", 16384, 1, 0), "nothing to stream over"),
        (("read", "baseline", 16384, 4, 1), "bytes are too few"),
    ],
)
def test_impossible_streams_are_refused(arguments, message):
    kernel, isa, footprint, threads, passes = arguments
    with pytest.raises(ValueError, match=message):
        streams.run(kernel, isa, np.zeros(32768, np.uint8), footprint, threads, passes)


def test_all_levels_are_measured(monkeypatch):
    monkeypatch.setattr(roofline, "SAMPLE_SECONDS", 1e-5)
    monkeypatch.setattr(roofline, "LARGEST_FOOTPRINT", 8 << 20)
    told = []
    found = roofline.measure_bandwidths((L1, L2), 1, min, told.append)
    assert [bandwidth.level for bandwidth in found] == ["L1", "L2", "memory"]
    assert told == ["L1, 1 thread", "L2, 1 thread", "memory, 1 thread"]
    for bandwidth in found:
        assert set(bandwidth.rates) == set(streams.KERNELS)
        assert all(0.01 < rate < 1e5 for rate in bandwidth.rates.values())


def test_the_peak_of_threads_is_a_sum():
    assert 0.1 < roofline.measure_peak("float64", 2, seconds=0.002) < 1e5


def placed(errors=None, n=64):
    case = square_case(n, "float32")
    launch = Launch.of({"tensorops": [1e-5] * 8}, {"tensorops": 1})
    measurement = Measurement(case, 1, (launch,), errors or {})
    return sections.Placed(measurement, verb._place(measurement, ROOF))


def test_the_picture_has_a_slope_for_each_level_and_a_point_for_each_case():
    figure = sections.roofline_figure([placed(), placed(n=128)], ROOF)
    assert figure.x.log and figure.y.log
    lines = [series for series in figure.series if series.kind == "line"]
    assert [series.name for series in lines] == ["L1, 200 GB/s", "memory, 20.0 GB/s", "peak, 100 GFLOP/s"]
    for series, bandwidth in zip(lines, ROOF.bandwidths, strict=False):
        assert series.y[0] == pytest.approx(series.x[0] * bandwidth.best)
        assert series.y[1] == ROOF.peak
    (points,) = [series for series in figure.series if series.kind == "points"]
    assert points.labels == ("64", "128")
    assert points.x[0] == pytest.approx(64 / 6)


@pytest.fixture
def quick(monkeypatch):
    """Measure roofs that are made up, and operations for a moment."""
    monkeypatch.setattr(verb, "SHORT", Schedule(sample_seconds=1e-5, blocks=1))

    def measured(levels, counts, dtype, advance):
        peaks = {name: dict.fromkeys(counts, 100.0) for name in ("float32", "float64")}
        bandwidths = ROOF.bandwidths
        return peaks, [Roof(dtype, count, 100.0, bandwidths, ROOF.capacities) for count in counts]

    monkeypatch.setattr(verb, "measure_roofs", measured)


def test_the_verb_places_operations(quick, tmp_path, capsys):
    path = tmp_path / "r.json"
    assert main(["roofline", "matmul", "--shapes", "8x8,8x8", "4x16,16x2", "--json", str(path)]) == 0
    text = capsys.readouterr().out
    assert "matmul 8x8x8" in text
    assert "Operations under the roof, 1 thread" in text
    data = json.loads(path.read_text(encoding="utf-8"))
    assert (data["schema"], data["kind"]) == (verb.SCHEMA, "roofline")
    for entry in data["operations"]:
        assert entry["share_of_roof"] == pytest.approx(entry["gflops"] / entry["roof_gflops"])
    assert data["roofs"][0]["bandwidths"][0]["gbytes_per_second"] == RATES


@pytest.mark.parametrize("width", [80, 100])
def test_the_tables_fit_the_page(width):
    section = sections.places_section([placed(), placed({"tensorops": "wrong result"}, 128)], ROOF)
    from profiling.document import Document

    lines = TextReporter().render(Document("t", (section,)), width).splitlines()
    assert max(map(len, lines)) <= width
    assert any("wrong result" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matmull"], "did you mean matmul?"),
        (["gelu_of_mine"], "unknown operation 'gelu_of_mine'; known: matmul"),
        (["matmul", "--dtype", "int8"], "unknown dtype 'int8'"),
        (["matmul", "--threads", "0"], "whole number from 1"),
    ],
)
def test_usage_errors_end_with_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["roofline", *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["matmul", "--shapes", "8by8"], "expected such as 64x784,784x128"),
        (["matmul", "--shapes", "0x8,8x8"], "expected such as"),
        (["matmul", "--shapes", "8x8,9x9"], "8 columns against 9 rows"),
        (["matmul", "--shapes", "8x8"], "takes two operands"),
        (["matmul", "--threads", "1000"], "this process may use"),
    ],
)
def test_impossible_requests_end_with_2(arguments, message, capsys):
    assert main(["roofline", *arguments]) == 2
    assert message in capsys.readouterr().err
