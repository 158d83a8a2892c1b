"""Every pack accepts what is right and refuses what is wrong."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest

from profiling.competition import judge, pack, validate
from profiling.competition.judge import CHECK_ONLY


@pytest.mark.parametrize("name", pack.names())
def test_the_checks_hold(name, walls):
    # The Cython starters are compiled by the attack suite's command: that takes seconds each.
    validate.validate(pack.load(name), right=("baseline.py", "starter.py"))


@pytest.mark.parametrize("name", pack.names())
def test_the_oracle_is_not_the_baseline(name):
    found = pack.load(name)
    problem = found.problem
    rng = np.random.default_rng(1)
    for band in problem.timed:
        sizes = band.draw(rng)
        operands = problem.make(rng, sizes, band.scale)
        expected = problem.oracle(*operands)
        assert expected.dtype == np.float64
        assert expected.shape == tuple(problem.out_shape(sizes))
        assert all(operand.dtype == problem.dtype for operand in operands)
        assert problem.error(expected.astype(problem.dtype), expected, *operands) < problem.tolerance
        assert problem.flops(sizes) > 0 and problem.bytes(sizes) > 0


@pytest.mark.parametrize("name", pack.names())
def test_no_size_can_be_known_before(name):
    for band in pack.load(name).problem.timed:
        assert np.prod([high - low + 1 for low, high in band.ranges]) >= 60


def broken(tmp_path, change):
    folder = tmp_path / "problems" / "mine"
    shutil.copytree(pack.BUILT_IN / "softmax", folder)
    change(folder)
    return tmp_path


def test_a_pack_whose_must_fail_set_passes_is_refused(tmp_path, walls):
    def change(folder):
        (folder / "must_fail" / "zeros.py").write_bytes((folder / "baseline.py").read_bytes())

    home = broken(tmp_path, change)
    with pytest.raises(pack.PackError, match=r"zeros\.py must fail"):
        validate.validate(pack.load("mine", home), right=())


def test_a_pack_whose_baseline_is_wrong_is_refused(tmp_path, walls):
    home = broken(tmp_path, lambda folder: (folder / "baseline.py").write_text("def kernel(x, out): pass\n"))
    with pytest.raises(pack.PackError, match=r"baseline\.py must be right"):
        validate.validate(pack.load("mine", home), right=("baseline.py",))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: (folder / "starter.pyx").unlink(), r"starter\.pyx is missing"),
        (lambda folder: shutil.rmtree(folder / "must_fail"), "must_fail/ is empty"),
        (lambda folder: (folder / "problem.py").write_text("PROBLEM = 3"), "must be a Problem"),
        (lambda folder: (folder / "problem.py").write_text("1 / 0"), "ZeroDivisionError"),
    ],
)
def test_incomplete_packs_are_refused(tmp_path, change, told):
    home = broken(tmp_path, change)
    with pytest.raises(pack.PackError, match=told):
        pack.load("mine", home)


def test_a_version_follows_problem_and_baseline(tmp_path):
    first = pack.load("mine", broken(tmp_path / "a", lambda folder: None)).version
    assert first == pack.load("softmax").version

    def change(folder):
        (folder / "baseline.py").write_text((folder / "baseline.py").read_text() + "\n# changed\n")

    assert pack.load("mine", broken(tmp_path / "b", change)).version != first


def test_an_unknown_pack_is_named():
    with pytest.raises(pack.PackError, match="unknown problem 'nonsense'"):
        pack.load("nonsense")


def test_a_path_is_no_name():
    with pytest.raises(pack.PackError, match="unknown problem"):
        pack.load("../problems/softmax")


def test_each_problem_is_checked_on_the_seed_alone(softmax, walls):
    code = softmax.file("baseline.py").read_bytes()
    first, second = (judge.judge(softmax, code, ".py", plan=CHECK_ONLY, seed="01" * 32) for _ in range(2))
    assert first.worst == second.worst


def test_a_version_is_tried_once_in_a_competition(softmax, store, monkeypatch):
    tried = []
    monkeypatch.setattr(validate, "validate", lambda found: tried.append(found.version))
    for _ in range(2):
        validate.ensure(store, softmax)
    assert tried == [softmax.version]

    def refuses(found):
        raise pack.PackError("no")

    monkeypatch.setattr(validate, "validate", refuses)
    changed = dataclasses.replace(softmax, version="other")
    for _ in range(2):
        with pytest.raises(pack.PackError):
            validate.ensure(store, changed)
