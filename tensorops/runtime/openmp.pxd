ctypedef void (*body_t)(void *context, int thread, int threads) noexcept nogil

cdef void run_parallel(body_t body, void *context, int threads) noexcept nogil
cdef int thread_limit() noexcept nogil
