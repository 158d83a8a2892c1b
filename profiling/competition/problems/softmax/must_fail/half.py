"""Half precision: fewer bytes, and too few digits."""

import numpy as np


def kernel(x, out):
    """Compute with 16 bits."""
    short = (x - x.max(axis=1, keepdims=True)).astype(np.float16)
    powers = np.exp(short)
    out[...] = powers / powers.sum(axis=1, keepdims=True, dtype=np.float32)
