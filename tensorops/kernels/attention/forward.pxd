from tensorops.kernels.attention.kernels cimport Columns
from tensorops.kernels.gemm.kernels cimport Kernels

cdef enum:
    # Rows of K and V that are packed at once; a multiple of MR or a little less.
    KEYS = 112
    # Longest vectors that are packed as a whole.
    DEPTH = 1024

ctypedef struct Matrix:
    # One matrix for each head; strides count elements, offsets bytes.
    const char *data
    const Py_ssize_t *offsets
    Py_ssize_t row
    Py_ssize_t column

ctypedef struct Attention:
    const Kernels *kernels
    const Columns *columns
    Py_ssize_t heads
    Py_ssize_t queries
    Py_ssize_t keys
    Py_ssize_t depth           # of q and k
    Py_ssize_t width           # of v and the result
    double scale
    bint causal
    Matrix q
    Matrix k
    Matrix v
    Matrix out

cdef int run_attention(const Attention *attention, int threads) noexcept nogil
