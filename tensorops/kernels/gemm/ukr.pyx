"""One instruction set's micro-kernel module, built once per row of ``kernels/table.py``.

The build passes the row as macros: REAL, MR, NR_VECTORS, VECTOR_BYTES, KERNEL_NAME. The functions
leave this module as a table of pointers in a capsule; ``loops.pyx`` calls them.

References: Goto, van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34(3),
2008; Van Zee, van de Geijn, "BLIS", ACM TOMS 41(3), 2015.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memcpy, memset

from tensorops.kernels.gemm.kernels cimport (
    EPILOGUE_BIAS, EPILOGUE_GELU, EPILOGUE_GELU_SIGMOID, EPILOGUE_GELU_TANH, EPILOGUE_NONE, EPILOGUE_RELU,
    EPILOGUE_SIGMOID, EPILOGUE_SILU, EPILOGUE_TANH, KERNELS_VERSION, LONGEST_RUN, Kernels, Run,
)

cdef extern from *:
    """
    typedef REAL real_t;
    /* The compiler's own vector type: arithmetic on it becomes the widest instructions of the row. */
    typedef REAL vector_t __attribute__((vector_size(VECTOR_BYTES), may_alias));
    typedef REAL unaligned_t __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
    #define LANES ((int) (VECTOR_BYTES / sizeof(REAL)))
    #define NR (NR_VECTORS * LANES)
    #define ZERO ((vector_t) {0})
    #define prefetch(p) __builtin_prefetch(p)
    """
    ctypedef float real_t          # float or double, as REAL says
    ctypedef float vector_t        # LANES of them
    ctypedef float unaligned_t     # the same, at any address of an element
    const vector_t ZERO
    enum: MR, NR_VECTORS, LANES, NR
    const char *KERNEL_NAME
    void prefetch(const void *) noexcept nogil

include "parts.pxi"
include "packing.pxi"
include "microkernel.pxi"
include "runs.pxi"
include "dots.pxi"
include "vectors.pxi"
include "tensorops/kernels/elementwise/activations.pxi"
include "epilogue.pxi"


cdef inline void column_of_tiles(
    const int vectors, const bint padded, Py_ssize_t m, Py_ssize_t k,
    const real_t *a, const Py_ssize_t rs_a, const Py_ssize_t cs_a, Py_ssize_t step_a, const real_t *b,
    const Py_ssize_t rs_b, real_t *c, Py_ssize_t rs_c, Py_ssize_t cs_c, int n, bint accumulate,
) noexcept nogil:
    # The loop ir: whole tiles, and an edge put together from powers of two, each of constant height.
    while m >= MR:
        tile(MR, vectors, padded, k, a, rs_a, cs_a, b, rs_b, c, rs_c, cs_c, n, accumulate)
        a += step_a
        c += MR * rs_c
        m -= MR
    if MR > 8 and m & 8:
        tile(8, vectors, padded, k, a, rs_a, cs_a, b, rs_b, c, rs_c, cs_c, n, accumulate)
        a += 8 * rs_a
        c += 8 * rs_c
    if MR > 4 and m & 4:
        tile(4, vectors, padded, k, a, rs_a, cs_a, b, rs_b, c, rs_c, cs_c, n, accumulate)
        a += 4 * rs_a
        c += 4 * rs_c
    if m & 2:
        tile(2, vectors, padded, k, a, rs_a, cs_a, b, rs_b, c, rs_c, cs_c, n, accumulate)
        a += 2 * rs_a
        c += 2 * rs_c
    if m & 1:
        tile(1, vectors, padded, k, a, rs_a, cs_a, b, rs_b, c, rs_c, cs_c, n, accumulate)


cdef void strip_strided(
    Py_ssize_t m, Py_ssize_t k, const void *a, Py_ssize_t rs_a, Py_ssize_t cs_a, Py_ssize_t step_a,
    const void *b, Py_ssize_t rs_b, void *c, Py_ssize_t rs_c, Py_ssize_t cs_c, int n, bint accumulate,
) noexcept nogil:
    # As few vectors as n needs; the usual whole ones without masks.
    cdef const real_t *left = <const real_t *> a
    cdef const real_t *right = <const real_t *> b
    cdef real_t *out = <real_t *> c
    if n == NR:
        column_of_tiles(
            NR_VECTORS, True, m, k, left, rs_a, cs_a, step_a, right, rs_b, out, rs_c, cs_c, n, accumulate
        )
    elif NR_VECTORS > 1 and n == LANES:
        column_of_tiles(1, True, m, k, left, rs_a, cs_a, step_a, right, rs_b, out, rs_c, cs_c, n, accumulate)
    elif NR_VECTORS > 1 and n <= LANES:
        column_of_tiles(1, False, m, k, left, rs_a, cs_a, step_a, right, rs_b, out, rs_c, cs_c, n, accumulate)
    elif NR_VECTORS > 2 and n <= 2 * LANES:
        column_of_tiles(2, False, m, k, left, rs_a, cs_a, step_a, right, rs_b, out, rs_c, cs_c, n, accumulate)
    elif NR_VECTORS > 3 and n <= 3 * LANES:
        column_of_tiles(3, False, m, k, left, rs_a, cs_a, step_a, right, rs_b, out, rs_c, cs_c, n, accumulate)
    else:
        column_of_tiles(
            NR_VECTORS, False, m, k, left, rs_a, cs_a, step_a, right, rs_b, out, rs_c, cs_c, n, accumulate
        )


cdef void strip_packed(
    Py_ssize_t m, Py_ssize_t k, const void *a, const void *b,
    void *c, Py_ssize_t rs_c, Py_ssize_t cs_c, int n, bint accumulate,
) noexcept nogil:
    # Panels have constant strides, worth a tile of their own where it is whole.
    cdef const real_t *left = <const real_t *> a
    cdef real_t *out = <real_t *> c
    if n > NR - LANES:
        while m >= MR:
            tile(MR, NR_VECTORS, True, k, left, 1, MR, <const real_t *> b, NR, out, rs_c, cs_c, n, accumulate)
            left += MR * k
            out += MR * rs_c
            m -= MR
    strip_strided(m, k, left, 1, MR, MR * k, b, NR, out, rs_c, cs_c, n, accumulate)


cdef Kernels table

table.version = KERNELS_VERSION
table.itemsize = sizeof(real_t)
table.mr = MR
table.nr = NR
table.lanes = LANES
table.name = KERNEL_NAME
table.strip_packed = strip_packed
table.strip_strided = strip_strided
table.pack_a = pack_a
table.pack_b = pack_b
table.pack_runs = pack_runs
table.lines = lines
table.dots = dots
table.thin = thin
table.place = place_rows
table.peak = peak
table.finish[EPILOGUE_NONE] = NULL
table.finish[EPILOGUE_BIAS] = finish_identity
table.finish[EPILOGUE_RELU] = finish_relu
table.finish[EPILOGUE_GELU] = finish_gelu
table.finish[EPILOGUE_GELU_TANH] = finish_gelu_tanh
table.finish[EPILOGUE_GELU_SIGMOID] = finish_gelu_sigmoid
table.finish[EPILOGUE_SILU] = finish_silu
table.finish[EPILOGUE_SIGMOID] = finish_sigmoid
table.finish[EPILOGUE_TANH] = finish_tanh

capsule = PyCapsule_New(&table, b"tensorops.kernels.gemm.Kernels", NULL)
