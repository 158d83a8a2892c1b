cdef enum Path:
    PATH_UNKNOWN = -1
    PATH_SMALL = 0       # "blocked/small"
    PATH_PACKED = 1      # "blocked/packed"
    PATH_NUMPY = 2       # "numpy"
    PATH_BLOCKED = 3     # "blocked", of operations that have one way; others run through a Python object

cdef struct Decision:
    int path
    int threads          # to use, at most those that were offered

# An operation with the parameters that change its work, and the only backend to consider or None: a
# number for the key of its size classes.
cdef int operation_number(str op, tuple params=*, str backend=*) except -1

# The same operation computed by the backend that the user asked for, if there is one.
cdef int asked_for(int operation) except -1

cdef int look_up(
    int operation, int itemsize, Py_ssize_t s0, Py_ssize_t s1, Py_ssize_t s2, Py_ssize_t s3,
    int layout, int threads, Decision *decision,
) except -1
