"""Leaves the last step of the sums out."""


def kernel(a, b, out):
    """Add up too little."""
    out[...] = a[:, :-1] @ b[:-1]
