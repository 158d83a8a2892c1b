# cython: boundscheck=False, wraparound=False, cdivision=True
"""GELU in one pass."""

from libc.math cimport tanhf


def kernel(const float[::1] x, float[::1] out):
    """Write the GELU of x into out."""
    cdef Py_ssize_t i
    cdef float value, inner
    with nogil:
        for i in range(x.shape[0]):
            value = x[i]
            inner = <float>0.7978845608 * (value + <float>0.044715 * value * value * value)
            out[i] = <float>0.5 * value * (1 + tanhf(inner))
