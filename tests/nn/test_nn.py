"""Layers, losses and optimizers: gradients by finite differences and PyTorch, training, saving, errors."""

import importlib.util

import numpy as np
import pytest

from tensorops import nn

RNG = np.random.default_rng


def layers():
    """Return a layer of each kind, in float64, with an input for it."""
    rng = RNG(1)
    images = rng.normal(size=(2, 3, 6, 5))
    rows = rng.normal(size=(4, 5))
    kinds = {
        "Linear": (nn.Linear(5, 3, dtype=np.float64, rng=rng), rows),
        "Linear, three axes": (nn.Linear(5, 3, dtype=np.float64, rng=rng), rng.normal(size=(2, 3, 5))),
        "Linear, no bias": (nn.Linear(5, 3, use_bias=False, dtype=np.float64, rng=rng), rows),
        "ReLU": (nn.ReLU(), rows),
        "Sigmoid": (nn.Sigmoid(), rows),
        "Tanh": (nn.Tanh(), rows),
        "GELU": (nn.GELU(), rows),
        "GELU, tanh form": (nn.GELU("tanh"), rows),
        "Softmax": (nn.Softmax(), rows),
        "Softmax, other axis": (nn.Softmax(0), rows),
        "Flatten": (nn.Flatten(), images),
        "Conv2d": (nn.Conv2d(3, 2, 3, padding=1, dtype=np.float64, rng=rng), images),
        "Conv2d, stride": (
            nn.Conv2d(3, 2, (2, 3), stride=2, use_bias=False, dtype=np.float64, rng=rng),
            images,
        ),
        "MaxPool2d": (nn.MaxPool2d(2), images),
        "MaxPool2d, strides": (nn.MaxPool2d(3), images.transpose(0, 1, 3, 2)),
        "LayerNorm": (nn.LayerNorm(5, dtype=np.float64), rows),
        "Dropout": (nn.Dropout(0.5, rng=RNG(7)), rows),
        "Sequential": (
            nn.Sequential(
                nn.Conv2d(3, 2, 3, dtype=np.float64, rng=rng),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(24, 4, dtype=np.float64, rng=rng),
                nn.Tanh(),
                nn.Linear(4, 3, dtype=np.float64, rng=rng),
            ),
            images,
        ),
    }
    return kinds


@pytest.mark.parametrize("name", layers())
def test_gradients_are_the_finite_differences(name):
    layer, x = layers()[name]
    seed = RNG(3)

    def forward(x):
        # The same places are dropped each time.
        if isinstance(layer, nn.Dropout):
            layer.rng = RNG(7)
        return layer(x)

    direction = seed.normal(size=forward(x).shape)

    def loss():
        return float((forward(x) * direction).sum())

    found = layer.backward(direction.copy())
    assert found.shape == x.shape
    targets = [(x, found)] + [(parameter.data, parameter.grad) for parameter in layer.parameters()]
    for values, gradient in targets:
        assert gradient.shape == values.shape
        for _ in range(6):
            place = tuple(seed.integers(size) for size in values.shape)
            before, step = values[place], 1e-6
            values[place] = before + step
            above = loss()
            values[place] = before - step
            below = loss()
            values[place] = before
            assert gradient[place] == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-7)


def test_an_activation_joins_the_product_before_it():
    model = nn.Sequential(nn.Linear(5, 4, rng=RNG(0)), nn.ReLU(), nn.Linear(4, 3, rng=RNG(1)), nn.GELU())
    x = RNG(2).normal(size=(7, 5)).astype(np.float32)
    alone = x
    for layer in model.layers:
        alone = layer(alone)
    np.testing.assert_allclose(model(x), alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [nn.Linear, nn.Conv2d])
def test_a_first_layer_may_leave_out_the_gradient_of_its_input(kind):
    linear = kind is nn.Linear
    x = RNG(0).normal(size=(2, 3, 5) if linear else (2, 5, 4, 3))
    grad = RNG(1).normal(size=(2, 3, 4) if linear else (2, 4, 4, 3))
    more = {} if linear else {"kernel_size": 3, "padding": 1}
    gradients = []
    for wanted in (True, False):
        layer = kind(5, 4, dtype=np.float64, rng=RNG(2), **more)
        model = nn.Sequential(layer, input_gradient=wanted)
        model(x)
        assert model.backward(grad.copy()).shape == (x.shape if wanted else (0,))
        gradients.append([parameter.grad for parameter in model.parameters()])
    for first, second in zip(*gradients, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("size", "shape"), [(1, (2, 1, 3, 4)), (2, (3, 4, 7, 6)), (3, (40, 12, 21, 20))])
def test_maxima_of_windows(dtype, size, shape):
    # Whole numbers, so that some are equal; of those the first has the gradient.
    x = RNG(4).integers(-3, 4, shape).astype(dtype)
    x[0, 0, 0, 0] = np.nan
    layer = nn.MaxPool2d(size)
    found = layer(x)
    high, wide = shape[2] // size, shape[3] // size
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))[:, :, ::size, ::size]
    windows = windows[:, :, :high, :wide].reshape(*shape[:2], high, wide, -1)
    assert np.array_equal(found, windows.max(axis=-1), equal_nan=True)
    assert found.dtype == dtype
    grad = RNG(5).normal(size=found.shape).astype(dtype)
    given = layer.backward(grad)
    expected = np.zeros(shape, dtype)
    for place in np.ndindex(found.shape):
        i, j = divmod(int(windows[place].argmax()), size)
        expected[place[0], place[1], place[2] * size + i, place[3] * size + j] = grad[place]
    assert np.array_equal(given, expected)


