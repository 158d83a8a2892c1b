"""What boundaries ask of arrays before kernels read or write them."""

cimport numpy as np


cdef inline bint plain(object x, int dtype) noexcept:
    """Tell whether a kernel can read this object as it lies."""
    return (
        np.PyArray_CheckExact(x) and np.PyArray_TYPE(<np.ndarray> x) == dtype
        and np.PyArray_ISCARRAY_RO(<np.ndarray> x)
    )


cdef inline bint same_shape(np.ndarray x, np.ndarray y) noexcept:
    cdef int d
    if np.PyArray_NDIM(x) != np.PyArray_NDIM(y):
        return False
    for d in range(np.PyArray_NDIM(x)):
        if np.PyArray_DIMS(x)[d] != np.PyArray_DIMS(y)[d]:
            return False
    return True


cdef inline bint apart(np.ndarray x, np.ndarray out) noexcept:
    """Tell whether two contiguous arrays are the same memory, or share none."""
    cdef char *first = <char *> np.PyArray_DATA(x)
    cdef char *second = <char *> np.PyArray_DATA(out)
    if first == second:
        return True
    return first + np.PyArray_NBYTES(x) <= second or second + np.PyArray_NBYTES(out) <= first


cdef bint foreign(object x)
cdef bint is_same(object x, object out)
cdef bint overlaps(object x, object out)
cdef bint folds_onto_itself(object x)
cdef int check_changed(str name, object x) except -1
cdef int check_out(str name, object out) except -1
cdef int check_writeable(str name, object out) except -1
