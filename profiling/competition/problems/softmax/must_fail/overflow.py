"""Without the maximum: right on small numbers only."""

import numpy as np


def kernel(x, out):
    """Compute without subtracting the maximum."""
    with np.errstate(all="ignore"):
        np.exp(x, out=out)
        out /= out.sum(axis=1, keepdims=True)