def test_what_cannot_be_pooled_is_refused():
    with pytest.raises(TypeError, match="int64"):
        nn.MaxPool2d(2)(np.ones((1, 1, 2, 2), np.int64))
    with pytest.raises(ValueError, match="4 axes"):
        nn.MaxPool2d(2)(np.ones((2, 2)))
    layer = nn.MaxPool2d(2)
    layer(np.ones((1, 1, 4, 4)))
    with pytest.raises(ValueError, match=r"\(1, 1, 4, 4\)"):
        layer.backward(np.ones((1, 1, 4, 4)))


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("name", ["SGD", "momentum", "nesterov", "Adam", "AdamW"])
def test_training_is_pytorch_s(name):
    import torch

    made = {
        "SGD": (lambda p: nn.SGD(p, 0.1), lambda p: torch.optim.SGD(p, 0.1)),
        "momentum": (
            lambda p: nn.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
            lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
        ),
        "nesterov": (
            lambda p: nn.SGD(p, 0.1, momentum=0.9, nesterov=True),
            lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
        ),
        "Adam": (lambda p: nn.Adam(p, weight_decay=0.1), lambda p: torch.optim.Adam(p, weight_decay=0.1)),
        "AdamW": (lambda p: nn.AdamW(p), lambda p: torch.optim.AdamW(p)),
    }[name]
    rng = RNG(0)
    ours = nn.Sequential(
        nn.Linear(6, 8, dtype=np.float64, rng=rng),
        nn.GELU(),
        nn.LayerNorm(8, dtype=np.float64),
        nn.Linear(8, 3, dtype=np.float64, rng=rng),
    )
    theirs = torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.GELU(), torch.nn.LayerNorm(8), torch.nn.Linear(8, 3)
    ).double()
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(torch.from_numpy(mine.data.T if mine.data.ndim == 2 else mine.data))
    our_optimizer, their_optimizer = made[0](ours.parameters()), made[1](theirs.parameters())
    loss, their_loss = nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss()
    for _ in range(5):
        x, y = rng.normal(size=(10, 6)), rng.integers(3, size=10)
        value = loss(ours(x), y)
        our_optimizer.zero_grad()
        ours.backward(loss.backward())
        our_optimizer.step()
        expected = their_loss(theirs(torch.from_numpy(x)), torch.from_numpy(y))
        their_optimizer.zero_grad()
        expected.backward()
        their_optimizer.step()
        assert value == pytest.approx(expected.item(), rel=1e-9)


def test_gradients_add_up_until_they_are_forgotten():
    layer = nn.Linear(3, 2, rng=RNG(0))
    x = np.ones((4, 3), np.float32)
    for times in (1, 2):
        layer(x)
        layer.backward(np.ones((4, 2), np.float32))
        assert np.array_equal(layer.bias.grad, np.full(2, 4.0 * times))
    layer.zero_grad()
    assert layer.weight.grad is None


def test_losses():
    predicted, target = np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros((2, 2))
    loss = nn.MSELoss()
    assert loss(predicted, target) == 7.5
    assert np.array_equal(loss.backward(), predicted / 2)
    with pytest.raises(ValueError, match=r"\(2, 2\), target \(2,\)"):
        loss(predicted, np.zeros(2))


def test_dropout_is_for_training():
    layer = nn.Dropout(0.25, rng=RNG(0))
    x = np.ones((100, 100), np.float32)
    y = layer(x)
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert y.mean() == pytest.approx(1, abs=0.02)
    assert nn.Sequential(layer).eval()(x) is x
    assert not layer.training
    assert np.array_equal(layer.backward(np.ones_like(x)), x)
    with pytest.raises(ValueError, match="up to but not including 1, got 1"):
        nn.Dropout(1)


def test_models_are_saved_and_loaded(tmp_path):
    def make(seed):
        return nn.Sequential(nn.Linear(4, 3, rng=RNG(seed)), nn.ReLU(), nn.LayerNorm(3))

    first, second = make(0), make(1)
    first.save(tmp_path / "model.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]
    second.load(tmp_path / "model.npz")
    x = np.ones((2, 4), np.float32)
    assert np.array_equal(first(x), second(x))
    state = first.state_dict()
    with pytest.raises(ValueError, match=r"missing layers\.0\.bias, unknown extra"):
        second.load_state_dict({"extra" if name == "layers.0.bias" else name: state[name] for name in state})
    with pytest.raises(ValueError, match=r"layers\.0\.weight has shape \(4, 3\), got \(2, 2\)"):
        second.load_state_dict(state | {"layers.0.weight": np.zeros((2, 2))})
    assert np.array_equal(second(x), first(x))


def test_a_shared_parameter_is_one():
    layer = nn.Linear(3, 3, rng=RNG(0))
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert len(model.parameters()) == 2


def test_what_cannot_be_trained_is_refused():
    with pytest.raises(ValueError, match="no parameters"):
        nn.SGD([], lr=0.1)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        nn.MaxPool2d(0)
    for method in ("forward", "backward"):
        with pytest.raises(NotImplementedError, match=f"Module has no {method}"):
            getattr(nn.Module(), method)(np.ones(1))


def test_a_network_learns():
    rng = RNG(0)
    x = rng.normal(size=(300, 10)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    model = nn.Sequential(
        nn.Linear(10, 32, rng=rng), nn.ReLU(), nn.Linear(32, 2, rng=rng), input_gradient=False
    )
    loss, optimizer = nn.CrossEntropyLoss(), nn.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        loss(model(x), y)
        model.zero_grad()
        model.backward(loss.backward())
        optimizer.step()
    assert (model(x).argmax(axis=1) == y).mean() > 0.95
