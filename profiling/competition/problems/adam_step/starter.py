"""A step of Adam as the formulas are written."""

import numpy as np


def kernel(p, g, m, v, out):
    """Write the new parameters and means into out."""
    m1 = np.float32(0.9) * m + np.float32(0.1) * g
    v1 = np.float32(0.999) * v + np.float32(0.001) * g * g
    root = np.sqrt(v1 / np.float32(1 - 0.999**10)) + np.float32(1e-8)
    out[0] = p - np.float32(0.001) * (m1 / np.float32(1 - 0.9**10)) / root
    out[1] = m1
    out[2] = v1
