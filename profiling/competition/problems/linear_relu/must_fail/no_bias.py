"""Forgets the bias."""

import numpy as np


def kernel(x, weight, bias, out):
    """Leave the bias out."""
    out[...] = np.maximum(x @ weight, 0)
