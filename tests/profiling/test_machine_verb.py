"""The verb ``machine``: complete, JSON-ready, and honest about what it cannot know."""

import json

import pytest

from profiling.__main__ import main
from profiling.commands import machine as verb
from profiling.model.quiet import Finding
from profiling.model.roofline import Bandwidth, Roof


def test_everything_is_described(tmp_path, capsys):
    path = tmp_path / "m.json"
    assert main(["machine", "--json", str(path)]) == 0
    text = capsys.readouterr().out
    for words in ("Processor and memory", "Caches", "Libraries and kernels", "Quiet enough to measure?"):
        assert words in text
    data = json.loads(path.read_text(encoding="utf-8"))
    assert (data["schema"], data["kind"]) == (verb.SCHEMA, "machine")
    assert data["machine"]["cpu"] in text
    assert data["configuration"]["isa"]["name"] in text
    assert data["levels"][0]["name"] == "L1"
    assert data["counters"] == (data["counters_reason"] is None)
    assert "peak_gflops" not in data


def test_peaks_are_measured_when_asked_for(monkeypatch, tmp_path, capsys):
    def measured(levels, counts, dtype, advance):
        rates = dict.fromkeys(counts, 123.0)
        bandwidth = Bandwidth("L1", 1, 16384, {"read": 77.0, "copy": 66.0, "triad": 55.0})
        roofs = [Roof(dtype, count, 123.0, (bandwidth,), {"L1": 32768}) for count in counts]
        return {"float32": rates, "float64": rates}, roofs

    monkeypatch.setattr(verb, "measure_roofs", measured)
    path = tmp_path / "m.json"
    assert main(["machine", "--measure", "--json", str(path)]) == 0
    text = capsys.readouterr().out
    assert "123" in text
    assert "77.0" in text
    assert json.loads(path.read_text(encoding="utf-8"))["peak_gflops"]["float32"]["1"] == 123.0


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        ((Finding("load", "noisy", "load 9", "Wait"),), "1 of these disturbs measuring now"),
        ((Finding("load", "quiet", "load 0"),), "fine"),
        ((), "tells nothing about itself"),
    ],
)
def test_what_disturbs_is_said(monkeypatch, capsys, findings, words):
    monkeypatch.setattr(verb.quiet, "findings", lambda: findings)
    monkeypatch.setattr(verb.quiet, "memory", dict)
    assert main(["machine"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert words in text
    assert "unknown: this system has no /proc/meminfo" in text
