"""The dispatcher's fast path: a table from a call's size class to the path and threads chosen for it.

A class takes in all calls of an operation whose sizes lie in the same quarters of octaves. The policy is
asked once for each class, about the shapes in its middle, so that the choice does not depend on which
member came first; every later call costs a look-up.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memset

from tensorops.runtime cimport calls
from tensorops.runtime.calls cimport DETOUR_BACKEND

cdef extern from *:
    int __builtin_clzll(unsigned long long) noexcept nogil

cdef enum:
    SLOT_BITS = 12
    SLOTS = 1 << SLOT_BITS

cdef struct Slot:
    uint64_t key       # 0 where nothing is stored
    Decision decision

cdef Slot slots[SLOTS]
cdef bint listening = False

LAYOUTS = ("C", "F", "S")
_paths = ["blocked/small", "blocked/packed", "numpy", "blocked"]
_numbers = {}
_operations = []


cdef inline int class_of(Py_ssize_t size) noexcept nogil:
    """Number the quarters of octaves: 0 to 7, then 12 for 8 and 9, 13 for 10 and 11, ..."""
    cdef int octave
    if size < 8:
        return <int> size
    octave = 63 - __builtin_clzll(<unsigned long long> size)
    return 4 * octave + <int> ((size >> (octave - 2)) & 3)


cdef inline Py_ssize_t middle_of(int number) noexcept nogil:
    """Return the size in the middle of a class."""
    cdef Py_ssize_t step
    if number < 8:
        return number
    step = (<Py_ssize_t> 1) << (number // 4 - 2)
    return (4 + number % 4) * step + (step - 1) // 2


cdef inline uint64_t key_of(
    int operation, int itemsize, Py_ssize_t s0, Py_ssize_t s1, Py_ssize_t s2, Py_ssize_t s3,
    int layout, int threads,
) noexcept nogil:
    cdef uint64_t key = 1
    key = key << 8 | class_of(s0)
    key = key << 8 | class_of(s1)
    key = key << 8 | class_of(s2)
    key = key << 8 | class_of(s3)
    key = key << 4 | layout
    key = key << 12 | operation
    key = key << 13 | min(threads, 8191)
    return key << 1 | (itemsize == 8)


cdef int operation_number(str op, tuple params=(), str backend=None) except -1:
    """Return the number of an operation with these parameters, computed by this backend or by any.

    Parameters that do not change the path are left out when it is chosen.
    """
    key = op, params, backend
    number = _numbers.get(key)
    if number is None:
        if len(_operations) == 1 << 12:
            raise ValueError(f"more than {1 << 12} operations, parameters and backends: {key}")
        number = _numbers[key] = len(_operations)
        _operations.append(key)
    return number


cdef int asked_for(int operation) except -1:
    """Return the number of an operation computed by the active backend; its own where there is none."""
    from tensorops.dispatch.active import active_backend

    backend = active_backend()
    if backend is None:
        return operation
    op, params, _ = _operations[operation]
    return operation_number(op, params, backend)


cdef int look_up(
    int operation, int itemsize, Py_ssize_t s0, Py_ssize_t s1, Py_ssize_t s2, Py_ssize_t s3,
    int layout, int threads, Decision *decision,
) except -1:
    """Find the path and threads of a call's class, asking the policy if it is not in the table."""
    cdef uint64_t key = key_of(operation, itemsize, s0, s1, s2, s3, layout, threads)
    cdef Slot *slot = &slots[(key * <uint64_t> 0x9E3779B97F4A7C15) >> (64 - SLOT_BITS)]
    if slot.key != key:
        return decide(slot, key, operation, itemsize, (s0, s1, s2, s3), layout, threads, decision)
    decision[0] = slot.decision
    return 0


cdef int decide(
    Slot *slot, uint64_t key, int operation, int itemsize, tuple sizes, int layout, int threads,
    Decision *decision,
) except -1:
    global listening
    # Late: the choice needs the whole dispatcher, the table only its answers.
    from tensorops.backends.base import Call
    from tensorops.dispatch import selection
    from tensorops.operations import OPERATIONS

    if not listening:
        selection.on_change(clear)
        listening = True
    op, params, backend = _operations[operation]
    spec = OPERATIONS[op]
    params = spec.params_of_path(dict(params))
    shapes = class_shapes(op, sizes, params)
    call = Call(
        op,
        "float64" if itemsize == 8 else "float32",
        shapes,
        layout_text(layout, len(shapes), spec.cost_class == "product"),
        params,
        spec.in_place,
        threads,
    )
    choice = selection.choose_path(call, backend, of_class=True)
    decision.path = path_code(choice.path)
    decision.threads = max(1, min(choice.threads, threads))
    # A backend that is active has numbers of its own.
    if backend is not None or selection.active_backend() is None:
        slot.decision = decision[0]
        slot.key = key
    return 0


cdef tuple class_shapes(str op, tuple sizes, tuple params=()):
    """Return operands' shapes in the middle of a size class."""
    from tensorops.operations import OPERATIONS

    return OPERATIONS[op].shapes_of([middle_of(class_of(size)) for size in sizes], dict(params))


cdef str layout_text(int layout, int operands, bint product):
    """Return the layout of a call: a letter for each operand, of a product's two, of others' all alike."""
    if product:
        return LAYOUTS[layout // 3] + LAYOUTS[layout % 3] + LAYOUTS[0] * (operands - 2)
    return LAYOUTS[layout] * operands


cdef int path_code(str path) except -2:
    if path not in _paths:
        _paths.append(path)
    return _paths.index(path)


def path_name(int code) -> str:
    """Return the name of a path by its number in the table.

    Parameters
    ----------
    code : int
        As `look_up` gives it.

    Returns
    -------
    str
        Backend and variant.

    Examples
    --------
    >>> path_name(1)
    'blocked/packed'
    """
    return _paths[code]


def representative(shapes, str op="matmul", params=()) -> tuple[tuple[int, ...], ...]:
    """Return the shapes in the middle of a call's size class: the ones the policy is asked about.

    Parameters
    ----------
    shapes : sequence of tuples of int
        Shapes of the operands.
    op : str, optional
        Name of the operation.
    params : tuple of (str, object), optional
        Its parameters that change the work.

    Returns
    -------
    tuple of tuple of int
        Shapes of operands; of a product two matrices, or two stacks with one batch dimension.

    Examples
    --------
    >>> representative([(64, 784), (784, 128)])
    ((71, 831), (831, 143))
    """
    from tensorops.operations import OPERATIONS

    sizes = OPERATIONS[op].sizes(shapes, dict(params))
    if op == "matmul":
        m, k, n, count = sizes
        if all(size == 1 for size in shapes[1][:max(0, len(shapes[1]) - 2)]):
            # A stack times one matrix is one tall product.
            sizes = (m * count, k, n, 1)
    return class_shapes(op, tuple(sizes), tuple(params))


def clear() -> None:
    """Forget every choice, so that the policy is asked again.

    Examples
    --------
    >>> clear()
    """
    memset(slots, 0, sizeof(slots))


def set_override_possible(bint possible) -> None:
    """Have every call ask which backend is active, or stop it.

    Parameters
    ----------
    possible : bool
        True once ``use_backend`` or ``TENSOROPS_BACKEND`` is in play.

    Examples
    --------
    >>> set_override_possible(True)
    """
    if possible:
        calls.detours |= DETOUR_BACKEND
    else:
        calls.detours &= ~DETOUR_BACKEND
    clear()
