"""A first softmax with NumPy: right, and not yet fast."""

import numpy as np


def kernel(x, out):
    """Write the softmax of each row of x into out."""
    shifted = x - x.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    out[...] = powers / powers.sum(axis=1, keepdims=True)
