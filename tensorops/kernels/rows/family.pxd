cimport numpy as np

from tensorops.kernels.elementwise.family cimport OPERANDS, Sweep
from tensorops.kernels.rows.kernels cimport Lines, lines_t

cdef enum:
    # Where the arrays of a call stand among the operands of its `Sweep`.
    X = 0
    Y = 1
    RESULT = OPERANDS - 1

cdef struct Rows:
    int kind
    bint labelled               # Y holds labels, one a row
    bint gathered               # rows pass through a buffer
    bint columns
    Sweep outer                 # the axes that number the rows
    Py_ssize_t length
    Py_ssize_t steps[OPERANDS]  # bytes between two elements of a row
    Lines lines                 # what all rows have in common
    lines_t function
    char *memory                # of all threads, each with `memory_each` bytes
    size_t memory_each
    Py_ssize_t block            # rows that pass through the buffer at a time
    double *totals              # one a thread

cdef bint ready
cdef int prepare() except -1
cdef lines_t rows_function(int kind, int itemsize) noexcept nogil
cdef bint to_be_streamed(Py_ssize_t bytes_written, Py_ssize_t length) noexcept nogil
cdef int run_rows(
    int kind, np.ndarray x, np.ndarray y, np.ndarray out, int axis, Lines *lines, int threads,
    np.ndarray weight_grad=*, np.ndarray bias_grad=*,
) except -1
