"""Forgets the bias."""

import numpy as np


def kernel(x, weight, bias, out):
    """Leave the last step out."""
    mean = x.mean(axis=1, keepdims=True)
    out[...] = (x - mean) / np.sqrt(x.var(axis=1, keepdims=True) + np.float32(1e-5)) * weight
