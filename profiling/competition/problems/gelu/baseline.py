"""GELU with NumPy, in place in out."""

import numpy as np

FACTOR = np.float32(np.sqrt(2 / np.pi))
CUBE = np.float32(0.044715)


def kernel(x, out):
    """Write the GELU of x into out."""
    np.multiply(x, x, out=out)
    out *= CUBE
    out += 1
    out *= x
    out *= FACTOR
    np.tanh(out, out=out)
    out += 1
    out *= x
    out *= np.float32(0.5)
