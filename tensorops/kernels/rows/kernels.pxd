"""The table of functions that one instruction set's row module offers."""

from libc.stdint cimport int64_t

cdef enum:
    SOFTMAX
    LOG_SOFTMAX
    SOFTMAX_BACKWARD
    NORM
    NORM_BACKWARD
    CROSS_ENTROPY
    CROSS_ENTROPY_BACKWARD

cdef enum:
    ROWS_VERSION = 1
    KINDS = 7

cdef struct Lines:
    # So many rows (or columns) of so many elements. `out` may be `x` or, of a backward function, `y`.
    Py_ssize_t count
    Py_ssize_t length
    const char *x
    const char *y               # second operand, or one int64 label a row
    char *out
    # Bytes from one row to the next. A row's elements are contiguous; of columns the rows are
    # contiguous, and these are the bytes from one element of a column to the next.
    Py_ssize_t x_stride
    Py_ssize_t y_stride
    Py_ssize_t out_stride
    const void *weight          # one element a column; may be NULL
    const void *bias
    double number               # epsilon, or the factor of the gradient
    bint centred                # whether the mean is taken out before the norm
    bint stream                 # whether the result should not pass through the caches
    void *buffer                # so many elements as a row has, where there is a stream
    double *total               # where the loss is added
    # Gradients of weight and bias: a row of elements each for the sum of few rows, of float64 for all.
    void *weight_part
    void *bias_part
    double *weight_sum
    double *bias_sum

ctypedef void (*lines_t)(const Lines *lines) noexcept nogil

cdef struct RowKernels:
    int version
    int itemsize
    int lanes
    const char *name
    lines_t rows[KINDS]
    lines_t columns[KINDS]      # NULL where there is none
