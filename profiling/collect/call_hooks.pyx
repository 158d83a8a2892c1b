"""Counting NumPy's calls by exchanging pointers that CPython calls through; nothing is replaced by name.

A ufunc and a public function of NumPy (``np.dot``) carry the address of their C function in their
``vectorcall`` slot, where the interpreter and the operators of arrays (``a + b``) find it. A method
(``x.sum``, ``np.add.reduce``) has it in its type's table of methods. While a counter is entered these
addresses point here; after it they are what they were. No object changes its identity, type or name,
and an address that somebody else has exchanged meanwhile is left alone.

The exchange holds for the process, the counting for those concerned: each call asks whether its
context, or its thread, belongs to a counter. What it adds is in `Rule`: a formula evaluated here, or a
Python function asked where the formula does not suffice.
"""

cimport numpy as np
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport int64_t, uint64_t, uintptr_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset

from tensorops.runtime cimport calls

import contextvars

import numpy

include "_running_frames.pxi"

np.import_array()

cdef extern from "Python.h":
    """
    typedef PyObject *(*tensorops_keyword_function)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
    """
    ctypedef PyObject *(*vectorcallfunc)(PyObject *, PyObject *const *, size_t, PyObject *) noexcept
    ctypedef PyObject *(*PyCFunction)(PyObject *, PyObject *) noexcept
    ctypedef struct PyMethodDef:
        PyCFunction ml_meth
        int ml_flags
    ctypedef struct PyMethodDescrObject:
        PyMethodDef *d_method
    ctypedef struct PyCFunctionObject:
        PyMethodDef *m_ml
    ctypedef struct PyThreadState
    ctypedef struct PyInterpreterState
    int METH_VARARGS, METH_KEYWORDS, METH_NOARGS, METH_O, METH_FASTCALL
    unsigned long Py_TPFLAGS_HAVE_VECTORCALL
    int PyContextVar_Get(object variable, PyObject *default, PyObject **value) except -1
    void PyErr_SetObject(PyObject *kind, PyObject *value)
    object PyContextVar_Set(object variable, object value)
    Py_ssize_t PyVectorcall_NARGS(size_t)
    PyTypeObject *Py_TYPE(PyObject *)
    PyObject *_PyType_Lookup(PyTypeObject *, PyObject *)
    bint PyFloat_Check(PyObject *)
    bint PyLong_Check(PyObject *)
    bint PyComplex_Check(PyObject *)
    bint PyTuple_CheckExact(PyObject *)
    Py_ssize_t PyTuple_GET_SIZE(PyObject *)
    PyObject *PyTuple_GET_ITEM(PyObject *, Py_ssize_t)
    bint PyList_CheckExact(PyObject *)
    Py_ssize_t PyList_GET_SIZE(PyObject *)
    PyObject *PyList_GET_ITEM(PyObject *, Py_ssize_t)
    Py_ssize_t PyDict_GET_SIZE(PyObject *)
    PyThreadState *PyThreadState_Get()
    PyThreadState *PyThreadState_Next(PyThreadState *)
    PyThreadState *PyInterpreterState_ThreadHead(PyInterpreterState *)
    PyInterpreterState *PyInterpreterState_Get()
    uint64_t PyThreadState_GetID(PyThreadState *)

cdef extern from *:
    """
    #include <numpy/arrayobject.h>
    #define tensorops_is_floating(value) PyArray_IsScalar(value, Floating)
    #define tensorops_is_complex(value) PyArray_IsScalar(value, ComplexFloating)
    #define tensorops_descr_of(value) ((PyObject *)PyArray_DescrFromScalar(value))
    """
    int NPY_HALF
    bint PyArray_Check(PyObject *)
    bint PyArray_CheckExact(PyObject *)
    bint PyArray_IsAnyScalar(PyObject *)
    bint PyArray_CheckScalar(PyObject *)
    np.dtype tensorops_descr_of(PyObject *)
    bint tensorops_is_floating(PyObject *)
    bint tensorops_is_complex(PyObject *)

include "_stand_ins.pxi"

cdef enum:
    TABLE_BITS = 10
    TABLE = 1 << TABLE_BITS
    MAX_HOOKS = 512
    MAX_METHODS = 48
    UFUNC_RULES = 6
    # What is known of a call, beside that it was made.
    FLOPS_AND_BYTES = 0
    BYTES_ONLY = 1
    NOTHING = 2
    INTERRUPTED = -1
    STATES = 3
    KNOWN_BITS = 8
    KNOWN = 1 << KNOWN_BITS
    KEY = 12
    # How many products a product adds up for each element of its result.
    NO_PRODUCT = 0
    LAST_DIMENSION = 1
    ALL_ELEMENTS = 2

cdef struct Hook:
    PyObject *target               # an object with a vectorcall slot, held for good
    vectorcallfunc original
    PyObject *rules[UFUNC_RULES]   # of the call, then of the ufunc's methods; NULL: not counted

