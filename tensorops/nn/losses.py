"""Losses: a number to make small, and its gradient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tensorops.boundary.rows import cross_entropy, cross_entropy_backward
from tensorops.nn.module import Array


class MSELoss:
    """The mean of the squared differences.

    Examples
    --------
    >>> import numpy as np
    >>> loss = MSELoss()
    >>> loss(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    2.0
    >>> loss.backward()
    array([0., 2.])
    """

    def __call__(self, predicted: Array, target: Array) -> float:
        """Return the loss and keep what `backward` needs.

        Parameters
        ----------
        predicted, target : ndarray
            Of one shape.

        Returns
        -------
        float
            The loss.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        if np.shape(predicted) != np.shape(target):
            raise ValueError(f"predicted has shape {np.shape(predicted)}, target {np.shape(target)}")
        self._difference = predicted - target
        flat = self._difference.reshape(-1)
        return float(np.dot(flat, flat)) / max(1, flat.size)

    def backward(self) -> Array:
        """Return the gradient of the predictions, a new array."""
        scale = self._difference.dtype.type(2 / max(1, self._difference.size))
        result: Array = self._difference * scale
        return result


class CrossEntropyLoss:
    """The mean of the negative logarithms of the true classes' probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> loss = CrossEntropyLoss()
    >>> round(loss(np.zeros((2, 4)), np.array([0, 3])), 6)
    1.386294
    >>> loss.backward().shape
    (2, 4)
    """

    def __call__(self, logits: Array, targets: NDArray[np.integer]) -> float:
        """Return the loss and keep what `backward` needs.

        Parameters
        ----------
        logits : ndarray of shape (..., classes)
            Before softmax.
        targets : ndarray of int
            The true class of each row.

        Returns
        -------
        float
            The loss.
        """
        self._logits, self._targets = logits, targets
        return cross_entropy(logits, targets)

    def backward(self) -> Array:
        """Return the gradient of the logits, a new array."""
        result: Array = cross_entropy_backward(self._logits, self._targets)
        return result
