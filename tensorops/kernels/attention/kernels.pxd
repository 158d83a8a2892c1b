"""The table of functions that one instruction set's module of attention offers.

They work on blocks of scores with a row for each key and NR columns, one for each query: what belongs to a
query stays in one lane of a vector.
"""

ctypedef void (*soften_t)(
    Py_ssize_t keys, void *scores, void *maxima, void *sums, void *factors,
) noexcept nogil

ctypedef void (*weigh_t)(
    Py_ssize_t keys, void *scores, const void *maxima, const void *sums,
) noexcept nogil

ctypedef void (*spread_t)(
    Py_ssize_t keys, const void *weights, const void *means, double scale, void *block,
) noexcept nogil

ctypedef void (*by_column_t)(Py_ssize_t rows, void *block, const void *numbers) noexcept nogil

cdef enum:
    COLUMNS_VERSION = 2

cdef struct Columns:
    int version
    int itemsize
    int nr
    const char *name
    # Scores become exp(score - maximum); the running maxima and sums of the columns are brought up
    # to date, `factors` is what earlier sums must be multiplied by.
    soften_t soften
    weigh_t weigh                  # scores become exp(score - maximum) / sum
    spread_t spread                # block = weights * (block - means) * scale, weights and block (keys, NR)
    by_column_t multiply           # block (rows, NR) *= numbers (NR)
    by_column_t divide             # block (rows, NR) /= numbers (NR)
