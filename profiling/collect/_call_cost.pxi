# What a call of NumPy's counts for: a rule's formula, evaluated on the arguments, or its Python function.

# Keywords that change neither the number of operations nor that of bytes beyond what the result shows.
cdef tuple _harmless = ("out", "dtype", "casting", "order", "subok", "keepdims", "axis")


cdef class Rule:
    """How the calls of one function are counted: a formula, and a Python function for other cases.

    Parameters
    ----------
    row : int
        Number of the operation.
    convention : callable
        ``convention(arguments, keywords, result)`` gives FLOPs (None: not known) and bytes of a call.
    formula : tuple of two int, or None
        FLOPs for each element of the first operand, and of the result; None: always ask `convention`.
    operands : int
        Leading arguments that are operands.
    arguments : int
        Most positional arguments that the formula allows for.
    product : int
        1: each element of the result adds up as many products as the first operand's last dimension
        is long; 2: as the first operand has elements; 0: not a product.
    complex_factor : int
        FLOPs on complex numbers for one on real ones; 0: not agreed.
    copies : bool
        Whether operands may be lists of arrays, and a result that is a view costs nothing.
    """

    cdef readonly int row
    cdef object convention
    cdef bint by_formula
    cdef int64_t per_operand
    cdef int64_t per_result
    cdef int operands
    cdef int arguments
    cdef int product
    cdef int complex_factor
    cdef bint copies

    def __init__(
        self, row, convention, formula=None, operands=1, arguments=1, product=0, complex_factor=0,
        copies=False,
    ):
        self.row = row
        self.convention = convention
        self.by_formula = formula is not None
        self.per_operand, self.per_result = formula or (0, 0)
        self.operands = operands
        self.arguments = arguments
        self.product = product
        self.complex_factor = complex_factor
        self.copies = copies


cdef bint is_harmless(Rule rule, PyObject *names) noexcept:
    """Tell whether the formula allows for these keywords. Names that are not interned are asked about."""
    cdef Py_ssize_t place, known
    for place in range(PyTuple_GET_SIZE(names)):
        # The last one is "axis": along another axis a product adds up another number of products.
        for known in range(7 if rule.product == NO_PRODUCT else 6):
            if PyTuple_GET_ITEM(names, place) == PyTuple_GET_ITEM(<PyObject *>_harmless, known):
                break
        else:
            return False
    return True


cdef struct Kinds:
    bint floating
    bint complex_number
    bint other      # objects, or a type that NumPy does not define


cdef inline void note_type(int number, Kinds *kinds) noexcept:
    if number <= np.NPY_ULONGLONG:
        return
    if number <= np.NPY_LONGDOUBLE or number == NPY_HALF:
        kinds.floating = True
    elif number <= np.NPY_CLONGDOUBLE:
        kinds.complex_number = True
    elif number == np.NPY_OBJECT or number >= 256:
        kinds.other = True


cdef inline void note_scalar(PyObject *value, Kinds *kinds) noexcept:
    if PyFloat_Check(value) or tensorops_is_floating(value):
        kinds.floating = True
    elif PyComplex_Check(value) or tensorops_is_complex(value):
        kinds.complex_number = True


cdef bint add_items(PyObject *value, int64_t *size) noexcept:
    """Add the bytes of a list's or tuple's arrays; False where it holds anything but arrays and numbers."""
    cdef Py_ssize_t place
    cdef PyObject *item
    cdef bint is_tuple = PyTuple_CheckExact(value)
    if not is_tuple and not PyList_CheckExact(value):
        return False
    for place in range(PyTuple_GET_SIZE(value) if is_tuple else PyList_GET_SIZE(value)):
        item = PyTuple_GET_ITEM(value, place) if is_tuple else PyList_GET_ITEM(value, place)
        if PyArray_Check(item):
            size[0] += np.PyArray_NBYTES(<np.ndarray><object>item)
        elif not PyArray_IsAnyScalar(item):
            return False
    return True


cdef bint is_view(np.ndarray result, PyObject *operand) noexcept:
    """Tell whether a result is the operand itself or plainly a view of it."""
    cdef PyObject *base = np.PyArray_BASE(result)
    if <PyObject *>result == operand or base == operand:
        return True
    return PyArray_Check(operand) and base == np.PyArray_BASE(<np.ndarray><object>operand)


