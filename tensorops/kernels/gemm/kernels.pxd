"""The table of functions that one micro-kernel module offers to the loops.

Matrices are passed as ``void *`` to elements of the module's dtype, so that the loops exist once.
Strides count elements: ``rs_x`` steps one row, ``cs_x`` one column.
"""

ctypedef void (*tile_packed_t)(
    Py_ssize_t k, const void *a, const void *b,
    void *c, Py_ssize_t rs_c, Py_ssize_t cs_c, int m, int n, bint accumulate,
) noexcept nogil

ctypedef void (*tile_strided_t)(
    Py_ssize_t k, const void *a, Py_ssize_t rs_a, Py_ssize_t cs_a, const void *b, Py_ssize_t rs_b,
    void *c, Py_ssize_t rs_c, Py_ssize_t cs_c, int m, int n, bint accumulate,
) noexcept nogil

ctypedef void (*pack_t)(
    Py_ssize_t width, Py_ssize_t k, const void *source, Py_ssize_t ws, Py_ssize_t ks, void *panel,
) noexcept nogil

ctypedef void (*gemv_t)(
    Py_ssize_t m, Py_ssize_t k, const void *a, Py_ssize_t stride, const void *x, void *y, bint accumulate,
) noexcept nogil

ctypedef void (*thin_t)(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const void *a, Py_ssize_t rs_a, Py_ssize_t cs_a,
    const void *b, Py_ssize_t rs_b, void *c, Py_ssize_t rs_c, bint accumulate,
) noexcept nogil

ctypedef void (*add_rows_t)(
    Py_ssize_t m, Py_ssize_t n, const void *sums, Py_ssize_t stride, void *c, Py_ssize_t rs_c,
) noexcept nogil

ctypedef struct Run:
    Py_ssize_t start
    Py_ssize_t length

ctypedef void (*pack_runs_t)(
    Py_ssize_t k, const Py_ssize_t *offsets, const void *source, int count, const Run *runs, void *panel,
) noexcept nogil

ctypedef double (*peak_t)(Py_ssize_t iterations) noexcept nogil

cdef enum:
    KERNELS_VERSION = 3
    # Products that are added up before their sum is added to C. The OpenBLAS kernels that cut deepest
    # sum up to 192 at a depth of 384; with as many, the error stays beside theirs.
    LONGEST_RUN = 192

ctypedef struct Kernels:
    int version
    int itemsize
    int mr
    int nr
    int lanes
    const char *name
    tile_packed_t tile_packed      # C (m, n) from a packed A panel and a packed B panel
    tile_strided_t tile_strided    # the same; A anywhere, B rows of unit column stride
    pack_t pack_a                  # up to MR rows of A into a zero-padded panel
    pack_t pack_b                  # up to NR columns of B into a zero-padded panel
    pack_runs_t pack_runs          # rows of B from runs, the same of each, `offsets` apart; see runs.pxi
    gemv_t gemv_rows               # y = A x, the rows of A contiguous, `stride` apart
    thin_t thin                    # few rows of C or little depth; rows of B and of C contiguous
    add_rows_t add_rows            # C (m, n) += sums (m, n), rows of both contiguous
    peak_t peak                    # multiply-adds on registers alone; returns the flops done
