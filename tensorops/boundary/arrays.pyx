"""What boundaries ask of arrays before kernels read or write them."""

cimport numpy as np

import numpy

np.import_array()


cdef bint foreign(object x):
    """Tell whether NumPy lets the operand's type decide what a ufunc does or returns."""
    return not np.PyArray_CheckExact(x) and (
        hasattr(type(x), "__array_ufunc__") or hasattr(type(x), "__array_wrap__")
    ) and not isinstance(x, numpy.generic)


cdef bint is_same(object x, object out):
    """Tell whether two arrays have the same elements in the same places."""
    return (
        x.__array_interface__["data"][0] == out.__array_interface__["data"][0]
        and x.shape == out.shape and x.strides == out.strides
    )


cdef bint overlaps(object x, object out):
    """Tell whether two arrays share an element."""
    return numpy.may_share_memory(x, out) and numpy.shares_memory(x, out)


cdef bint folds_onto_itself(object x):
    """Tell whether two elements of an array to be written may be one and the same in memory."""
    covered = x.itemsize
    if x.size == 0:
        return False
    for stride, size in sorted([(abs(x.strides[d]), x.shape[d]) for d in range(x.ndim) if x.shape[d] > 1]):
        if stride < covered:
            return True
        covered += stride * (size - 1)
    return False


cdef int check_changed(str name, object x) except -1:
    """Check that the first argument of an operation in place is an array."""
    if not isinstance(x, numpy.ndarray):
        raise TypeError(f"{name} changes its first argument, which must be an array, not {type(x).__name__}")
    return 0


cdef int check_out(str name, object out) except -1:
    """Check that `out` is an array, or None."""
    if out is not None and not isinstance(out, numpy.ndarray):
        raise TypeError(f"{name}: out must be an array, not {type(out).__name__}")
    return 0


cdef int check_writeable(str name, object out) except -1:
    """Check that each element of an array can be written by itself."""
    if not out.flags.writeable:
        raise ValueError(f"{name}: the array to be written is read-only")
    if folds_onto_itself(out):
        raise ValueError(f"{name}: several elements of the array to be written share memory")
    return 0