cdef int measure(
    Rule rule, PyObject *receiver, PyObject *const *arguments, Py_ssize_t count, PyObject *names,
    PyObject *keywords, PyObject *result, int64_t *flops, int64_t *size,
) noexcept:
    """Find the FLOPs and bytes of a call, and return what is known of it, or INTERRUPTED."""
    cdef Kinds kinds
    cdef int shift = receiver != NULL
    cdef int place
    cdef int64_t first = 1
    cdef int64_t length = -1
    cdef int64_t results = 1
    cdef PyObject *value
    cdef np.ndarray array
    cdef np.dtype descr
    memset(&kinds, 0, sizeof(kinds))
    if (
        not rule.by_formula or count + shift < rule.operands or count + shift > rule.arguments
        or (names != NULL and not is_harmless(rule, names))
        or (keywords != NULL and PyDict_GET_SIZE(keywords))
    ):
        return ask(rule, receiver, arguments, count, names, keywords, result, flops, size)
    for place in range(rule.operands):
        value = receiver if place < shift else arguments[place - shift]
        if PyArray_Check(value):
            array = <np.ndarray><object>value
            size[0] += np.PyArray_NBYTES(array)
            note_type(np.PyArray_TYPE(array), &kinds)
            if place == 0:
                first = np.PyArray_SIZE(array)
                if np.PyArray_NDIM(array):
                    length = np.PyArray_DIMS(array)[np.PyArray_NDIM(array) - 1]
        elif PyArray_IsAnyScalar(value):
            note_scalar(value, &kinds)
        elif not (rule.copies and add_items(value, size)):
            size[0] = 0
            return ask(rule, receiver, arguments, count, names, keywords, result, flops, size)
    if PyArray_Check(result):
        array = <np.ndarray><object>result
        if rule.copies and np.PyArray_BASE(array) != NULL:
            size[0] = 0
            if is_view(array, receiver if shift else arguments[0]):
                return FLOPS_AND_BYTES
            return ask(rule, receiver, arguments, count, names, keywords, result, flops, size)
        size[0] += np.PyArray_NBYTES(array)
        results = np.PyArray_SIZE(array)
        note_type(np.PyArray_TYPE(array), &kinds)
    elif rule.copies and result == <PyObject *>None:
        results = 0
    elif PyArray_CheckScalar(result):
        descr = tensorops_descr_of(result)
        size[0] += descr.itemsize
        note_type(descr.type_num, &kinds)
    else:
        size[0] = 0
        return ask(rule, receiver, arguments, count, names, keywords, result, flops, size)
    if rule.product == ALL_ELEMENTS:
        flops[0] = 2 * first * results
    elif rule.product == LAST_DIMENSION and length >= 0:
        flops[0] = 2 * length * results
    else:
        flops[0] = max(<int64_t>0, rule.per_operand * first + rule.per_result * results)
        if rule.per_operand == 0 and rule.per_result == 0:
            return FLOPS_AND_BYTES
    return scaled(rule, &kinds, flops)


cdef int scaled(Rule rule, Kinds *kinds, int64_t *flops) noexcept:
    """Turn operations into floating-point operations by the types that they were done on."""
    if kinds.other or (kinds.complex_number and rule.complex_factor == 0):
        flops[0] = 0
        return BYTES_ONLY
    if kinds.complex_number:
        flops[0] *= rule.complex_factor
    elif not kinds.floating:
        flops[0] = 0
    return FLOPS_AND_BYTES


cdef int ask(
    Rule rule, PyObject *receiver, PyObject *const *arguments, Py_ssize_t count, PyObject *names,
    PyObject *keywords, PyObject *result, int64_t *flops, int64_t *size,
) noexcept:
    """Ask the rule's Python function."""
    cdef Py_ssize_t place
    interruption = None
    try:
        positional = [] if receiver == NULL else [<object>receiver]
        for place in range(count):
            positional.append(<object>arguments[place])
        named = {} if keywords == NULL else dict(<object>keywords)
        if names != NULL:
            for place in range(PyTuple_GET_SIZE(names)):
                named[<object>PyTuple_GET_ITEM(names, place)] = <object>arguments[count + place]
        operations, size[0] = rule.convention(tuple(positional), named, <object>result)
        if operations is None:
            return BYTES_ONLY
        flops[0] = operations
        return FLOPS_AND_BYTES
    except Exception:
        # A convention that fails must not fail the user's call: it counts as a call of unknown cost.
        size[0] = 0
        return NOTHING
    except BaseException as error:
        interruption = error
    raise_again(interruption)
    return INTERRUPTED
