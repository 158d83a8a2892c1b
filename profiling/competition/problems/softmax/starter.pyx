# cython: boundscheck=False, wraparound=False, cdivision=True
"""A first softmax with loops: three passes over each row."""

from libc.math cimport expf


def kernel(const float[:, ::1] x, float[:, ::1] out):
    """Write the softmax of each row of x into out."""
    cdef Py_ssize_t i, j
    cdef Py_ssize_t rows = x.shape[0], columns = x.shape[1]
    cdef float highest, total
    with nogil:
        for i in range(rows):
            highest = x[i, 0]
            for j in range(1, columns):
                highest = max(highest, x[i, j])
            total = 0
            for j in range(columns):
                out[i, j] = expf(x[i, j] - highest)
                total += out[i, j]
            for j in range(columns):
                out[i, j] /= total
