# cython: boundscheck=False, wraparound=False, cdivision=True
"""Layer normalisation with loops: three passes over each row."""

from libc.math cimport sqrtf


def kernel(const float[:, ::1] x, const float[::1] weight, const float[::1] bias, float[:, ::1] out):
    """Write the normalised rows into out."""
    cdef Py_ssize_t i, j
    cdef Py_ssize_t columns = x.shape[1]
    cdef double total
    cdef float mean, factor
    with nogil:
        for i in range(x.shape[0]):
            total = 0
            for j in range(columns):
                total += x[i, j]
            mean = total / columns
            total = 0
            for j in range(columns):
                total += (x[i, j] - mean) * (x[i, j] - mean)
            factor = 1 / sqrtf(<float>(total / columns) + <float>1e-5)
            for j in range(columns):
                out[i, j] = (x[i, j] - mean) * factor * weight[j] + bias[j]
