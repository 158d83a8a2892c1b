from tensorops.kernels.attention.forward cimport Attention, Matrix

ctypedef struct Backward:
    Attention forward          # `out` is what it gave
    Matrix grad
    Matrix dq
    Matrix dk
    Matrix dv

cdef int run_backward(const Backward *backward, int threads) noexcept nogil
