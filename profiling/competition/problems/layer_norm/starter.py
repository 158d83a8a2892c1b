"""Layer normalisation as the formula is written."""

import numpy as np


def kernel(x, weight, bias, out):
    """Write the normalised rows into out."""
    mean = x.mean(axis=1, keepdims=True)
    variance = x.var(axis=1, keepdims=True)
    out[...] = (x - mean) / np.sqrt(variance + np.float32(1e-5)) * weight + bias
