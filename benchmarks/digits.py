"""A two-layer network on scikit-learn's digits: a program whose calls are worth recording.

``python -m profiling tune --record benchmarks/digits.py -- --epochs 2`` notes its products, tunes them, and
says which paths changed and what that saves; ``python benchmarks/digits.py`` just trains.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from profiling.mlp_step import mlp_step

HIDDEN, CLASSES = 128, 10


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the images of scikit-learn's digits and their labels.

    Returns
    -------
    images : ndarray of shape (1797, 64)
        float32, from 0 to 1.
    labels : ndarray of shape (1797,)
        Classes.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32), labels.astype(np.int64)


def train(epochs: int, batch: int, seed: int = 0) -> list[float]:
    """Train by gradient descent in batches.

    Parameters
    ----------
    epochs : int
        Passes over all images.
    batch : int
        Images of a step.
    seed : int
        Seed of the weights and of the order.

    Returns
    -------
    list of float
        Mean loss of each epoch.
    """
    images, labels = digits()
    rng = np.random.default_rng(seed)
    sizes = ((images.shape[1], HIDDEN), (HIDDEN, CLASSES))
    first, second = ((rng.standard_normal(size) / np.sqrt(size[0])).astype(np.float32) for size in sizes)
    parameters = (first, np.zeros(HIDDEN, np.float32), second, np.zeros(CLASSES, np.float32))
    losses = []
    for _ in range(epochs):
        order = rng.permutation(len(labels))[: len(labels) // batch * batch].reshape(-1, batch)
        steps = [mlp_step(images[rows], labels[rows], parameters, rate=0.5) for rows in order]
        losses.append(float(np.mean(steps)))
    return losses


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, and print the loss.

    Parameters
    ----------
    arguments : sequence of str, optional
        Of the command line.

    Returns
    -------
    int
        0 if the network learned something, else 1.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    losses = train(options.epochs, options.batch)
    print(f"loss {losses[0]:.3f} to {losses[-1]:.3f} in {time.perf_counter() - start:.2f} s")
    return int(losses[-1] >= losses[0] and options.epochs > 1)


if __name__ == "__main__":
    sys.exit(main())
