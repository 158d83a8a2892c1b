"""Elements of any real NumPy dtype in and out of a fused kernel's buffers."""

from tensorops.kernels.fused.loops cimport load_t, store_t

cdef load_t converter(char kind, int size, int real_size) noexcept nogil
cdef store_t receiver(char kind, int size, int real_size) noexcept nogil
