cdef void *borrow(size_t size) noexcept nogil
