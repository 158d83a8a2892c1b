"""The approximation by a sigmoid: cheaper, and not what is asked for."""

import numpy as np


def kernel(x, out):
    """Write x * sigmoid(1.702 x)."""
    with np.errstate(over="ignore"):
        out[...] = x / (1 + np.exp(np.float32(-1.702) * x))
