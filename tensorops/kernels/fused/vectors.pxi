# Types of a fused kernel, as in ``elementwise/formulas.pyx``; REAL and VECTOR_BYTES are compiler options.

from libc.string cimport memcpy

cdef extern from *:
    """
    #include <math.h>
    typedef REAL real_t;
    typedef REAL vector_t __attribute__((vector_size(VECTOR_BYTES), may_alias));
    typedef REAL unaligned_t __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
    #define LANES ((int) (VECTOR_BYTES / sizeof(REAL)))
    #define ZERO ((vector_t) {0})
    """
    ctypedef float real_t
    ctypedef float vector_t
    ctypedef float unaligned_t
    const vector_t ZERO
    enum: LANES
    double INFINITY, NAN


cdef inline vector_t same_in_all(real_t value) noexcept nogil:
    # As it is: an addition to 0 would lose the sign of -0.
    cdef real_t parts[LANES]
    cdef vector_t whole
    cdef int i
    for i in range(LANES):
        parts[i] = value
    memcpy(&whole, parts, sizeof(whole))
    return whole


cdef inline vector_t rest_of(const real_t *from_, Py_ssize_t count) noexcept nogil:
    # What lies behind the last element is not read; ones raise no floating-point flag.
    cdef vector_t whole = ZERO + <real_t> 1
    memcpy(&whole, from_, count * sizeof(real_t))
    return whole
