"""Exact counts of NumPy's data buffers, in total and by the line that asked for them.

NumPy lets a process replace the functions that allocate the data of its arrays (NEP 49). The ones
here count and pass on to those that were there before, so sizes, alignment and NumPy's cache of
small blocks stay as they are. Not seen: Python objects, and memory that other libraries or compiled
kernels take from the C library themselves.

With a file given, each request is put down to the line of that file that is running: the innermost
frame of that file on the stack of the thread. No line is traced, so the code runs at its own speed.
"""

from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint8_t
from libc.stdlib cimport calloc, free, realloc

from dataclasses import dataclass

MINIMUM_BYTES = 64
"""Smaller buffers are left out by default: ``a * 2`` makes two of 8 bytes for the number."""

cdef extern from *:
    """
    #ifndef NPY_TARGET_VERSION
    #define NPY_TARGET_VERSION NPY_2_0_API_VERSION
    #endif
    #include <numpy/arrayobject.h>
    """
    ctypedef struct PyDataMemAllocator:
        void *ctx
        void *(*malloc)(void *ctx, size_t size) noexcept nogil
        void *(*calloc)(void *ctx, size_t count, size_t size) noexcept nogil
        void *(*realloc)(void *ctx, void *block, size_t size) noexcept nogil
        void (*free)(void *ctx, void *block, size_t size) noexcept nogil

    ctypedef struct PyDataMem_Handler:
        char name[127]
        uint8_t version
        PyDataMemAllocator allocator

    int _import_array() except -1
    object PyDataMem_GetHandler()
    object PyDataMem_SetHandler(object handler)

cdef extern from "Python.h":
    ctypedef struct PyFrameObject
    ctypedef struct PyCodeObject
    PyObject *PyEval_GetFrame() nogil
    PyFrameObject *PyFrame_GetBack(PyFrameObject *frame) nogil
    PyCodeObject *PyFrame_GetCode(PyFrameObject *frame) nogil
    int PyFrame_GetLineNumber(PyFrameObject *frame) nogil
    int PyGILState_Check() nogil
    int PyUnicode_Compare(PyObject *left, PyObject *right) nogil
    void Py_XDECREF(PyObject *value) nogil
    void Py_XINCREF(PyObject *value) nogil

cdef extern from *:
    """
    static PyObject *tensorops_code_filename(PyCodeObject *code) { return code->co_filename; }
    """
    PyObject *tensorops_code_filename(PyCodeObject *code) nogil

_import_array()

cdef const char *CAPSULE = "mem_handler"


cdef struct Line:
    int number
    Py_ssize_t count
    Py_ssize_t bytes


cdef struct State:
    # Lives as long as the last array whose data was allocated through it.
    PyDataMem_Handler handler
    PyDataMemAllocator *base
    PyObject *base_capsule
    PyObject *filename
    Py_ssize_t minimum
    Py_ssize_t count
    Py_ssize_t bytes
    Py_ssize_t live
    Py_ssize_t peak
    Line *lines
    Py_ssize_t used
    Py_ssize_t capacity


cdef int line_of_request(PyObject *filename) noexcept nogil:
    """Return the running line of a file, or 0 where the file is not on this thread's stack."""
    cdef PyFrameObject *frame
    cdef PyFrameObject *back
    cdef PyCodeObject *code
    cdef PyObject *name
    cdef bint found
    cdef int number = 0
    if not PyGILState_Check():
        return 0
    frame = <PyFrameObject *>PyEval_GetFrame()
    Py_XINCREF(<PyObject *>frame)
    while frame != NULL:
        code = PyFrame_GetCode(frame)
        name = tensorops_code_filename(code)
        found = name == filename or PyUnicode_Compare(name, filename) == 0
        Py_XDECREF(<PyObject *>code)
        if found:
            number = PyFrame_GetLineNumber(frame)
            Py_XDECREF(<PyObject *>frame)
            return number
        back = PyFrame_GetBack(frame)
        Py_XDECREF(<PyObject *>frame)
        frame = back
    return 0


