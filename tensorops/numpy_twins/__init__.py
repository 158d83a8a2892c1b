"""The operations as NumPy users write them: the rivals of the kernels, and what computes foreign dtypes.

Each is ``f(*operands, out=None, **params)``, in as many NumPy calls and temporaries as a careful user
needs, in the dtype of the operands. An operation that NumPy has by itself is not here. One module for each
class of operations.
"""
