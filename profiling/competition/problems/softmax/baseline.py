"""Softmax of rows with NumPy, in place in out."""

import numpy as np


def kernel(x, out):
    """Write the softmax of each row of x into out."""
    np.subtract(x, x.max(axis=1, keepdims=True), out=out)
    np.exp(out, out=out)
    out /= out.sum(axis=1, keepdims=True)
