# cython: boundscheck=False, wraparound=False, cdivision=True
"""A linear layer with loops; bias and rectifier while the row is in the cache."""


def kernel(const float[:, ::1] x, const float[:, ::1] weight, const float[::1] bias, float[:, ::1] out):
    """Write relu(x @ weight + bias) into out."""
    cdef Py_ssize_t i, j, k
    cdef float factor
    with nogil:
        for i in range(x.shape[0]):
            for j in range(weight.shape[1]):
                out[i, j] = bias[j]
            for k in range(x.shape[1]):
                factor = x[i, k]
                for j in range(weight.shape[1]):
                    out[i, j] += factor * weight[k, j]
            for j in range(weight.shape[1]):
                out[i, j] = max(out[i, j], <float>0)
