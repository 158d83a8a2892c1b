"""The digits that ship with scikit-learn, in the forms that the networks read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Form = Callable[[Array], Array]

HELD_OUT, SIDE, IMAGES_OF_A_SEQUENCE = 397, 8, 16


@dataclass(frozen=True, slots=True)
class Digits:
    """Images with their labels, to train on and held out; the split is always the same.

    Attributes
    ----------
    images, held_images : ndarray of shape (1400, 64), (397, 64)
        float32, from 0 to 1.
    labels, held_labels : ndarray of shape (1400,), (397,)
        Classes, int64.
    """

    images: Array
    labels: Array
    held_images: Array
    held_labels: Array

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
        """Yield all whole batches of one epoch, in a new order."""
        order = rng.permutation(len(self.images))
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            yield self.images[chosen], self.labels[chosen]


def load() -> Digits:
    """Return the digits."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = (images[order] / 16).astype(np.float32), labels[order].astype(np.int64)
    return Digits(images[HELD_OUT:], labels[HELD_OUT:], images[:HELD_OUT], labels[:HELD_OUT])


def enlarged(images: Array) -> Array:
    """Return images of 28 by 28 pixels as rows of 784: each pixel three by three, and a margin of two."""
    large = np.kron(images.reshape(-1, SIDE, SIDE), np.ones((1, 3, 3), images.dtype))
    return np.pad(large, ((0, 0), (2, 2), (2, 2))).reshape(len(images), -1)


def as_images(images: Array) -> Array:
    """Return images of one channel: (N, 1, 8, 8)."""
    return images.reshape(-1, 1, SIDE, SIDE)


def as_sequences(images: Array) -> Array:
    """Return sixteen images each as a sequence of 128 rows of pixels: (N / 16, 128, 8)."""
    return images.reshape(-1, IMAGES_OF_A_SEQUENCE * SIDE, SIDE)
