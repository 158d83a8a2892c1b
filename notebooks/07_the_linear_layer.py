# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 7. The Linear layer
#
# *45 minutes, a further notebook. Needs: notebooks 1, 2 and 5. You will be able to: put a fast product under layers that were
# written with loops, fuse a layer's forward and backward, and see in numbers what each step gave to training.*

# %%
import sys
import tempfile
import time
from pathlib import Path

import course
import numpy as np
from sklearn.datasets import load_digits

import profiling
import tensorops
from tensorops import nn

course.style()
images, labels = load_digits(return_X_y=True)
images = (images / 16).astype(np.float32)
order = np.random.default_rng(0).permutation(len(images))
train, test = order[:1400], order[1400:]

# %% [markdown]
# ## A layer as the course writes it
#
# A small library of its own, in a file as a course has it: a tensor, a product in loops, a Linear layer with weights of
# (inputs, outputs), and a backward pass.

# %%
folder = Path(tempfile.mkdtemp())
(folder / "loops_library.py").write_text(
    """import numpy as np


class Tensor:
    def __init__(self, data):
        self.data = np.asarray(data, np.float32)


def matmul(a, b):
    a, b = a.data, b.data
    result = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            result[i, j] = np.dot(a[i, :], b[:, j])
    return Tensor(result)


class Linear:
    def __init__(self, inputs, outputs, rng):
        limit = 1 / np.sqrt(inputs)
        self.weight = Tensor(rng.uniform(-limit, limit, (inputs, outputs)))
        self.bias = Tensor(np.zeros(outputs))

    def forward(self, x):
        self.x = x
        return Tensor(matmul(x, self.weight).data + self.bias.data)

    def backward(self, grad):
        self.weight_grad = matmul(Tensor(self.x.data.T), grad).data
        self.bias_grad = grad.data.sum(axis=0)
        return matmul(grad, Tensor(self.weight.data.T))

    def step(self, rate):
        self.weight.data -= rate * self.weight_grad
        self.bias.data -= rate * self.bias_grad


class Network:
    def __init__(self, rng):
        self.first, self.second = Linear(64, 32, rng), Linear(32, 10, rng)

    def train_step(self, x, y, rate=0.5):
        hidden = self.first.forward(Tensor(x))
        active = Tensor(np.maximum(hidden.data, 0))
        logits = self.second.forward(active).data
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        loss = -np.log(chances[np.arange(len(y)), y]).mean()
        chances[np.arange(len(y)), y] -= 1
        grad = self.second.backward(Tensor(chances / len(y)))
        self.first.backward(Tensor(grad.data * (hidden.data > 0)))
        self.first.step(rate)
        self.second.step(rate)
        return loss

    def predict(self, x):
        hidden = np.maximum(self.first.forward(Tensor(x)).data, 0)
        return self.second.forward(Tensor(hidden)).data.argmax(axis=1)
"""
)
sys.path.insert(0, str(folder))
import loops_library


def epoch(network, seed):
    """Train on every batch once and return the seconds."""
    batches = np.random.default_rng(seed).permutation(train).reshape(-1, 50)
    start = time.perf_counter()
    for batch in batches:
        network.train_step(images[batch], labels[batch])
    return time.perf_counter() - start


# %% [markdown]
# ## Where the time goes
#
# Which share of an epoch do you expect in the products?

# %%
guess_share = 0.5
network = loops_library.Network(np.random.default_rng(1))
product, inside = loops_library.matmul, [0.0]


def timed(a, b):
    """Multiply and note the time."""
    start = time.perf_counter()
    result = product(a, b)
    inside[0] += time.perf_counter() - start
    return result


loops_library.matmul = timed
seconds = {"loops": epoch(network, 0)}
loops_library.matmul = product
course.compare(guess_share, inside[0] / seconds["loops"])

# %% [markdown]
# ## Step 1: swap the product
#
# `tensorops.install` replaces the library's products wherever they are bound, without a change of its source, and reports what it
# found and what was called.

# %%
network = loops_library.Network(np.random.default_rng(1))
with tensorops.install(loops_library, record=True) as swap:
    epoch(network, 0)
print(swap.report())
guess_swap = 20.0
network = loops_library.Network(np.random.default_rng(1))
with tensorops.install(loops_library):
    seconds["matmul swapped"] = min(epoch(network, seed) for seed in range(4))
course.compare(guess_swap, seconds["loops"] / seconds["matmul swapped"], "times")

