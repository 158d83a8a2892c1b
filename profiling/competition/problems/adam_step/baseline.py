"""A step of Adam with NumPy, in place in out."""

import numpy as np

FIRST = np.float32(0.001 / (1 - 0.9**10))
SECOND = np.float32(1 / (1 - 0.999**10))


def kernel(p, g, m, v, out):
    """Write the new parameters and means into out."""
    parameters, first, second = out
    np.multiply(m, np.float32(0.9), out=first)
    np.multiply(g, np.float32(0.1), out=second)
    first += second
    np.multiply(g, g, out=second)
    second *= np.float32(0.001)
    np.multiply(v, np.float32(0.999), out=parameters)
    second += parameters
    np.multiply(second, SECOND, out=parameters)
    np.sqrt(parameters, out=parameters)
    parameters += np.float32(1e-8)
    np.divide(first, parameters, out=parameters)
    parameters *= FIRST
    np.subtract(p, parameters, out=parameters)