cdef struct MethodHook:
    PyMethodDef *definition
    PyCFunction original
    PyObject *rule                 # NULL for a method of ufuncs: then the ufunc has it,
    int of_ufunc                   # at this place
    bint bound                     # whether the receiver is the first operand

cdef struct Total:
    int64_t calls
    int64_t flops
    int64_t bytes

cdef Hook hooks[MAX_HOOKS]
cdef int hooks_used = 0
cdef int table[TABLE]              # places in `hooks`, plus one
cdef MethodHook methods[MAX_METHODS]
cdef int methods_used = 0

cdef object _counters = contextvars.ContextVar("tensorops_operation_counters")
cdef list _active = []
cdef uint64_t oldest_start = 0     # threads with a greater number began while a counter was entered
cdef int numpy_users = 0
cdef int active_count = 0
cdef list _kept = []

cdef PyObject *array_ufunc = <PyObject *>numpy.ndarray.__dict__["__array_ufunc__"]
cdef PyObject *array_function = <PyObject *>numpy.ndarray.__dict__["__array_function__"]
cdef str UFUNC_NAME = "__array_ufunc__"
cdef str FUNCTION_NAME = "__array_function__"

include "_call_cost.pxi"
include "_operation_counter.pxi"
include "_library_calls.pxi"


cdef inline Hook *hook_of(PyObject *target) noexcept:
    """Find an object's hook; NULL if it has none."""
    cdef uint64_t place = (<uint64_t><uintptr_t>target * <uint64_t>0x9E3779B97F4A7C15) >> (64 - TABLE_BITS)
    while table[place]:
        if hooks[table[place] - 1].target == target:
            return &hooks[table[place] - 1]
        place = (place + 1) & (TABLE - 1)
    return NULL


cdef bint decides_for_itself(PyObject *value) noexcept:
    """Tell whether NumPy leaves a call with this argument to the argument's type."""
    cdef PyObject *found
    if PyArray_CheckExact(value) or PyArray_IsAnyScalar(value):
        return False
    found = _PyType_Lookup(Py_TYPE(value), <PyObject *>UFUNC_NAME)
    if found != NULL and found != array_ufunc:
        return True
    found = _PyType_Lookup(Py_TYPE(value), <PyObject *>FUNCTION_NAME)
    return found != NULL and found != array_function


cdef PyObject *object_called(
    PyObject *target, PyObject *const *arguments, size_t flagged, PyObject *names,
) noexcept:
    """Stand in a vectorcall slot: make the call; count it if it is outermost and concerns a counter."""
    cdef Hook *hook = hook_of(target)
    cdef Py_ssize_t count = PyVectorcall_NARGS(flagged)
    cdef PyObject *counters
    cdef PyObject *result
    cdef Py_ssize_t place
    if hook.rules[0] == NULL or not calls.outermost():
        return hook.original(target, arguments, flagged, names)
    counters = concerned()
    if counters == NULL:
        return hook.original(target, arguments, flagged, names)
    for place in range(count):
        if decides_for_itself(arguments[place]):
            Py_XDECREF(counters)
            return hook.original(target, arguments, flagged, names)
    calls.enter()
    result = hook.original(target, arguments, flagged, names)
    if result != NULL:
        result = counted(hook.rules[0], counters, NULL, arguments, count, names, NULL, result)
    calls.leave()
    Py_XDECREF(counters)
    return result


cdef PyObject *method_called(
    int number, PyObject *receiver, PyObject *const *arguments, Py_ssize_t count, PyObject *names,
    PyObject *positional, PyObject *keywords,
) noexcept:
    """Stand in a table of methods, as `object_called` does in a slot."""
    cdef MethodHook *method = &methods[number - TENSOROPS_FIRST]
    cdef int flags = method.definition.ml_flags
    cdef Hook *hook
    cdef PyObject *rule = method.rule
    cdef PyObject *counters = NULL
    cdef PyObject *result
    cdef Py_ssize_t place
    if calls.outermost():
        if rule == NULL:
            hook = hook_of(receiver)
            rule = NULL if hook == NULL else hook.rules[method.of_ufunc]
        if rule != NULL:
            counters = concerned()
    if counters == NULL:
        return tensorops_call(method.original, flags, receiver, arguments, count, names, positional, keywords)
    for place in range(count):
        if decides_for_itself(arguments[place]):
            Py_XDECREF(counters)
            return tensorops_call(
                method.original, flags, receiver, arguments, count, names, positional, keywords
            )
    calls.enter()
    result = tensorops_call(method.original, flags, receiver, arguments, count, names, positional, keywords)
    if result != NULL:
        result = counted(
            rule, counters, receiver if method.bound else NULL, arguments, count, names, keywords, result
        )
    calls.leave()
    Py_XDECREF(counters)
    return result


