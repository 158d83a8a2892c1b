"""A linear layer as the formula is written."""

import numpy as np


def kernel(x, weight, bias, out):
    """Write relu(x @ weight + bias) into out."""
    out[...] = np.maximum(x @ weight + bias, 0)
