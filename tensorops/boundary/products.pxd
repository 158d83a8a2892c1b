cimport numpy as np


cdef inline bint usable(np.ndarray x, int dtype) noexcept:
    """Tell whether a kernel can read this array: the dtype, native, aligned."""
    return np.PyArray_TYPE(x) == dtype and np.PyArray_ISBEHAVED_RO(x)


cdef inline int layout_of(Py_ssize_t rs, Py_ssize_t cs) noexcept nogil:
    """Number the layouts as `table.LAYOUTS` does: C, F, S."""
    if cs == 1:
        return 0
    return 1 if rs == 1 else 2


cdef bint overlaps(np.ndarray x, np.ndarray y) noexcept
cdef bint folds_onto_itself(np.ndarray x)