cdef PyObject *counted(
    PyObject *rule, PyObject *counters, PyObject *receiver, PyObject *const *arguments, Py_ssize_t count,
    PyObject *names, PyObject *keywords, PyObject *result,
) noexcept:
    """Count a call that has succeeded and return its result; NULL only if Ctrl-C came in between."""
    cdef int64_t flops = 0
    cdef int64_t size = 0
    cdef int state = measure(
        <Rule>rule, receiver, arguments, count, names, keywords, result, &flops, &size
    )
    cdef PyObject *counter
    cdef Py_ssize_t place
    for place in range(PyTuple_GET_SIZE(counters)):
        counter = PyTuple_GET_ITEM(counters, place)
        if state >= 0 and (<Counter>counter).active and (<Counter>counter).numpy_calls:
            if not (<Counter>counter).add((<Rule>rule).row, state, flops, size):
                state = INTERRUPTED
    if state == INTERRUPTED:
        Py_XDECREF(result)
        return NULL
    return result


cdef int exchange(bint on) noexcept:
    """Put our functions where NumPy's are, or NumPy's back; leave places where a third one is."""
    cdef int place
    cdef vectorcallfunc *slot
    cdef MethodHook *method
    cdef PyCFunction mine
    for place in range(hooks_used):
        slot = tensorops_slot(hooks[place].target)
        if slot[0] == (hooks[place].original if on else object_called):
            slot[0] = object_called if on else hooks[place].original
    for place in range(methods_used):
        method = &methods[place]
        mine = tensorops_stand_in(place, method.definition.ml_flags)
        if method.definition.ml_meth == (method.original if on else mine):
            method.definition.ml_meth = mine if on else method.original
    return 0


def watch_object(target, rules):
    """Count the calls of a ufunc or a function of NumPy's from the next counter on.

    Parameters
    ----------
    target : callable
        An object with a vectorcall slot; it lives for ever from now on.
    rules : sequence of (Rule or None)
        Of its call and, for a ufunc, of its methods reduce, accumulate, reduceat, outer and at.

    Returns
    -------
    str or None
        Why its calls cannot be counted.
    """
    global hooks_used
    cdef Hook *hook
    cdef int number
    cdef uint64_t place
    cdef vectorcallfunc *slot = tensorops_slot(<PyObject *>target)
    if slot == NULL or slot[0] == NULL:
        return f"a {type(target).__name__} of this NumPy has no vectorcall slot"
    if hooks_used == MAX_HOOKS:
        return f"there are more than {MAX_HOOKS} functions to watch"
    if hook_of(<PyObject *>target) != NULL:
        return None
    _kept.append((target, tuple(rules)))
    hook = &hooks[hooks_used]
    hook.target = <PyObject *>target
    hook.original = slot[0]
    for number, rule in enumerate(rules):
        hook.rules[number] = NULL if rule is None else <PyObject *>rule
    hooks_used += 1
    place = (<uint64_t><uintptr_t>hook.target * <uint64_t>0x9E3779B97F4A7C15) >> (64 - TABLE_BITS)
    while table[place]:
        place = (place + 1) & (TABLE - 1)
    table[place] = hooks_used
    return None


def watch_method(method, rule, of_ufunc=0):
    """Count the calls of a method of arrays or of ufuncs, or of a module's function.

    Parameters
    ----------
    method : method descriptor or builtin function
        Such as ``numpy.ndarray.__dict__["sum"]``; it lives for ever from now on.
    rule : Rule or None
        None for a method of ufuncs: then the ufunc's own rule holds.
    of_ufunc : int
        The place of that rule among the ufunc's.

    Returns
    -------
    str or None
        Why its calls cannot be counted.
    """
    global methods_used
    cdef MethodHook *hook
    cdef PyMethodDef *definition
    cdef bint bound = type(method).__name__ == "method_descriptor"
    if bound:
        definition = (<PyMethodDescrObject *>method).d_method
    elif type(method).__name__ == "builtin_function_or_method":
        definition = (<PyCFunctionObject *>method).m_ml
    else:
        return f"it is a {type(method).__name__} in this NumPy, not a compiled method"
    if methods_used == MAX_METHODS:
        return f"there are more than {MAX_METHODS} methods to watch"
    if tensorops_stand_in(methods_used, definition.ml_flags) == NULL:
        return "it is called in a way that is not foreseen"
    if not tensorops_writable(&definition.ml_meth):
        return "NumPy's table of methods is read-only here"
    _kept.append((method, rule))
    hook = &methods[methods_used]
    hook.definition = definition
    hook.original = definition.ml_meth
    hook.rule = NULL if rule is None else <PyObject *>rule
    hook.of_ufunc = of_ufunc
    hook.bound = bound and rule is not None
    methods_used += 1
    return None


tensorops_method_called = method_called
