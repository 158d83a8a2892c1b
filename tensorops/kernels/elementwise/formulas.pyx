"""One instruction set's elementwise module, built once per row of ``kernels/table.py``.

The build passes the row as macros: REAL, VECTOR_BYTES, KERNEL_NAME. The functions leave this module as a
table of pointers in a capsule, in the order of ``elementwise_table.FORMULAS``.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memcpy

from tensorops.kernels.elementwise.kernels cimport FORMULAS_VERSION, Formulas

cdef extern from *:
    """
    typedef REAL real_t;
    typedef REAL vector_t __attribute__((vector_size(VECTOR_BYTES), may_alias));
    typedef REAL unaligned_t __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
    #define LANES ((int) (VECTOR_BYTES / sizeof(REAL)))
    #define ZERO ((vector_t) {0})
    """
    ctypedef float real_t          # float or double, as REAL says
    ctypedef float vector_t        # LANES of them
    ctypedef float unaligned_t     # the same, at any address of an element
    const vector_t ZERO
    enum: LANES
    const char *KERNEL_NAME

ctypedef vector_t (*formula_t)(vector_t x, vector_t y, vector_t z, const real_t *p) noexcept nogil

include "activations.pxi"
include "formulas.pxi"


cdef inline vector_t rest_of(const real_t *from_, Py_ssize_t count) noexcept nogil:
    # What lies behind the last element is not read; ones raise no floating-point flag.
    cdef vector_t whole = SPLAT(1)
    memcpy(&whole, from_, count * sizeof(real_t))
    return whole


cdef inline void sweep(
    formula_t formula, Py_ssize_t n, const void *x, const void *y, const void *z, void *out,
    const double *parameters,
) noexcept nogil:
    cdef const real_t *first = <const real_t *> x
    cdef const real_t *second = <const real_t *> y
    cdef const real_t *third = <const real_t *> z
    cdef real_t *result = <real_t *> out
    cdef real_t p[2]
    cdef vector_t last
    cdef Py_ssize_t i = 0
    p[0] = <real_t> parameters[0]
    p[1] = <real_t> parameters[1]
    while i + LANES <= n:
        (<unaligned_t *> (result + i))[0] = formula(
            (<unaligned_t *> (first + i))[0], (<unaligned_t *> (second + i))[0],
            (<unaligned_t *> (third + i))[0], p,
        )
        i += LANES
    if i < n:
        last = formula(rest_of(first + i, n - i), rest_of(second + i, n - i), rest_of(third + i, n - i), p)
        memcpy(result + i, &last, (n - i) * sizeof(real_t))


cdef Formulas table

include "sweeps.pxi"

table.version = FORMULAS_VERSION
table.itemsize = sizeof(real_t)
table.name = KERNEL_NAME

capsule = PyCapsule_New(&table, b"tensorops.kernels.elementwise.Formulas", NULL)
