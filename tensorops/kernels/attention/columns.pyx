"""One instruction set's functions on blocks of scores, built once per row of ``kernels/table.py``.

The build passes the row as macros: REAL, NR_VECTORS, VECTOR_BYTES, KERNEL_NAME.
"""

from cpython.pycapsule cimport PyCapsule_New

from tensorops.kernels.attention.kernels cimport COLUMNS_VERSION, Columns

cdef extern from *:
    """
    typedef REAL real_t;
    typedef REAL vector_t __attribute__((vector_size(VECTOR_BYTES), may_alias));
    typedef REAL unaligned_t __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
    #define LANES ((int) (VECTOR_BYTES / sizeof(REAL)))
    #define NR (NR_VECTORS * LANES)
    #define ZERO ((vector_t) {0})
    #define MINUS_INFINITY ((real_t) -__builtin_inf())
    """
    ctypedef float real_t          # float or double, as REAL says
    ctypedef float vector_t        # LANES of them
    ctypedef float unaligned_t     # the same, at any address of an element
    const vector_t ZERO
    const real_t MINUS_INFINITY
    enum: NR_VECTORS, LANES, NR
    const char *KERNEL_NAME

include "tensorops/kernels/elementwise/activations.pxi"


cdef inline vector_t exp_not_above_zero(vector_t x) noexcept nogil:
    # What is below the normal numbers is nothing beside the largest, which is 1.
    cdef vector_t n
    cdef vector_t r = reduce_exponent(at_least(x, OF(-87, -708)), &n)
    return BLEND(LESS(x, SPLAT(OF(-87, -708))), ZERO, (expm1_reduced(r) + <real_t> 1) * POWER_OF_TWO(n))


cdef void soften(
    Py_ssize_t keys, void *scores, void *maxima, void *sums, void *factors,
) noexcept nogil:
    cdef real_t *block = <real_t *> scores
    cdef unaligned_t *place
    cdef vector_t score, before, highest, level, sum_, power
    cdef Py_ssize_t k
    cdef int j
    for j in range(NR_VECTORS):
        before = (<unaligned_t *> (<real_t *> maxima + j * LANES))[0]
        highest = before
        for k in range(keys):
            score = (<unaligned_t *> (block + k * NR + j * LANES))[0]
            highest = BLEND(LESS(highest, score), score, highest)
        # Where no key was seen yet, or none above minus infinity, nothing is subtracted from it.
        level = BLEND(LESS(SPLAT(MINUS_INFINITY), highest), highest, ZERO)
        sum_ = ZERO
        for k in range(keys):
            place = <unaligned_t *> (block + k * NR + j * LANES)
            power = exp_not_above_zero(place[0] - level)
            place[0] = power
            sum_ += power
        power = exp_not_above_zero(before - level)
        (<unaligned_t *> (<real_t *> factors + j * LANES))[0] = power
        place = <unaligned_t *> (<real_t *> sums + j * LANES)
        place[0] = place[0] * power + sum_
        (<unaligned_t *> (<real_t *> maxima + j * LANES))[0] = highest


cdef void weigh(Py_ssize_t keys, void *scores, const void *maxima, const void *sums) noexcept nogil:
    cdef unaligned_t *place
    cdef vector_t level, total
    cdef Py_ssize_t k
    cdef int j
    for j in range(NR_VECTORS):
        level = (<const unaligned_t *> (<const real_t *> maxima + j * LANES))[0]
        level = BLEND(LESS(SPLAT(MINUS_INFINITY), level), level, ZERO)
        total = (<const unaligned_t *> (<const real_t *> sums + j * LANES))[0]
        for k in range(keys):
            place = <unaligned_t *> (<real_t *> scores + k * NR + j * LANES)
            place[0] = QUOTIENT(exp_not_above_zero(place[0] - level), total)


cdef void spread(
    Py_ssize_t keys, const void *weights, const void *means, double scale, void *block,
) noexcept nogil:
    cdef unaligned_t *place
    cdef vector_t mean
    cdef real_t by = <real_t> scale
    cdef Py_ssize_t k
    cdef int j
    for j in range(NR_VECTORS):
        mean = (<const unaligned_t *> (<const real_t *> means + j * LANES))[0]
        for k in range(keys):
            place = <unaligned_t *> (<real_t *> block + k * NR + j * LANES)
            place[0] = (<const unaligned_t *> (<const real_t *> weights + k * NR + j * LANES))[0] * (
                (place[0] - mean) * by
            )


cdef void multiply(Py_ssize_t rows, void *block, const void *numbers) noexcept nogil:
    cdef unaligned_t *place
    cdef Py_ssize_t i
    cdef int j
    for i in range(rows):
        for j in range(NR_VECTORS):
            place = <unaligned_t *> (<real_t *> block + i * NR + j * LANES)
            place[0] = place[0] * (<const unaligned_t *> (<const real_t *> numbers + j * LANES))[0]


cdef void divide(Py_ssize_t rows, void *block, const void *numbers) noexcept nogil:
    cdef unaligned_t *place
    cdef Py_ssize_t i
    cdef int j
    for i in range(rows):
        for j in range(NR_VECTORS):
            place = <unaligned_t *> (<real_t *> block + i * NR + j * LANES)
            place[0] = QUOTIENT(place[0], (<const unaligned_t *> (<const real_t *> numbers + j * LANES))[0])


cdef Columns table

table.version = COLUMNS_VERSION
table.itemsize = sizeof(real_t)
table.nr = NR
table.name = KERNEL_NAME
table.soften = soften
table.weigh = weigh
table.spread = spread
table.multiply = multiply
table.divide = divide

capsule = PyCapsule_New(&table, b"tensorops.kernels.attention.Columns", NULL)
