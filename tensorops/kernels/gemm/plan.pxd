from libc.stddef cimport size_t

from tensorops.kernels.gemm.family cimport Family

cdef enum:
    # Multiply-adds that one more thread must have to do to be worth its start.
    THREAD_WORK = 1 << 18

cdef enum Packing:
    PACK_AUTO
    PACK_NEVER
    PACK_ALWAYS

ctypedef struct Product:
    # C (m, n) = A (m, k) @ B (k, n), or += if accumulate; strides in elements.
    Py_ssize_t m
    Py_ssize_t n
    Py_ssize_t k
    const char *a
    Py_ssize_t rs_a
    Py_ssize_t cs_a
    const char *b
    Py_ssize_t rs_b
    Py_ssize_t cs_b
    char *c
    Py_ssize_t rs_c
    Py_ssize_t cs_c
    bint accumulate
    # What is done to each finished element; the bias may be NULL, its strides are 0 or 1.
    int epilogue
    const char *bias
    Py_ssize_t rs_bias
    Py_ssize_t cs_bias

cdef enum Kind:
    KIND_NOTHING     # no element, or nothing to add to C
    KIND_ZERO        # no depth: C = 0
    KIND_DOTS        # few columns, rows of A contiguous: a dot product for each element
    KIND_THIN        # few rows or little depth: B is streamed once
    KIND_TILE        # one column of tiles, operands read in place
    KIND_BLOCKS      # the five loops

ctypedef struct Plan:
    const Family *family
    Kind kind
    bint turned          # computed as C^T = B^T A^T: `product` has its operands exchanged
    Product product
    bint pack_a
    bint pack_b
    bint copy_b          # DOTS: the columns of B are gathered first
    Py_ssize_t mc
    Py_ssize_t kc
    Py_ssize_t nc
    size_t panel_bytes     # of one thread's panel of B
    size_t work_bytes      # of one thread's work memory
    size_t reserve_bytes   # of all threads' work memory, for the largest product to come
    int grid_m           # parts that the rows and the columns of C are cut into
    int grid_n
    int threads

cdef void make_plan(
    const Family *family, const Product *product, Packing packing, int threads, Plan *plan,
) noexcept nogil
cdef Py_ssize_t divided(Py_ssize_t total, Py_ssize_t parts, Py_ssize_t step) noexcept nogil
