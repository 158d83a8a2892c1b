"""One instruction set's micro-kernel module, built once per row of ``kernels/table.py``.

The build passes the row as macros: REAL, MR, NR_VECTORS, VECTOR_BYTES, KERNEL_NAME. The functions
leave this module as a table of pointers in a capsule; ``loops.pyx`` calls them.

References: Goto, van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34(3),
2008; Van Zee, van de Geijn, "BLIS", ACM TOMS 41(3), 2015.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memcpy, memset

from tensorops.kernels.gemm.kernels cimport KERNELS_VERSION, LONGEST_RUN, Kernels, Run

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

include "microkernel.pxi"
include "packing.pxi"
include "runs.pxi"
include "vectors.pxi"


cdef inline void tile_of_rows(
    int m, const int vectors, Py_ssize_t k,
    const real_t *a, const Py_ssize_t rs_a, const Py_ssize_t cs_a, const real_t *b, const Py_ssize_t rs_b,
    real_t *c, Py_ssize_t rs_c, Py_ssize_t cs_c, int n, bint accumulate,
) noexcept nogil:
    # A whole tile, or an edge put together from powers of two: each is a tile of constant height.
    cdef int rest = m
    if m == MR:
        tile(MR, vectors, k, a, rs_a, cs_a, b, rs_b, c, rs_c, cs_c, n, accumulate)
        return
    if MR > 8 and rest & 8:
        tile(8, vectors, k, a, rs_a, cs_a, b, rs_b, c, rs_c, cs_c, n, accumulate)
        a += 8 * rs_a
        c += 8 * rs_c
    if MR > 4 and rest & 4:
        tile(4, vectors, k, a, rs_a, cs_a, b, rs_b, c, rs_c, cs_c, n, accumulate)
        a += 4 * rs_a
        c += 4 * rs_c
    if rest & 2:
        tile(2, vectors, k, a, rs_a, cs_a, b, rs_b, c, rs_c, cs_c, n, accumulate)
        a += 2 * rs_a
        c += 2 * rs_c
    if rest & 1:
        tile(1, vectors, k, a, rs_a, cs_a, b, rs_b, c, rs_c, cs_c, n, accumulate)


cdef void tile_strided(
    Py_ssize_t k, const void *a, Py_ssize_t rs_a, Py_ssize_t cs_a, const void *b, Py_ssize_t rs_b,
    void *c, Py_ssize_t rs_c, Py_ssize_t cs_c, int m, int n, bint accumulate,
) noexcept nogil:
    # As few vectors as n needs.
    cdef const real_t *left = <const real_t *> a
    cdef const real_t *right = <const real_t *> b
    cdef real_t *out = <real_t *> c
    if NR_VECTORS > 1 and n <= LANES:
        tile_of_rows(m, 1, k, left, rs_a, cs_a, right, rs_b, out, rs_c, cs_c, n, accumulate)
    elif NR_VECTORS > 2 and n <= 2 * LANES:
        tile_of_rows(m, 2, k, left, rs_a, cs_a, right, rs_b, out, rs_c, cs_c, n, accumulate)
    elif NR_VECTORS > 3 and n <= 3 * LANES:
        tile_of_rows(m, 3, k, left, rs_a, cs_a, right, rs_b, out, rs_c, cs_c, n, accumulate)
    else:
        tile_of_rows(m, NR_VECTORS, k, left, rs_a, cs_a, right, rs_b, out, rs_c, cs_c, n, accumulate)


cdef void tile_packed(
    Py_ssize_t k, const void *a, const void *b,
    void *c, Py_ssize_t rs_c, Py_ssize_t cs_c, int m, int n, bint accumulate,
) noexcept nogil:
    # Panels have constant strides, worth a tile of their own where it is whole.
    if m == MR and n > NR - LANES:
        tile(
            MR, NR_VECTORS, k, <const real_t *> a, 1, MR, <const real_t *> b, NR,
            <real_t *> c, rs_c, cs_c, n, accumulate,
        )
    else:
        tile_strided(k, a, 1, MR, b, NR, c, rs_c, cs_c, m, n, accumulate)


cdef Kernels table

table.version = KERNELS_VERSION
table.itemsize = sizeof(real_t)
table.mr = MR
table.nr = NR
table.lanes = LANES
table.name = KERNEL_NAME
table.tile_packed = tile_packed
table.tile_strided = tile_strided
table.pack_a = pack_a
table.pack_b = pack_b
table.pack_runs = pack_runs
table.gemv_rows = gemv_rows
table.thin = thin
table.add_rows = add_rows
table.peak = peak

capsule = PyCapsule_New(&table, b"tensorops.kernels.gemm.Kernels", NULL)
