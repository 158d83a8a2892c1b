from tensorops.kernels.gemm.plan cimport Plan

cdef int run_plan(const Plan *plan) noexcept nogil
cdef void run_serially(const Plan *plan, char *work) noexcept nogil
