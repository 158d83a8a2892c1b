"""Half precision."""

import numpy as np


def kernel(x, out):
    """Compute with 16 bits."""
    with np.errstate(all="ignore"):
        short = x.astype(np.float16)
        inner = np.float16(0.79788) * (short + np.float16(0.044715) * short * short * short)
        out[...] = np.float16(0.5) * short * (1 + np.tanh(inner))
