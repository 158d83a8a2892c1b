from tensorops.kernels.gemm.family cimport Family
from tensorops.kernels.gemm.plan cimport Packing, Product

cdef enum:
    MAX_BATCH_DIMS = 64

ctypedef struct Stack:
    # Batch dimensions around a product; strides in elements, 0 where an operand is broadcast.
    int dims
    Py_ssize_t shape[MAX_BATCH_DIMS]
    Py_ssize_t a[MAX_BATCH_DIMS]
    Py_ssize_t b[MAX_BATCH_DIMS]
    Py_ssize_t c[MAX_BATCH_DIMS]

cdef void fold(Product *product, Stack *stack) noexcept nogil
cdef Py_ssize_t count_of(const Stack *stack) noexcept nogil
cdef int multiply_stack(
    const Family *family, const Product *product, const Stack *stack, Packing packing, int threads,
) noexcept nogil
