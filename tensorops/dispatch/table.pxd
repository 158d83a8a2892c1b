cdef enum Path:
    PATH_UNKNOWN = -1
    PATH_SMALL = 0       # "blocked/small"
    PATH_PACKED = 1      # "blocked/packed"
    PATH_NUMPY = 2       # "numpy"; every other path runs through its backend's Python object

cdef int look_up(
    int itemsize, Py_ssize_t m, Py_ssize_t k, Py_ssize_t n, Py_ssize_t count, int layout, int threads,
) except -2
