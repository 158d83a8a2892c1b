"""Another activation that looks alike from afar."""

import numpy as np


def kernel(x, out):
    """Write the positive part."""
    np.maximum(x, 0, out=out)
