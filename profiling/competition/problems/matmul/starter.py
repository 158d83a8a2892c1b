"""A first product: one row of the result at a time."""


def kernel(a, b, out):
    """Write a @ b into out."""
    for row, result in zip(a, out, strict=True):
        result[:] = row @ b
