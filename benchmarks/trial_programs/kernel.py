"""A function for the benchmark trial and a rival that stays as it is; ``SLOWER=1`` adds a fifth."""

import os

import numpy as np

ROWS = 1200 if os.environ.get("SLOWER") == "1" else 1000
X = np.random.default_rng(0).random((1200, 64))


def planted():
    return np.tanh(X[:ROWS]).sum()


def rival():
    return np.exp(X[:1000]).sum()
