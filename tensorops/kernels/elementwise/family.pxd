from tensorops.kernels.elementwise.kernels cimport Formulas, sweep_t

cdef enum:
    MAX_DIMS = 64
    OPERANDS = 4        # three operands and the result

cdef struct Sweep:
    int formula
    sweep_t function        # instead of the formula's, unless NULL
    bint several            # whether all arrays but the first are read and written
    int itemsize
    int dims
    Py_ssize_t shape[MAX_DIMS]
    Py_ssize_t strides[OPERANDS][MAX_DIMS]     # in bytes
    char *data[OPERANDS]
    double parameters[8]

cdef bint ready
cdef const Formulas *load_family(str family, str dtype) except NULL
cdef int prepare() except -1
cdef sweep_t sweep_of(int formula, int itemsize) noexcept nogil
cdef Py_ssize_t span(Py_ssize_t stride) noexcept nogil
cdef void join_axes(Sweep *sweep) noexcept nogil
cdef int threads_for(Py_ssize_t elements, int limit) noexcept nogil
cdef void run_flat(
    int formula, int itemsize, Py_ssize_t n, const void *x, const void *y, const void *z, void *out,
    const double *parameters, int threads,
) noexcept nogil
cdef void run_sweep(Sweep *sweep, int threads) noexcept nogil
