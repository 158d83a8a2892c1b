from tensorops.kernels.attention.kernels cimport Columns

cdef int prepare() except -1
cdef const Columns *columns_of(int itemsize) noexcept nogil
