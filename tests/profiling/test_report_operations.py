"""The report, the benchmark and the roofline of every operation of the registry, as short as they can be."""

import json

import numpy as np
import pytest

from profiling import targets
from profiling.__main__ import main
from profiling.cases import DTYPES, Case, example_case
from profiling.collect.twin import measure_twins
from profiling.commands import _report_kernels, _report_operation, bench, roofline
from profiling.commands import report as report_verb
from profiling.measure import ladder, paths
from profiling.measure.contenders import LIBRARIES
from profiling.measure.libraries import operation_loop
from profiling.measure.rivals import RIVALS
from profiling.measure.timer import Schedule
from profiling.measure.verify import Check
from profiling.measure.worker import _Session
from profiling.model.roofline import Bandwidth, Roof
from profiling.targets.registered import registered_target
from tensorops.dispatch import schema
from tensorops.operations import OPERATIONS

SHORT = Schedule(sample_seconds=1e-5, blocks=1)
TINY = 1000
ROOF = Roof(
    "float32",
    1,
    100.0,
    (Bandwidth("memory", 1, 1 << 20, dict.fromkeys(("read", "copy", "triad"), 10.0)),),
    {},
)


class Inside:
    """A worker that runs inside this process: starting one for each operation would take minutes."""

    def __init__(self, libraries, threads, *, frozen):
        self.libraries = tuple(libraries)
        self.session = _Session(threads, libraries)
        self.versions = {}

    def __enter__(self):
        return self

    def __exit__(self, *details):
        pass

    def open(self, case, seed, names, *, oracle=False, lenient=False):
        return self.session.open(case, seed, names, oracle, lenient)

    def sample(self, library, loops):
        return self.session.sample(library, loops, False)

    def workspace(self):
        return None


@pytest.fixture
def short(monkeypatch, cache_dir):
    monkeypatch.delenv("TENSOROPS_PROFILE", raising=False)
    for module, name in ((ladder, "SLOW"), (paths, "SCHEDULE"), (bench, "QUICK"), (roofline, "SHORT")):
        monkeypatch.setattr(module, name, SHORT)
    monkeypatch.setattr(_report_kernels, "SAMPLE_SECONDS", 0.0)
    monkeypatch.setattr(_report_operation.calibration, "sample", lambda: [0.04])
    monkeypatch.setattr(bench.calibration, "sample", lambda: [0.04])
    monkeypatch.setattr(report_verb.machine, "measure_peak", lambda dtype: 100.0)
    monkeypatch.setattr(_report_operation, "measure_roof", lambda dtype, threads, advance: ROOF)
    monkeypatch.setattr("profiling.measure.launches.Worker", Inside)
    # Without PyTorch and others that take seconds to be imported.
    absent = set(RIVALS) - {"numpy"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in absent else object())
    small = {op: registered_target(op) for op in OPERATIONS if op != "matmul"}
    for target in small.values():
        case = target.case(TINY, "float32")
        object.__setattr__(target, "profile_cases", lambda dtype, case=case: (case,))
        object.__setattr__(target, "sampled", ())
    monkeypatch.setattr(report_verb, "TARGETS", {"matmul": targets.TARGETS["matmul"], **small})
    monkeypatch.setattr(roofline, "default_cases", lambda op, dtype: small[op].profile_cases(dtype))
    return schema.profile_path()


OPERATIONS_BESIDE_MATMUL = [op for op in OPERATIONS if op != "matmul"]


def test_there_is_a_target_and_a_benchmark_for_every_operation():
    assert set(targets.TARGETS) == set(bench.BENCHES) == set(OPERATIONS)
    for op, spec in OPERATIONS.items():
        assert spec.example_shapes, op
        for dtype in DTYPES:
            assert targets.TARGETS[op].profile_cases(dtype)


@pytest.mark.parametrize("op", OPERATIONS_BESIDE_MATMUL)
def test_the_report_of_an_operation(op, short, tmp_path, capsys):
    path = tmp_path / "report.json"
    assert main(["report", op, "--size", str(TINY), "--json", str(path)]) == 0
    text = capsys.readouterr().out
    assert "WRONG" not in text
    assert text.splitlines()[-1].strip() == str(short)
    data = json.loads(path.read_text(encoding="utf-8"))
    rungs = [step["rung"] for step in data["ladder"]]
    assert "optimised" in rungs
    assert ("NumPy" in rungs) == (OPERATIONS[op].numpy_twin is not None)
    assert [choice["op"] for choice in data["choices"]] == [op]
    assert {entry.op for entry in schema.load().entries} == {op}
    assert data["twins"]["ours"]["count"] >= 0


def test_the_roofline_and_the_benchmark_of_an_operation(short, monkeypatch, capsys):
    monkeypatch.setattr(
        roofline, "measure_roofs", lambda levels, counts, dtype, advance: ({"float32": {1: 100.0}}, [ROOF])
    )
    assert main(["roofline", "gelu", "silu_"]) == 0
    assert "silu_" in capsys.readouterr().out
    for op in ("gelu", "add_"):
        (group,) = bench.BENCHES[op].values()
        few = {group.name: type(group)(group.name, "few", 0.0, 0.0, group.cases[:1], group.cases[:1])}
        monkeypatch.setitem(bench.BENCHES, op, few)
        assert main(["bench", op, "--quick", "--check", "--threads", "1"]) == 0


def test_numpy_s_form_allocates_what_one_pass_does_not():
    cost = measure_twins(example_case("sigmoid", "float32", ((1000,),)))
    assert cost.ours.count == 0
    assert cost.numpy.count >= 2
    assert {line.count for line in cost.lines} == {cost.numpy.count}
    assert "np.exp" in cost.lines[0].source
    ufunc = measure_twins(example_case("add_", "float64", ((1000,), (1000,))))
    assert (ufunc.file, ufunc.lines, ufunc.numpy.count) == ("", (), 0)


@pytest.mark.parametrize("library", ["tensorops", "numpy"])
def test_calls_in_place_start_from_the_same_values(library):
    case = example_case("mul_", "float64", ((5,), (5,)))
    operands = tuple(np.full(5, value) for value in (3.0, 2.0))
    out = case.results()
    loop = LIBRARIES[library].loop(case, operands, out)
    for count, expected in ((1, 6.0), (8, 3.0 * 2.0**8), (9, 6.0)):
        loop(count)
        assert set(out) == {expected}
    assert set(operands[0]) == {3.0}


def test_several_results_are_checked_one_by_one(monkeypatch):
    class Pair:
        name, signature, in_place, outputs, changed = "pair", "(x)", False, 2, ()
        cost_class, example_params, operands = "elementwise", ({},), None
        reference = staticmethod(lambda x: (x + 1.0, x + 2.0))
        error_bound = staticmethod(lambda x: (np.zeros_like(x), np.zeros_like(x)))
        flops = staticmethod(lambda shapes, params: 2 * shapes[0][0])
        out_shape = staticmethod(lambda shapes, params: (shapes[0], shapes[0]))

    monkeypatch.setitem(OPERATIONS, "pair", Pair)
    case = Case("pair", "float64", ((4,),), "C")
    operands = case.operands()
    out = case.results()
    operation_loop(lambda x: (x + 1, x + 2), case, operands, out)(2)
    check = Check(case, operands)
    assert check.problem(out) is None
    out[1][2] = 0
    assert check.problem(out) == "wrong result in 1 of 4 elements"
