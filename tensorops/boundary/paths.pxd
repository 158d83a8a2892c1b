"""What every operation's boundary needs to ask the dispatcher: see ``paths.pyx``."""

from tensorops.dispatch cimport table
from tensorops.dispatch.table cimport Decision, PATH_BLOCKED, PATH_NUMPY
from tensorops.runtime cimport calls
from tensorops.runtime.calls cimport DETOUR_BACKEND
from tensorops.runtime.openmp cimport thread_limit

cdef enum Layout:
    LAYOUT_C = 0         # the letters of a `Call`, the worst of all operands
    LAYOUT_F = 1
    LAYOUT_S = 2


cdef inline int choose(
    int operation, int itemsize, Py_ssize_t s0, Py_ssize_t s1, Py_ssize_t s2, Py_ssize_t s3, int layout,
    Decision *decision,
) except -1:
    """Find the path and the threads of a call by the four sizes of its `OpSpec`."""
    if calls.detours & DETOUR_BACKEND:
        operation = table.asked_for(operation)
    return table.look_up(operation, itemsize, s0, s1, s2, s3, layout, thread_limit(), decision)


cdef int layout_of(list arrays) except -1
cdef int compute_by(
    const Decision *decision, str op, list arrays, object out, dict params, bint ours,
) except -1
