"""What runs in the box: loaded by path, with the standard library and NumPy only.

Nothing here may import the rest of the package: the less a submission finds in its process the better.
The judge imports `protocol` from here, so that both sides speak of the same bytes.
"""
