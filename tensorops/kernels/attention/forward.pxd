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
cdef void fill(Py_ssize_t count, Py_ssize_t itemsize, double number, char *target) noexcept nogil
cdef void hide(
    Py_ssize_t itemsize, Py_ssize_t nr, Py_ssize_t keys, Py_ssize_t ahead, char *scores,
) noexcept nogil
cdef void pack_rows(
    const Kernels *kernels, Py_ssize_t rows, Py_ssize_t depth, const char *source,
    Py_ssize_t ws, Py_ssize_t ks, Py_ssize_t panel_depth, char *target,
) noexcept nogil
cdef void multiply_panels(
    const Kernels *kernels, Py_ssize_t rows, Py_ssize_t k, const char *a, Py_ssize_t panel_depth,
    const char *b, char *c, bint accumulate,
) noexcept nogil
cdef void pack_queries(
    const Attention *a, const char *q, Py_ssize_t count, Py_ssize_t start, Py_ssize_t depth,
    char *numbers, char *target,
) noexcept nogil
cdef void store_results(
    const Attention *a, const Matrix *matrix, Py_ssize_t count, Py_ssize_t width, const char *results,
    char *out, char *panel,
) noexcept nogil
