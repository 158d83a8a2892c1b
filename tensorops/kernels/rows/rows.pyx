"""One instruction set's functions on rows, built once per row of ``kernels/table.py``.

The build passes the row as macros: REAL, VECTOR_BYTES, KERNEL_NAME. The functions leave this module as a
table of pointers in a capsule, in the order of ``Kind``.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport exp, log, sqrt
from libc.stddef cimport size_t
from libc.stdint cimport int64_t
from libc.string cimport memset

from tensorops.kernels.rows.kernels cimport (
    CROSS_ENTROPY, CROSS_ENTROPY_BACKWARD, LOG_SOFTMAX, NORM, NORM_BACKWARD, ROWS_VERSION, SOFTMAX,
    SOFTMAX_BACKWARD, Lines, RowKernels,
)

cdef extern from *:
    """
    typedef REAL real_t;
    typedef REAL vector_t __attribute__((vector_size(VECTOR_BYTES), may_alias));
    typedef REAL unaligned_t __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
    #define LANES ((int) (VECTOR_BYTES / sizeof(REAL)))
    #define ZERO ((vector_t) {0})
    #define INFINITE ((real_t) __builtin_inf())
    /* Elements of a part of a row that is worked on at once: in L1. */
    #define PIECE (16384 / (int) sizeof(REAL))
    """
    ctypedef float real_t          # float or double, as REAL says
    ctypedef float vector_t        # LANES of them
    ctypedef float unaligned_t     # the same, at any address of an element
    const vector_t ZERO
    const real_t INFINITE
    enum: LANES, VECTOR_BYTES, PIECE
    const char *KERNEL_NAME

cdef enum:
    PIECES = 64         # at most so many; those of a longer row are longer

include "../elementwise/activations.pxi"
include "vectors.pxi"
include "softmax.pxi"
include "columns.pxi"
include "entropy.pxi"
include "norms.pxi"

cdef RowKernels table

table.version = ROWS_VERSION
table.itemsize = sizeof(real_t)
table.lanes = LANES
table.name = KERNEL_NAME
table.rows[SOFTMAX] = softmax_rows
table.rows[LOG_SOFTMAX] = log_softmax_rows
table.rows[SOFTMAX_BACKWARD] = softmax_backward_rows
table.rows[NORM] = norm_rows
table.rows[NORM_BACKWARD] = norm_backward_rows
table.rows[CROSS_ENTROPY] = cross_entropy_rows
table.rows[CROSS_ENTROPY_BACKWARD] = cross_entropy_backward_rows
table.columns[SOFTMAX] = softmax_columns
table.columns[LOG_SOFTMAX] = log_softmax_columns
table.columns[SOFTMAX_BACKWARD] = softmax_backward_columns

capsule = PyCapsule_New(&table, b"tensorops.kernels.rows.RowKernels", NULL)
