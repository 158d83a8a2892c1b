"""The variance as a difference of squares: no digits are left far from zero."""

import numpy as np


def kernel(x, weight, bias, out):
    """Subtract two large numbers."""
    mean = x.mean(axis=1, keepdims=True)
    variance = np.maximum((x * x).mean(axis=1, keepdims=True) - mean * mean, 0)
    out[...] = (x - mean) / np.sqrt(variance + np.float32(1e-5)) * weight + bias
