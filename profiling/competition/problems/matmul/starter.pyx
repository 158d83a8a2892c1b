# cython: boundscheck=False, wraparound=False, cdivision=True
"""A first product with loops, in the order that walks along rows."""


def kernel(const float[:, ::1] a, const float[:, ::1] b, float[:, ::1] out):
    """Write a @ b into out."""
    cdef Py_ssize_t i, j, k
    cdef float factor
    with nogil:
        for i in range(a.shape[0]):
            for j in range(b.shape[1]):
                out[i, j] = 0
            for k in range(a.shape[1]):
                factor = a[i, k]
                for j in range(b.shape[1]):
                    out[i, j] += factor * b[k, j]
