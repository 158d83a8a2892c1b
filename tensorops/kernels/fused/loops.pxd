"""One evaluation of a fused kernel: its operands, their strides, and what becomes of the results."""

# Computes `n` results from contiguous operands of the kernel's own type, the scalars beside them.
ctypedef void (*kernel_t)(
    Py_ssize_t n, const char *const *data, char *out, const double *scalars,
) noexcept nogil
ctypedef void (*load_t)(const char *source, Py_ssize_t step, Py_ssize_t n, char *target) noexcept nogil
ctypedef void (*store_t)(const char *source, Py_ssize_t n, char *target, Py_ssize_t step) noexcept nogil

cdef enum:
    MAX_DIMS = 64
    MAX_INPUTS = 32
    MAX_THREADS = 256

cdef enum Reduction:
    NONE = 0
    SUM = 1
    MAXIMUM = 2
    MINIMUM = 3

cdef struct Operand:
    char *data
    int size                           # of an element
    bint native                        # whether the kernel reads it as it lies
    load_t load
    Py_ssize_t strides[MAX_DIMS]       # in bytes

cdef struct Job:
    kernel_t kernel
    int real_size
    int inputs
    int dims
    Py_ssize_t shape[MAX_DIMS]
    # The result is the last; where it is reduced, it is float64 with strides of 0.
    Operand operands[MAX_INPUTS + 1]
    store_t store
    const double *scalars
    Reduction reduction

cdef load_t loader(char kind, int size, int real_size) noexcept nogil
cdef store_t storer(char kind, int size, int real_size, Reduction reduction) noexcept nogil
cdef void run_job(Job *job, int threads) noexcept nogil
cdef void run_flat(
    kernel_t kernel, int real_size, Py_ssize_t n, int inputs, const char *const *data, char *out,
    const double *scalars, int threads,
) noexcept nogil
