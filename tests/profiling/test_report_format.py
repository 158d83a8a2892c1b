"""The page on formats names the fields that are written."""

import re
from pathlib import Path

import pytest

import profiling
import tensorops
from profiling.__main__ import make_parser
from profiling.commands._base import get_command

PAGE = (Path(profiling.__file__).parents[1] / "docs" / "report_format.rst").read_text(encoding="utf-8")
NAMED = set(re.findall(r"``([^`]+)``", PAGE))
# What is inside them is named elsewhere, or is data: names of options, features, cases and contenders.
OPAQUE = {
    "configuration",
    "features",
    "settings",
    "counters_reasons",
    "forced",
    "own",
    "cases",
    "counts",
    "arguments",
}


def fields(values):
    """Return the names of all fields, however deep."""
    if isinstance(values, dict):
        found = set(values)
        for name, value in values.items():
            if name not in OPAQUE:
                found |= fields(value)
        return found
    if isinstance(values, list | tuple):
        return set().union(*map(fields, values))
    return set()


def data_of(*words):
    command = get_command(words[0])
    parsed = make_parser("tensorops", words[0]).parse_args(words)
    parsed.script_arguments = []
    return command.run(parsed).data


def test_a_report_and_its_comparison(tmp_path):
    from profiling.commands._profile_call import profile_call
    from profiling.reporters import get_reporter

    document = profile_call(lambda: [number**2 for number in range(1000)], name="squares", seconds=0.05)
    assert document.data["schema"] == 2
    assert fields(document.data) - NAMED == set()
    path = tmp_path / "report.json"
    path.write_text(get_reporter("json").render(document, 80), encoding="utf-8")
    compared = data_of("compare", str(path), str(path))
    assert fields(compared) - NAMED == set()


def test_a_benchmark():
    result = profiling.bench(sum, range(100), against={"max": max}, blocks=1, budget_seconds=0.1).to_dict()
    contenders = {"sum", "max"}
    assert fields(result) - NAMED - contenders == set()


def test_parts_of_a_report_on_an_operation():
    from profiling.collect.step import measure_step

    choice = tensorops.explain("matmul", (64, 64), (64, 64)).to_dict()
    for part in (choice, measure_step("float32").to_dict()):
        assert fields(part) - NAMED == set()


@pytest.mark.parametrize("words", [("machine",), ("cache", "matmul", "--size", "16", "--no-cachegrind")])
def test_machine_and_cache(words):
    data = dict(data_of(*words))
    assert data["kind"] == words[0]
    assert fields(data) - NAMED == set()


def test_the_test_would_notice_a_field():
    assert fields({"schema": 1, "deep": [{"not named": 1}]}) - NAMED == {"deep", "not named"}
