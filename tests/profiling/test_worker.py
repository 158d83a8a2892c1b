"""Processes that hold a library: they verify, stop outside their turns, and say why they fail."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from profiling.cases import square_case
from profiling.measure import worker as worker_module
from profiling.measure.contenders import LIBRARIES, OURS, forced_path, get_library
from profiling.measure.launches import Interrupted, Job, measure_launches
from profiling.measure.timer import Schedule, loop_of
from profiling.measure.worker import RemoteContender, Worker, WorkerError, _Session

CASE = square_case(8, "float32")
SHORT = Schedule(sample_seconds=1e-5, blocks=1)


def state_of(process):
    return Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


def test_a_worker_verifies_and_measures():
    with Worker(["numpy", "path:blocked/small"], 1, frozen=False) as worker:
        assert worker.open(CASE, 0, ["numpy"], oracle=True) == {}
        assert worker.sample("numpy", 3) > 0
        assert worker.versions == {"numpy": np.__version__, OURS: worker.versions[OURS]}
        with pytest.raises(WorkerError, match="KeyError"):
            worker.sample("path:blocked/small", 1)
        assert set(worker.workspace()) >= {"peak", "live"}
    assert worker._process.poll() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads the state of a process from /proc")
def test_a_frozen_worker_is_stopped_outside_its_turn():
    with Worker(["numpy"], 2, frozen=True) as worker:
        worker.open(CASE, 0, ["numpy"])
        for _ in range(3):
            assert RemoteContender(worker, "numpy").sample(2) > 0
            for _ in range(1000):
                state = state_of(worker._process)
                if state == "T":
                    break
            assert state == "T"
    assert worker._process.poll() == 0


def test_a_worker_that_cannot_start_says_so(capfd):
    with pytest.raises(WorkerError, match="no_such_library ended with exit code"):
        Worker(["no_such_library"], 1, frozen=False)
    assert "unknown contender 'no_such_library'" in capfd.readouterr().err


def test_a_worker_whose_parent_left_ends_quietly(capfd):
    worker = Worker(["numpy"], 1, frozen=False)
    worker.open(CASE, 0, ["numpy"])
    worker._process.stdin.write('{"sample": "numpy", "loops": 200000, "warm": false}\n')
    worker.close()
    assert worker._process.returncode == 0
    assert capfd.readouterr().err == ""


def test_a_worker_that_is_killed_says_so():
    worker = Worker(["numpy"], 1, frozen=False)
    worker._process.kill()
    worker._process.wait()
    with pytest.raises(WorkerError, match="numpy ended with exit code -9"):
        worker.open(CASE, 0, ["numpy"])
    worker.close()


@pytest.mark.parametrize("oracle", [False, True])
def test_a_wrong_result_is_reported(monkeypatch, oracle):
    class Wrong(type(LIBRARIES["numpy"])):
        def loop(self, case, operands, out):
            return loop_of(lambda: np.copyto(out, np.matmul(*operands) + np.eye(*out.shape)))

    monkeypatch.setattr(worker_module, "get_library", lambda name: Wrong())
    session = _Session(1, ["numpy"])
    errors = session.open(CASE, 0, ["numpy"], oracle)
    assert errors["numpy"].startswith("wrong result in 8 of ")


def test_a_library_that_writes_nothing_is_reported(monkeypatch):
    class Lazy(type(LIBRARIES["numpy"])):
        def loop(self, case, operands, out):
            return loop_of(lambda: None)

    monkeypatch.setattr(worker_module, "get_library", lambda name: Lazy())
    assert _Session(1, ["numpy"]).open(CASE, 0, ["numpy"], False) == {"numpy": "wrong result in 8 of 8 rows"}


@pytest.mark.parametrize("threads", [1, 2])
def test_launches_are_pooled(threads):
    seen = []
    jobs = [
        Job(CASE, ("numpy", "ladder:naive"), SHORT, oracle=True),
        Job(square_case(4, "float64"), ("numpy",), SHORT),
    ]
    collected = measure_launches(jobs, threads, 2, seen.append)
    first, second = collected.measurements
    assert [len(launch.seconds["ladder:naive"]) for launch in first.launches] == [4, 4]
    assert first.contenders == ("numpy", "ladder:naive")
    assert second.contenders == ("numpy",)
    assert first.errors == second.errors == {}
    assert first.threads == threads
    assert seen == [CASE.name, "4x4x4 float64"] * 2
    assert CASE.name in collected.workspace


def test_an_interruption_keeps_the_jobs_that_are_finished():
    jobs = [Job(CASE, ("numpy",), SHORT), Job(square_case(4, "float64"), ("numpy",), SHORT)]
    seen = []

    def on_case(name):
        seen.append(name)
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        measure_launches(jobs, 1, 3, on_case)
    first, second = caught.value.collected.measurements
    assert [len(first.launches), len(second.launches)] == [2, 1]
    seen[:] = [None] * 3
    with pytest.raises(KeyboardInterrupt) as caught:
        measure_launches(jobs, 1, 3, on_case)
    assert caught.value.collected.measurements == []


def test_every_hardware_thread_is_listed_once_with_distinct_cores_first(tmp_path, monkeypatch):
    for processor, siblings in enumerate(["0-1", "0-1", "2-3", "2-3"]):
        folder = tmp_path / f"cpu{processor}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings + "\n", encoding="ascii")
    monkeypatch.setattr(worker_module, "SYSTEM_CPUS", tmp_path)
    monkeypatch.setattr(worker_module.os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    assert worker_module.physical_cores_first() == [0, 2, 1, 3]


@pytest.mark.parametrize("name", ["blas", "path:", "route:numpy"])
def test_an_unknown_contender_is_an_error_that_lists_the_known(name):
    with pytest.raises(ValueError, match="known: tensorops, numpy, torch"):
        get_library(name)


@pytest.mark.parametrize("path", ["blocked/small", "blocked/packed", "numpy", "naive", "python"])
def test_a_forced_path_is_taken_and_left_again(path, monkeypatch, cache_dir):
    import tensorops

    taken = []
    module = importlib.import_module("tensorops.dispatch.running")
    run_path = module.run_path
    monkeypatch.setattr(
        module,
        "run_path",
        lambda name, *rest, **params: taken.append(name) or run_path(name, *rest, **params),
    )
    a, b = CASE.operands()
    before = tensorops.explain("matmul", a, b).choice.path
    with forced_path(path):
        assert np.array_equal(tensorops.matmul(a, b), np.matmul(a, b))
    # The kernels and NumPy are called by the compiled boundary, every other path through run_path.
    assert taken == ([path] if path in ("naive", "python") else [])
    assert tensorops.explain("matmul", a, b).choice.path == before


def test_a_lenient_job_goes_on_without_what_raises():
    jobs = [Job(CASE, ("path:numpy", "path:missing"), SHORT, lenient=True), Job(CASE, ("path:numpy",), SHORT)]
    for threads in (1, 2) if hasattr(worker_module.signal, "SIGSTOP") else (1,):
        first, second = measure_launches(jobs, threads, 2).measurements
        assert first.contenders == second.contenders == ("path:numpy",) and len(first.launches) == 2
        assert "unknown backend 'missing'" in first.errors["path:missing"]
