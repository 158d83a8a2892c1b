from tensorops.kernels.gemm.kernels cimport Kernels

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

ctypedef struct Family:
    # One dtype's kernels and block sizes.
    const Kernels *kernels
    Py_ssize_t mc
    Py_ssize_t kc
    Py_ssize_t nc

cdef bint ready
cdef int prepare() except -1
cdef const Family *family_of(int itemsize) noexcept nogil
cdef int multiply(const Family *family, const Product *product, Packing packing, int threads) noexcept nogil
