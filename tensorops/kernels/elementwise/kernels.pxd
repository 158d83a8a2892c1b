"""The table of functions that one instruction set's elementwise module offers."""

ctypedef void (*sweep_t)(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *parameters,
) noexcept nogil

cdef enum:
    FORMULAS_VERSION = 1
    MAX_FORMULAS = 64

cdef struct Formulas:
    int version
    int itemsize
    int count
    const char *name
    sweep_t sweeps[MAX_FORMULAS]     # contiguous arrays; `out` may be any of the operands