cdef void add_to_line(State *state, int number, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t place
    cdef Line *larger
    for place in range(state.used):
        if state.lines[place].number == number:
            state.lines[place].count += 1
            state.lines[place].bytes += size
            return
    if state.used == state.capacity:
        larger = <Line *>realloc(state.lines, (2 * state.capacity + 16) * sizeof(Line))
        if larger == NULL:
            return
        state.lines = larger
        state.capacity = 2 * state.capacity + 16
    state.lines[state.used].number = number
    state.lines[state.used].count = 1
    state.lines[state.used].bytes = size
    state.used += 1


cdef void record(State *state, size_t size) noexcept nogil:
    if <Py_ssize_t>size < state.minimum:
        return
    state.count += 1
    state.bytes += <Py_ssize_t>size
    state.live += <Py_ssize_t>size
    state.peak = max(state.peak, state.live)
    if state.filename != NULL:
        add_to_line(state, line_of_request(state.filename), <Py_ssize_t>size)


cdef void *counted_malloc(void *ctx, size_t size) noexcept nogil:
    cdef State *state = <State *>ctx
    cdef void *block = state.base.malloc(state.base.ctx, size)
    if block != NULL:
        record(state, size)
    return block


cdef void *counted_calloc(void *ctx, size_t count, size_t size) noexcept nogil:
    cdef State *state = <State *>ctx
    cdef void *block = state.base.calloc(state.base.ctx, count, size)
    if block != NULL:
        record(state, count * size)
    return block


cdef void *counted_realloc(void *ctx, void *block, size_t size) noexcept nogil:
    cdef State *state = <State *>ctx
    cdef void *moved = state.base.realloc(state.base.ctx, block, size)
    if moved != NULL:
        record(state, size)
    return moved


cdef void counted_free(void *ctx, void *block, size_t size) noexcept nogil:
    cdef State *state = <State *>ctx
    if block != NULL and <Py_ssize_t>size >= state.minimum:
        state.live -= <Py_ssize_t>size
    state.base.free(state.base.ctx, block, size)


cdef void release(object capsule) noexcept:
    """Free a state with its capsule, which the counter and every array of its time hold."""
    cdef State *state = <State *>PyCapsule_GetPointer(capsule, CAPSULE)
    Py_XDECREF(state.base_capsule)
    Py_XDECREF(state.filename)
    free(state.lines)
    free(state)


@dataclass(frozen=True)
class LineAllocations:
    """What one line asked for.

    Attributes
    ----------
    line : int
        Number of the line; 0 collects requests made while no line of the file was on the stack.
    count : int
        Buffers.
    bytes : int
        Bytes of these buffers.
    """

    line: int
    count: int
    bytes: int


cdef class AllocationCounter:
    """Counts NumPy's data buffers while it is entered; made by `count_allocations`.

    Attributes
    ----------
    count : int
        Buffers of at least the minimum size that were asked for. A reallocation counts as one.
    bytes : int
        Bytes of these buffers.
    peak : int
        Most bytes of them alive at once. NumPy does not tell the old size of a reallocated buffer
        (``ndarray.resize``, ``np.fromiter``), so there it counts both the old and the new one.
    """

    cdef object capsule
    cdef object previous
    cdef State *state
    cdef object minimum
    cdef object filename

    def __init__(self, minimum_bytes=MINIMUM_BYTES, filename=None):
        if minimum_bytes < 0:
            raise ValueError(f"minimum_bytes must be 0 or more, got {minimum_bytes}")
        self.minimum = minimum_bytes
        self.filename = None if filename is None else str(filename)

    def __enter__(self):
        if self.previous is not None:
            raise RuntimeError("this counter is entered already")
        base = PyDataMem_GetHandler()
        cdef State *state = <State *>calloc(1, sizeof(State))
        if state == NULL:
            raise MemoryError("no memory for the counter")
        cdef PyDataMemAllocator *allocator = &(
            <PyDataMem_Handler *>PyCapsule_GetPointer(base, CAPSULE)
        ).allocator
        name = b"tensorops_allocation_counter"
        for place in range(len(name)):
            state.handler.name[place] = name[place]
        state.handler.version = 1
        state.handler.allocator.ctx = state
        state.handler.allocator.malloc = counted_malloc
        state.handler.allocator.calloc = counted_calloc
        state.handler.allocator.realloc = counted_realloc
        state.handler.allocator.free = counted_free
        state.base = allocator
        state.minimum = self.minimum
        Py_INCREF(base)
        state.base_capsule = <PyObject *>base
        if self.filename is not None:
            Py_INCREF(self.filename)
            state.filename = <PyObject *>self.filename
        self.capsule = PyCapsule_New(&state.handler, CAPSULE, release)
        self.state = state
        self.previous = PyDataMem_SetHandler(self.capsule)
        return self

    def __exit__(self, kind, value, trace):
        previous, self.previous = self.previous, None
        PyDataMem_SetHandler(previous)
        return False

    @property
    def count(self):
        """Buffers of at least the minimum size that were asked for."""
        return 0 if self.state == NULL else self.state.count

    @property
    def bytes(self):
        """Bytes of these buffers."""
        return 0 if self.state == NULL else self.state.bytes

    @property
    def peak(self):
        """Most bytes of them alive at once."""
        return 0 if self.state == NULL else self.state.peak

    def lines(self):
        """Return what each line of the file asked for, in the order of the lines.

        Returns
        -------
        list of LineAllocations
            Empty if no file was given.
        """
        if self.state == NULL:
            return []
        found = [
            LineAllocations(
                self.state.lines[place].number, self.state.lines[place].count, self.state.lines[place].bytes
            )
            for place in range(self.state.used)
        ]
        return sorted(found, key=lambda entry: entry.line)


def count_allocations(*, minimum_bytes=MINIMUM_BYTES, filename=None):
    """Count the data buffers that NumPy allocates inside a ``with`` block, exactly.

    Parameters
    ----------
    minimum_bytes : int
        Smaller buffers are left out.
    filename : str or path-like, optional
        Also put each request down to the running line of this source file, named as in
        ``function.__code__.co_filename``.

    Returns
    -------
    AllocationCounter
        A context manager; its numbers can be read inside the block and after it.

    Raises
    ------
    ValueError
        If `minimum_bytes` is negative.

    Notes
    -----
    The handler belongs to the current context (``contextvars``): allocations of other threads are
    not counted, unless they run in a copy of this context.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.ones(1000)
    >>> with count_allocations() as counter:
    ...     b = a + a
    ...     b += a
    >>> counter.count, counter.bytes, counter.peak
    (1, 8000, 8000)
    """
    return AllocationCounter(minimum_bytes, filename)
