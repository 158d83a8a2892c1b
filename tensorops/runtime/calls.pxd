cdef enum Detour:
    DETOUR_BACKEND = 1     # a backend may have been asked for: ask which one is active
    DETOUR_LISTENER = 2    # somebody is told of each call: see `told`

# Why calls must not go straight to their kernels, 0 as a rule: the one thing that each of them looks at.
cdef int detours

cdef bint outermost() noexcept nogil
cdef bint to_be_told() noexcept nogil
cdef void enter() noexcept nogil
cdef void leave() noexcept nogil
cdef object told(str op, object function, tuple operands, dict parameters)
