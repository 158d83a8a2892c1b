"""Forgets the rectifier."""


def kernel(x, weight, bias, out):
    """Leave the rectifier out."""
    out[...] = x @ weight + bias
