"""Layer normalisation with NumPy, in place in out."""

import numpy as np


def kernel(x, weight, bias, out):
    """Write the normalised rows into out."""
    np.subtract(x, x.mean(axis=1, keepdims=True), out=out)
    variance = np.square(out).mean(axis=1, keepdims=True)
    out /= np.sqrt(variance + np.float32(1e-5))
    out *= weight
    out += bias
