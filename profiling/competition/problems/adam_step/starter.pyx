# cython: boundscheck=False, wraparound=False, cdivision=True
"""A step of Adam in one pass."""

from libc.math cimport sqrtf


def kernel(const float[::1] p, const float[::1] g, const float[::1] m, const float[::1] v, float[:, ::1] out):
    """Write the new parameters and means into out."""
    cdef Py_ssize_t i
    cdef float first, second
    cdef float rate = 0.001 / (1 - 0.9 ** 10)
    cdef float correction = 1 / (1 - 0.999 ** 10)
    with nogil:
        for i in range(p.shape[0]):
            first = <float>0.9 * m[i] + <float>0.1 * g[i]
            second = <float>0.999 * v[i] + <float>0.001 * g[i] * g[i]
            out[0, i] = p[i] - rate * first / (sqrtf(second * correction) + <float>1e-8)
            out[1, i] = first
            out[2, i] = second
