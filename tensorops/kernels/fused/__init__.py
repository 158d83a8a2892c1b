"""The loops that bring arrays of any strides and dtypes before a fused expression's kernel."""
