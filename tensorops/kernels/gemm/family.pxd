from tensorops.kernels.gemm.kernels cimport Kernels

ctypedef struct Family:
    # One dtype's kernels and block sizes.
    const Kernels *kernels
    Py_ssize_t mc
    Py_ssize_t kc
    Py_ssize_t nc
    const Family *narrow      # kernels of shorter vectors, for small products; NULL if there are none

cdef bint ready
cdef int prepare() except -1
cdef const Family *family_of(int itemsize) noexcept nogil
