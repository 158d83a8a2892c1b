"""A linear layer with NumPy, in place in out."""

import numpy as np


def kernel(x, weight, bias, out):
    """Write relu(x @ weight + bias) into out."""
    np.matmul(x, weight, out=out)
    out += bias
    np.maximum(out, 0, out=out)
