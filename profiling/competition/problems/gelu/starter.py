"""GELU as the formula is written."""

import numpy as np


def kernel(x, out):
    """Write the GELU of x into out."""
    inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x * x * x)
    out[...] = np.float32(0.5) * x * (1 + np.tanh(inner))