# %% [markdown]
# ## Steps 2 and 3: linear, its backward, and the optimizer
#
# `tensorops.linear` adds the bias (and an activation) while the product's tiles are still in registers or in the first cache;
# `linear_backward` gives all three gradients without copying a transposed matrix; `sgd_step_` updates in one pass. `tensorops.nn` is
# a small set of layers made of them.


# %%
class Fused:
    """The same network of `tensorops.nn` layers."""

    def __init__(self, rng):
        self.model = nn.Sequential(
            nn.Linear(64, 32, rng=rng), nn.ReLU(), nn.Linear(32, 10, rng=rng), input_gradient=False
        )
        self.loss, self.optimizer = nn.CrossEntropyLoss(), nn.SGD(self.model.parameters(), lr=0.5)

    def train_step(self, x, y):
        """Make one step and return the loss."""
        value = self.loss(self.model(x), y)
        self.optimizer.zero_grad()
        self.model.backward(self.loss.backward())
        self.optimizer.step()
        return value

    def predict(self, x):
        """Return the classes."""
        return self.model(x).argmax(axis=1)


fused = Fused(np.random.default_rng(1))
seconds["fused layers"] = min(epoch(fused, seed) for seed in range(4))
course.bars(
    list(seconds),
    [1e3 * value for value in seconds.values()],
    "ms for an epoch of 1400 digits (logarithmic)",
    title="One epoch, three ways",
    log=True,
)
gain_swap = seconds["loops"] / seconds["matmul swapped"]
gain_fused = seconds["matmul swapped"] / seconds["fused layers"]
print(f"swapping the product: {gain_swap:.0f} times; fusing beyond it: {gain_fused:.1f} times")

# %% [markdown]
# Do they still learn the same?

# %%
accuracy = {}
for name, made in (
    ("loops, swapped", loops_library.Network(np.random.default_rng(2))),
    ("fused", Fused(np.random.default_rng(2))),
):
    with tensorops.install(loops_library):
        for seed in range(12):
            epoch(made, seed)
        accuracy[name] = float((made.predict(images[test]) == labels[test]).mean())
    print(f"{name:16} {100 * accuracy[name]:.1f} % of the held-out digits")
assert min(accuracy.values()) > 0.9

# %% [markdown]
# ## Exercise: NCHW or NHWC
#
# A batch of images lies in memory as (N, C, H, W) or as (N, H, W, C). A filter of 1 by 1 mixes the channels of each pixel: it is
# a product over the channel axis. Write it for NHWC as *one* product without copying, for a weight of (C, O).


# %% tags=["solution"]
def one_by_one(images_nhwc, weight):
    """Return (N, H, W, O) from (N, H, W, C) and (C, O)."""
    ### BEGIN SOLUTION
    return tensorops.matmul(images_nhwc, weight)
    ### END SOLUTION


# %% tags=["check"]
def test_one_by_one():
    """The result of conv2d on the other order of axes."""
    rng = np.random.default_rng(0)
    x, w = (
        rng.integers(-3, 4, (2, 5, 6, 3)).astype(np.float32),
        rng.integers(-3, 4, (3, 4)).astype(np.float32),
    )
    expected = tensorops.conv2d(x.transpose(0, 3, 1, 2), w.T.reshape(4, 3, 1, 1)).transpose(0, 2, 3, 1)
    assert np.array_equal(one_by_one(x, w), expected), "compare with conv2d on (N, C, H, W)"


course.check("NCHW or NHWC", test_one_by_one)
x = np.random.default_rng(0).normal(size=(16, 28, 28, 32)).astype(np.float32)
w = np.random.default_rng(1).normal(size=(32, 32)).astype(np.float32)
channels_first, filters = (
    np.ascontiguousarray(x.transpose(0, 3, 1, 2)),
    np.ascontiguousarray(w.T.reshape(32, 32, 1, 1)),
)
orders = profiling.bench(
    lambda: one_by_one(x, w),
    against={"NCHW": lambda: tensorops.conv2d(channels_first, filters)},
    name="NHWC",
    blocks=3,
    budget_seconds=1.0,
)
print(
    f"NHWC over NCHW for filters of 1 by 1: {orders.ratio('NCHW').estimate:.2f} times; for 3 by 3 measure it yourself"
)

# %% [markdown]
# ## What the module claims, and what this machine says

# %%
course.claims(
    [
        (
            "swap matmul alone",
            "10-100x",
            f"{gain_swap:.0f}x an epoch",
            gain_swap >= 10,
            "loops over np.dot before; small layers",
        ),
        (
            "fuse forward, backward, update",
            "1.5-2x",
            f"{gain_fused:.1f}x more",
            gain_fused >= 1.5,
            "layers of a few thousand elements",
        ),
    ]
)
