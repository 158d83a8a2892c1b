"""Half precision."""

import numpy as np


def kernel(x, weight, bias, out):
    """Round the operand to 16 bits."""
    short = x.astype(np.float16).astype(np.float32)
    mean = short.mean(axis=1, keepdims=True)
    out[...] = (short - mean) / np.sqrt(short.var(axis=1, keepdims=True) + np.float32(1e-5)) * weight + bias
