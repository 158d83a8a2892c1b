"""The path that a call takes: what every operation's boundary does to have the fastest one compute.

A boundary numbers its operation once, asks before it computes, and computes itself where its own kernels
are to be used::

    cdef int NUMBER = table.operation_number("name", (("parameter", value),))

    choose(NUMBER, itemsize, s0, s1, s2, s3, LAYOUT_C, &decision)
    if decision.path == PATH_BLOCKED:
        ...                           # on at most decision.threads threads
    else:
        compute_by(&decision, "name", arrays, result, params, ours)

The sizes are those of ``OpSpec.sizes``. A look-up takes a few nanoseconds.
"""

from tensorops.backends.layout import layout_letter
from tensorops.dispatch.table import path_name

from tensorops.dispatch.table cimport Decision


cdef int layout_of(list arrays) except -1:
    """Return the worst layout among the operands."""
    return max(["CFS".index(layout_letter(array)) for array in arrays])


cdef int compute_by(
    const Decision *decision, str op, list arrays, object out, dict params, bint ours,
) except -1:
    """Let another backend than the library's own kernels compute into `out`.

    `ours` tells that `out` is no memory of the user's, and no operand: if the backend fails, another one
    may write it, provided that nobody asked for this very backend.
    """
    from tensorops.dispatch import running

    running.compute(
        path_name(decision.path), op, arrays, out, {**params, "threads": decision.threads}, ours=ours,
    )
    return 0
