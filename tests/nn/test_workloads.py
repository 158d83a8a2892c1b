"""The four versions of the benchmark's networks compute the same training."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn, whose digits are trained on, is not installed")

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "workloads.py"


@pytest.fixture(scope="module")
def workloads():
    spec = importlib.util.spec_from_file_location("workloads", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["workloads"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_versions_agree(workloads, kind):
    images, labels, held_images, _ = workloads.digits()
    made = workloads.versions(kind)
    assert {"tensorops", "numpy", "matmul swapped"} <= set(made)
    losses = {
        name: [network.step(images[at : at + 64], labels[at : at + 64]) for at in (0, 64, 128)]
        for name, network in made.items()
    }
    scores = {name: network.logits(held_images) for name, network in made.items()}
    for name in made:
        np.testing.assert_allclose(losses[name], losses["numpy"], rtol=1e-4, err_msg=name)
        np.testing.assert_allclose(scores[name], scores["numpy"], rtol=1e-2, atol=1e-3, err_msg=name)


def test_a_quick_run_prints_both_tables(workloads, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(workloads, "EPOCHS", {"mlp": 1})
    assert workloads.main(["--quick", "--json", str(tmp_path / "found.json")]) == 0
    text = capsys.readouterr().out
    assert "mlp: one step on 64 digits" in text
    assert "matmul swapped" in text
    assert (tmp_path / "found.json").exists()
