"""The packed matrix product: micro-kernels, packing, the loops around them."""
