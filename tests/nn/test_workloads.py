"""The four versions of the benchmarks' networks compute the same training."""

import dataclasses
import functools
import json
import signal

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn, whose digits are trained on, is not installed")

from benchmarks.workloads import __main__ as command
from benchmarks.workloads import digits, networks, versions

TINY = functools.partial(networks.transformer, width=16, depth=2, heads=2)
WORKLOADS = {
    **networks.WORKLOADS,
    "transformer": dataclasses.replace(networks.WORKLOADS["transformer"], network=TINY, batch=32),
}


@pytest.fixture(scope="module", autouse=True)
def nothing_stays_installed():
    """Take back the products that one of the versions has put under a copy of its layers."""
    yield
    if versions.installation.cache_info().currsize:
        versions.installation().uninstall()
        versions.installation.cache_clear()


@pytest.fixture(scope="module")
def data():
    return digits.load()


@pytest.mark.parametrize("name", WORKLOADS)
def test_versions_agree(data, name):
    workload = WORKLOADS[name]
    found = {}
    for version in versions.available():
        training = versions.begin(version, workload, seed=3)
        batches = list(data.batches(workload.batch, np.random.default_rng(5)))[:3]
        images, labels = batches[0]
        _, gradients = training.gradients(workload.form(images), labels)
        # Layers of tensorops may keep what they returned.
        gradients = [gradient.copy() for gradient in gradients]
        losses = [training.step(workload.form(images), labels) for images, labels in batches]
        found[version] = gradients, losses, training.logits(workload.form(data.held_images[:32]))
    assert {"tensorops", "numpy", "matmul swapped"} <= set(found)
    right_gradients, right_losses, right_scores = found["numpy"]
    for version, (gradients, losses, scores) in found.items():
        for mine, right in zip(gradients, right_gradients, strict=True):
            np.testing.assert_allclose(
                mine, right, rtol=1e-3, atol=1e-4 * np.abs(right).max(), err_msg=version
            )
        np.testing.assert_allclose(losses, right_losses, rtol=1e-4, err_msg=version)
        np.testing.assert_allclose(scores, right_scores, rtol=1e-2, atol=1e-2, err_msg=version)


def test_a_transformer_s_gradients_are_the_finite_differences(data):
    workload = WORKLOADS["transformer"]
    weights = [weight.astype(np.float64) for weight in versions.first_weights(workload, 0)]
    training = versions.TensoropsTraining(workload, weights)
    x, y = workload.form(data.images[:16].astype(np.float64)), data.labels[:16]
    _, gradients = training.gradients(x, y)
    rng, step = np.random.default_rng(1), 1e-5
    for weight, gradient in zip(weights, gradients, strict=True):
        direction = rng.normal(size=weight.shape)
        sides = []
        for sign in (1, -1):
            weight += sign * step * direction
            sides.append(training.loss(training.logits(x), y))
            weight -= sign * step * direction
        slope = (sides[0] - sides[1]) / (2 * step)
        assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_only_products_are_swapped():
    sites = {site.what for site in versions.installation().sites}
    assert sites == {"a @ b of arrays"}
    assert versions.installation().active


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be stopped here")
def test_a_quick_run_prints_a_table_and_writes_the_figures(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "available", lambda: ["tensorops", "numpy"])
    assert command.main(["mlp-sgd", "--quick", "--json", str(tmp_path / "found.json")]) == 0
    text = capsys.readouterr().out
    assert "mlp-sgd (784-256-10), SGD: a step on 64 digits, threads: 1" in text
    assert "best rival: numpy" in text
    ours, numpy = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert ours["version"] == "tensorops"
    assert ours["ratio"] == [1, 1, 1]
    assert numpy["seconds"][1] <= numpy["seconds"][0] <= numpy["seconds"][2]
    assert all(0.5 < row["accuracy"][0] <= 1 for row in (ours, numpy))


def test_an_unknown_workload_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["rnn"])
    assert "unknown workload 'rnn'; there are mlp-sgd" in capsys.readouterr().err
