"""Sums and extremes of a fused kernel's results, in float64 accumulators."""

from tensorops.kernels.fused.loops cimport Reduction, store_t

cdef store_t accumulator(int real_size, Reduction reduction) noexcept nogil
cdef double start_partial(Reduction reduction) noexcept nogil
cdef void merge_partial(Reduction reduction, double *total, double partial) noexcept nogil
