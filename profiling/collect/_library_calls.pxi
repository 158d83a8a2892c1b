# Counting the calls of the library's own operations, of which it tells.

cdef struct Known:
    int64_t key[KEY]
    int used
    int64_t flops
    int64_t bytes

cdef extern from *:
    """
    static int tensorops_raise_set_error(void) { return -1; }
    """
    # An error is set already: this only leaves the function that calls it.
    int raise_set_error "tensorops_raise_set_error"() except -1

cdef dict _library_rows = {}
cdef object _library_cost = None
cdef Known known[KNOWN]            # costs of calls, by operation, dtype and shapes


cdef int key_of(str op, tuple operands, object result, int64_t *key) noexcept:
    """Write what a call's cost depends on and return how long that is; 0 where it is not of one dtype."""
    cdef int used = 2
    cdef int d
    cdef np.ndarray array
    if not np.PyArray_CheckExact(result):
        return 0
    key[0] = <int64_t><uintptr_t><PyObject *>op
    key[1] = np.PyArray_TYPE(<np.ndarray>result)
    for operand in operands:
        if not np.PyArray_CheckExact(operand):
            return 0
        array = <np.ndarray>operand
        if np.PyArray_TYPE(array) != key[1] or used + np.PyArray_NDIM(array) >= KEY:
            return 0
        key[used] = np.PyArray_NDIM(array)
        used += 1
        for d in range(np.PyArray_NDIM(array)):
            key[used] = np.PyArray_DIMS(array)[d]
            used += 1
    return used


cdef int library_cost(str op, tuple operands, object result, int64_t *flops, int64_t *size) except -1:
    """Find the cost of a call of the library's, if possible where the last call like it left it."""
    cdef int64_t key[KEY]
    cdef uint64_t mixed = 0
    cdef int used, place
    cdef Known *slot = NULL
    used = key_of(op, operands, result, key)
    if used:
        for place in range(used):
            mixed = (mixed ^ <uint64_t>key[place]) * <uint64_t>0x9E3779B97F4A7C15
        slot = &known[mixed >> (64 - KNOWN_BITS)]
        if slot.used == used and memcmp(slot.key, key, used * sizeof(int64_t)) == 0:
            flops[0] = slot.flops
            size[0] = slot.bytes
            return FLOPS_AND_BYTES
    operations, size[0] = _library_cost(op, operands, result)
    if operations is None:
        return BYTES_ONLY
    flops[0] = operations
    if slot != NULL:
        slot.used = used
        memcpy(slot.key, key, sizeof(key))
        slot.flops = flops[0]
        slot.bytes = size[0]
    return FLOPS_AND_BYTES


def library_called(str op, tuple operands, result):
    """Count a call of the library's own; the listener of ``tensorops.runtime.calls``.

    Parameters
    ----------
    op : str
        Name in the operation registry.
    operands : tuple
        As the caller gave them.
    result : object
        What the call returned.
    """
    cdef int64_t flops = 0
    cdef int64_t size = 0
    cdef int state
    cdef PyObject *counters = concerned()
    if counters == NULL:
        return
    here = <object>counters
    Py_XDECREF(counters)
    calls.enter()
    try:
        state = library_cost(op, operands, result, &flops, &size)
    except Exception:
        state = NOTHING
    finally:
        calls.leave()
    for counter in <tuple>here:
        if (<Counter>counter).active and not (<Counter>counter).add(_library_rows[op], state, flops, size):
            raise_set_error()


def set_library(rows, cost):
    """Say which row each operation of the library has, and what its calls cost.

    Parameters
    ----------
    rows : dict of str to int
        By the operation's name.
    cost : callable
        ``cost(op, operands, result)`` gives FLOPs (None: not known) and bytes.
    """
    global _library_rows, _library_cost
    _library_rows, _library_cost = rows, cost
    memset(known, 0, sizeof(known))
