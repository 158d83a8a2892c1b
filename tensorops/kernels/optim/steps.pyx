"""One instruction set's optimizer steps, built once per row of ``kernels/table.py``.

The functions have the form of the elementwise ones, and their table too; of their arrays all but the first
are changed. The loops are plain: the compiler makes vectors of them.
"""

from cpython.pycapsule cimport PyCapsule_New

from tensorops.kernels.elementwise.kernels cimport FORMULAS_VERSION, Formulas

cdef extern from *:
    """
    #include <math.h>
    typedef REAL real_t;
    #define ROOT(x) (sizeof(REAL) == 4 ? (REAL) sqrtf((float) (x)) : (REAL) sqrt(x))
    """
    ctypedef float real_t          # float or double, as REAL says
    real_t ROOT(real_t x) noexcept nogil
    const char *KERNEL_NAME


cdef inline void descend(
    Py_ssize_t n, const real_t *g, real_t *velocity, real_t *p, const double *numbers,
    const bint decayed, const bint moving, const bint nesterov,
) noexcept nogil:
    cdef real_t lr = <real_t> numbers[0]
    cdef real_t momentum = <real_t> numbers[1]
    cdef real_t decay = <real_t> numbers[2]
    cdef real_t slope
    cdef Py_ssize_t i
    for i in range(n):
        slope = g[i] + decay * p[i] if decayed else g[i]
        if moving:
            velocity[i] = momentum * velocity[i] + slope
            slope = slope + momentum * velocity[i] if nesterov else velocity[i]
        p[i] -= lr * slope


cdef inline void descend_by(
    Py_ssize_t n, const void *x, const void *y, void *out, const double *numbers, const bint decayed,
) noexcept nogil:
    # Each case has its loop: a term that is left out must not turn infinity into NaN.
    if numbers[1] == 0:
        descend(n, <const real_t *> x, <real_t *> y, <real_t *> out, numbers, decayed, False, False)
    elif numbers[3] == 0:
        descend(n, <const real_t *> x, <real_t *> y, <real_t *> out, numbers, decayed, True, False)
    else:
        descend(n, <const real_t *> x, <real_t *> y, <real_t *> out, numbers, decayed, True, True)


cdef void sgd(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *numbers,
) noexcept nogil:
    # Gradient, velocity, nothing, parameters; rate, momentum, decay, whether it is Nesterov's.
    if numbers[2] == 0:
        descend_by(n, x, y, out, numbers, False)
    else:
        descend_by(n, x, y, out, numbers, True)


cdef inline void adapt(
    Py_ssize_t n, const real_t *g, real_t *m, real_t *v, real_t *p, const double *numbers, const bint decayed,
) noexcept nogil:
    cdef real_t rate = <real_t> numbers[0]
    cdef real_t other1 = <real_t> numbers[1]
    cdef real_t beta2 = <real_t> numbers[2]
    cdef real_t other2 = <real_t> numbers[3]
    cdef real_t correction = <real_t> numbers[4]
    cdef real_t epsilon = <real_t> numbers[5]
    cdef real_t decay = <real_t> numbers[6]
    cdef real_t kept = <real_t> numbers[7]
    cdef real_t slope, first, second
    cdef Py_ssize_t i
    for i in range(n):
        slope = g[i] + decay * p[i] if decayed else g[i]
        first = m[i] + (slope - m[i]) * other1
        second = v[i] * beta2 + slope * slope * other2
        m[i] = first
        v[i] = second
        p[i] = p[i] * kept - rate * first / (ROOT(second) * correction + epsilon)


cdef void adam(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *numbers,
) noexcept nogil:
    # Gradient, first and second moment, parameters; rate over the first correction, 1 - beta1, beta2,
    # 1 - beta2, 1 over the root of the second correction, epsilon, decay of the slope, what is kept of p.
    if numbers[6] == 0:
        adapt(n, <const real_t *> x, <real_t *> y, <real_t *> z, <real_t *> out, numbers, False)
    else:
        adapt(n, <const real_t *> x, <real_t *> y, <real_t *> z, <real_t *> out, numbers, True)


cdef Formulas table

table.version = FORMULAS_VERSION
table.itemsize = sizeof(real_t)
table.name = KERNEL_NAME
table.count = 2
table.sweeps[0] = sgd
table.sweeps[1] = adam

capsule = PyCapsule_New(&table, b"tensorops.kernels.elementwise.Formulas", NULL)
