from tensorops.kernels.convolution.plan cimport Convolution

cdef int run_convolution(const Convolution *convolution, int threads) noexcept nogil
