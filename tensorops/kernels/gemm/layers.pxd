cimport numpy as np

from tensorops.kernels.gemm.batched cimport Stack
from tensorops.kernels.gemm.plan cimport Packing, Product

ctypedef struct Backward:
    # The three products that a layer's gradients are; `count` of them, the last one the bias's.
    Product products[3]
    int count

cdef void describe_layer(
    np.ndarray x, np.ndarray weight, np.ndarray bias, np.ndarray out, int epilogue,
    Product *product, Stack *stack,
) noexcept
cdef void describe_backward(
    np.ndarray grad, np.ndarray x, np.ndarray weight, np.ndarray dx, np.ndarray dweight, np.ndarray dbias,
    Backward *backward,
) noexcept
cdef int run_layer(
    int itemsize, const Product *product, const Stack *stack, Packing packing, int threads,
) noexcept nogil
cdef int run_backward(int itemsize, const Backward *backward, Packing packing, int threads) noexcept nogil
