"""Forgets that the means begin at zero."""

import numpy as np


def kernel(p, g, m, v, out):
    """Leave the correction out."""
    out[1] = np.float32(0.9) * m + np.float32(0.1) * g
    out[2] = np.float32(0.999) * v + np.float32(0.001) * g * g
    out[0] = p - np.float32(0.001) * out[1] / (np.sqrt(out[2]) + np.float32(1e-8))
