# Pairs of counters in vector registers wait for the stores of the request before: 10 ns more for each.
# distutils: extra_compile_args = -fno-tree-vectorize -fno-tree-slp-vectorize

"""Exact counts of NumPy's data buffers, in total and by the line that asked for them.

NumPy keeps the functions that allocate the data of its arrays in a struct, its default data-memory
handler (NEP 49). While something is counted, those of that struct are exchanged for the ones here, which
count and pass on, so sizes, alignment and NumPy's cache of small blocks stay as they are. The struct is
one for the process: every thread counts, whether it began before the counter or after. A handler of
somebody else's, set in the context that a counter is entered in, is wrapped there as well.

A block carries no mark. Each counter keeps the blocks that it has seen come and not yet go in a table of
its own, so a block from before it, or one that outlives it, is an ordinary block. The GIL guards all of
this, as it guards NumPy's own cache of blocks.

By lines, each request is put down to the innermost wanted frame of its thread. No line is traced, so the
code runs at its own speed. Not seen: Python objects, and memory that other libraries or compiled kernels
take from the C library themselves.
"""

cimport cython
from cpython.exc cimport PyErr_Fetch, PyErr_Restore, PyErr_SetInterrupt
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport SIZE_MAX, uint8_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy, memset

import json
import operator

from tensorops.runtime.workspace import statistics

from .allocation_records import LineAllocations, WorkMemory, function_name, wanted_files, write_whole

include "_live_blocks.pxi"
include "_running_frames.pxi"

MIN_BYTES = 64
"""Smaller buffers are left out by default: ``a * 2`` makes two of 8 bytes for the number."""

SCHEMA = 1

cdef extern from *:
    """
    #ifndef NPY_TARGET_VERSION
    #define NPY_TARGET_VERSION NPY_2_0_API_VERSION
    #endif
    #include <numpy/arrayobject.h>
    #include <pthread.h>
    #include <sched.h>

    /* What guards the counters: the GIL, which NumPy's own handler needs too; a lock where there is none. */
    #ifdef Py_GIL_DISABLED
    static char tensorops_held = 0;
    static inline void tensorops_lock(void) {
        while (__atomic_exchange_n(&tensorops_held, 1, __ATOMIC_ACQUIRE)) {
            while (__atomic_load_n(&tensorops_held, __ATOMIC_RELAXED)) sched_yield();
        }
    }
    static inline void tensorops_unlock(void) { __atomic_store_n(&tensorops_held, 0, __ATOMIC_RELEASE); }
    /* A child of fork() has one thread: no other one is left that could give back a lock it held. */
    static int tensorops_survive_fork(void) {
        return pthread_atfork(tensorops_lock, tensorops_unlock, tensorops_unlock);
    }
    #else
    static inline void tensorops_lock(void) {}
    static inline void tensorops_unlock(void) {}
    static int tensorops_survive_fork(void) { return 0; }
    #endif

    /* What this thread is doing: asking for a line; inside a wrapped handler, which may use NumPy's own. */
    static __thread int tensorops_asking = 0, tensorops_inside = 0;

    #define TENSOROPS_EXCHANGE(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELEASE)
    """
    ctypedef void *(*malloc_function)(void *ctx, size_t size) noexcept nogil
    ctypedef void *(*calloc_function)(void *ctx, size_t count, size_t size) noexcept nogil
    ctypedef void *(*realloc_function)(void *ctx, void *block, size_t size) noexcept nogil
    ctypedef void (*free_function)(void *ctx, void *block, size_t size) noexcept nogil

    ctypedef struct PyDataMemAllocator:
        void *ctx
        malloc_function malloc
        calloc_function calloc
        realloc_function realloc
        free_function free

    ctypedef struct PyDataMem_Handler:
        char name[127]
        uint8_t version
        PyDataMemAllocator allocator

    int _import_array() except -1
    PyObject *PyDataMem_DefaultHandler
    object PyDataMem_GetHandler()
    object PyDataMem_SetHandler(object handler)

    void take_lock "tensorops_lock"() noexcept nogil
    void give_lock "tensorops_unlock"() noexcept nogil
    int tensorops_survive_fork()
    int asking "tensorops_asking"
    int inside "tensorops_inside"
    void exchange_malloc "TENSOROPS_EXCHANGE"(malloc_function place, malloc_function value)
    void exchange_calloc "TENSOROPS_EXCHANGE"(calloc_function place, calloc_function value)
    void exchange_realloc "TENSOROPS_EXCHANGE"(realloc_function place, realloc_function value)
    void exchange_free "TENSOROPS_EXCHANGE"(free_function place, free_function value)

cdef extern from "Python.h":
    int PyGC_Disable()
    int PyGC_Enable()

_import_array()
if tensorops_survive_fork():
    raise ImportError("profiling: no memory to register what a fork needs")

cdef const char *CAPSULE = "mem_handler"
cdef const char *NAME = "tensorops_allocation_counter"

# Instead of the place of a line: not looked up yet; of a file that is not wanted; no wanted one at all.
cdef enum:
    UNKNOWN = -2
    UNWANTED = -1
    NOWHERE = 0


cdef struct Line:
    int64_t count
    int64_t bytes
    int64_t live
    int64_t peak


cdef struct Counting:
    Counting *next
    PyObject *owner
    size_t minimum
    int64_t count
    int64_t bytes
    int64_t live
    int64_t peak
    int64_t unfollowed
    bint by_line
    int line  # Of the request that is being recorded.
    Blocks blocks
    Sites sites
    Line *lines
    int line_count


cdef struct Wrapper:
    # Lives as long as the last array whose data was allocated through it.
    PyDataMem_Handler handler
    PyDataMemAllocator *base
    PyObject *base_capsule
    bint over  # Its counter has ended.


# The functions of NumPy's own handler, and who counts now. `least` is the smallest floor of them.
cdef PyDataMemAllocator original
cdef Counting *active = NULL
cdef size_t least = SIZE_MAX
cdef int by_line_now = 0
cdef bint wrapped_ever = False


cdef inline bint is_counted(size_t size) noexcept nogil:
    return size >= least and not (wrapped_ever and inside)


cdef int running_line(Counting *counting, bint skip_unknown, void **code, int *instruction) noexcept nogil:
    """Return the place of the innermost wanted line; or UNKNOWN, and the code that was never looked up."""
    cdef Frame *frame = innermost_frame()
    cdef Site *site
    while frame != NULL:
        code[0] = frame_code(frame)
        instruction[0] = frame_instruction(frame)
        site = find_site(&counting.sites, code[0], instruction[0])
        if site.code == NULL:
            if not skip_unknown:
                return UNKNOWN
        elif site.line != UNWANTED:
            return site.line
        frame = outer_frame(frame)
    return NOWHERE


cdef bint ask(PyObject *owner, PyObject *code, int instruction) noexcept with gil:
    """Have a counter look a line up; return whether it could.

    This runs Python code inside a request for memory: the predicate, once for each file. It is safe
    because this thread holds the GIL, it is in a call that may end with an exception anyway, and the
    request has not changed anything yet. No garbage is collected meanwhile: the finalizers would be
    somebody else's code. Requests of the predicate's own are counted, on no line.
    """
    cdef PyObject *kind
    cdef PyObject *value
    cdef PyObject *trace
    cdef int collects = PyGC_Disable()
    cdef bint known
    global asking
    PyErr_Fetch(&kind, &value, &trace)
    asking = 1
    counter = <AllocationCounter>owner
    try:
        known = counter.look_up(<object>code, instruction)
    except KeyboardInterrupt:
        # The user means his program: let it come again when this request is over.
        PyErr_SetInterrupt()
        known = False
    except BaseException as error:
        # Without its traceback, whose frames would keep the program's arrays alive.
        counter.failure = error.with_traceback(None)
        known = False
    asking = 0
    if collects:
        PyGC_Enable()
    del counter
    PyErr_Restore(kind, value, trace)
    return known


cdef void find_lines(size_t size, bint may_ask) noexcept nogil:
    """Set the line of a request in every counter; called, and left, with the lock held."""
    cdef Counting *counting = active
    cdef void *code
    cdef int instruction
    cdef PyObject *owner
    while counting != NULL:
        counting.line = NOWHERE
        # A predicate's own requests are on no line: it runs between the program's lines.
        if counting.by_line and size >= counting.minimum and not asking:
            counting.line = running_line(counting, not may_ask, &code, &instruction)
            if counting.line == UNKNOWN:
                owner = counting.owner
                give_lock()
                may_ask = ask(owner, <PyObject *>code, instruction)
                take_lock()
                # Counters may have come or gone.
                counting = active
                continue
        counting = counting.next


cdef inline void leave(Counting *counting, Block *block) noexcept nogil:
    counting.live -= <int64_t>block.size
    if counting.by_line:
        counting.lines[block.line].live -= <int64_t>block.size


cdef inline Block *add(Counting *counting, void *address, size_t size) noexcept nogil:
    """Count a block in total and return it; NULL if there was no memory to follow it."""
    cdef Block *block = place_block(&counting.blocks, address)
    counting.count += 1
    counting.bytes += <int64_t>size
    if block == NULL:
        counting.unfollowed += 1
        return NULL
    if block.size:
        # Somebody gave the old block of this address back behind NumPy's back.
        leave(counting, block)
    block.size = size
    block.line = NOWHERE
    block.moving = 0
    counting.live += <int64_t>size
    if counting.live > counting.peak:
        counting.peak = counting.live
    return block


cdef void record_by_line(void *address, size_t size, bint may_ask) noexcept nogil:
    cdef Counting *counting
    cdef Block *block
    cdef Line *line
    find_lines(size, may_ask)
    counting = active
    while counting != NULL:
        if size >= counting.minimum:
            block = add(counting, address, size)
            if counting.by_line:
                line = &counting.lines[counting.line]
                line.count += 1
                line.bytes += <int64_t>size
                if block != NULL:
                    block.line = counting.line
                    line.live += <int64_t>size
                    if line.live > line.peak:
                        line.peak = line.live
        counting = counting.next


cdef void record(void *address, size_t size, bint may_ask) noexcept nogil:
    cdef Counting *counting
    take_lock()
    if by_line_now:
        record_by_line(address, size, may_ask)
    else:
        counting = active
        while counting != NULL:
            if size >= counting.minimum:
                add(counting, address, size)
            counting = counting.next
    give_lock()


cdef void forget(void *address, bint if_moving) noexcept nogil:
    """Take a block out; after a reallocation only if its address is not another block's by now."""
    cdef Counting *counting
    cdef Block *block
    take_lock()
    counting = active
    while counting != NULL:
        block = find_block(&counting.blocks, address)
        if block != NULL and (block.moving or not if_moving):
            leave(counting, block)
            remove_block(&counting.blocks, block)
        counting = counting.next
    give_lock()


cdef void mark_moving(void *address, bint moving) noexcept nogil:
    cdef Counting *counting
    cdef Block *block
    take_lock()
    if moving and by_line_now:
        # Now, before it moves: while its owner points to the old block, no Python code may run.
        find_lines(SIZE_MAX, True)
    counting = active
    while counting != NULL:
        block = find_block(&counting.blocks, address)
        if block != NULL:
            block.moving = moving
        counting = counting.next
    give_lock()


cdef void *move(PyDataMemAllocator *base, void *ctx, void *block, size_t size, int wrapped) noexcept nogil:
    """Reallocate and count it: one request, in exchange for the old block."""
    cdef void *moved
    global inside
    mark_moving(block, True)
    inside += wrapped
    moved = base.realloc(ctx, block, size)
    inside -= wrapped
    if moved == NULL:
        mark_moving(block, False)
        return NULL
    forget(block, True)
    if size >= least:
        record(moved, size, False)
    return moved


# In place of NumPy's own functions.

cdef void *counted_malloc(void *ctx, size_t size) noexcept nogil:
    cdef void *block = original.malloc(ctx, size)
    if block != NULL and is_counted(size):
        record(block, size, True)
    return block


cdef void *counted_calloc(void *ctx, size_t count, size_t size) noexcept nogil:
    cdef void *block = original.calloc(ctx, count, size)
    if block != NULL and is_counted(count * size):
        record(block, count * size, True)
    return block


cdef void *counted_realloc(void *ctx, void *block, size_t size) noexcept nogil:
    if active == NULL or (wrapped_ever and inside):
        return original.realloc(ctx, block, size)
    return move(&original, ctx, block, size, 0)


cdef void counted_free(void *ctx, void *block, size_t size) noexcept nogil:
    # Before the block is free: after that, another thread may have it.
    if is_counted(size):
        forget(block, False)
    original.free(ctx, block, size)


# In front of another handler's functions.

cdef void *wrapped_malloc(void *ctx, size_t size) noexcept nogil:
    cdef PyDataMemAllocator *base = (<Wrapper *>ctx).base
    cdef void *block
    global inside
    inside += 1
    block = base.malloc(base.ctx, size)
    inside -= 1
    if block != NULL and is_counted(size):
        record(block, size, True)
    return block


cdef void *wrapped_calloc(void *ctx, size_t count, size_t size) noexcept nogil:
    cdef PyDataMemAllocator *base = (<Wrapper *>ctx).base
    cdef void *block
    global inside
    inside += 1
    block = base.calloc(base.ctx, count, size)
    inside -= 1
    if block != NULL and is_counted(count * size):
        record(block, count * size, True)
    return block


cdef void *wrapped_realloc(void *ctx, void *block, size_t size) noexcept nogil:
    cdef PyDataMemAllocator *base = (<Wrapper *>ctx).base
    cdef void *moved
    global inside
    if active != NULL and not inside:
        return move(base, base.ctx, block, size, 1)
    inside += 1
    moved = base.realloc(base.ctx, block, size)
    inside -= 1
    return moved


cdef void wrapped_free(void *ctx, void *block, size_t size) noexcept nogil:
    cdef PyDataMemAllocator *base = (<Wrapper *>ctx).base
    global inside
    if is_counted(size):
        forget(block, False)
    inside += 1
    base.free(base.ctx, block, size)
    inside -= 1


cdef PyDataMem_Handler *numpys = <PyDataMem_Handler *>PyCapsule_GetPointer(
    <object>PyDataMem_DefaultHandler, CAPSULE
)
# Somebody else exchanged the functions after us and may still call ours: they were left where they are.
cdef bint left_behind = False


cdef void install() noexcept:
    """Exchange the functions of NumPy's handler; a mixture of old and new ones works at any moment."""
    global left_behind, original
    cdef PyDataMemAllocator *now = &numpys.allocator
    if left_behind and now.malloc != original.malloc:
        return
    left_behind = False
    original = now[0]
    exchange_free(now.free, counted_free)
    exchange_realloc(now.realloc, counted_realloc)
    exchange_calloc(now.calloc, counted_calloc)
    exchange_malloc(now.malloc, counted_malloc)


cdef void uninstall() noexcept:
    global left_behind
    cdef PyDataMemAllocator *now = &numpys.allocator
    left_behind = (
        now.malloc != counted_malloc
        or now.calloc != counted_calloc
        or now.realloc != counted_realloc
        or now.free != counted_free
    )
    if left_behind:
        return
    exchange_malloc(now.malloc, original.malloc)
    exchange_calloc(now.calloc, original.calloc)
    exchange_realloc(now.realloc, original.realloc)
    exchange_free(now.free, original.free)


cdef void refresh() noexcept:
    """Set what the hooks look at first; called with the lock held."""
    global least, by_line_now
    cdef Counting *counting = active
    cdef size_t smallest = SIZE_MAX
    by_line_now = 0
    while counting != NULL:
        smallest = min(smallest, counting.minimum)
        by_line_now += counting.by_line
        counting = counting.next
    least = smallest


cdef void begin(Counting *counting) noexcept:
    global active
    if active == NULL:
        install()
    take_lock()
    counting.next = active
    active = counting
    refresh()
    give_lock()


cdef void end(Counting *counting) noexcept:
    global active
    cdef Counting **link = &active
    take_lock()
    while link[0] != counting:
        link = &link[0].next
    link[0] = counting.next
    refresh()
    give_lock()
    if active == NULL:
        uninstall()
    free(counting.blocks.places)
    free(counting.sites.places)
    counting.blocks.places = NULL
    counting.sites.places = NULL


cdef void release(object capsule) noexcept:
    """Free a wrapper with its capsule, which the context and every array of its time hold."""
    cdef Wrapper *wrapper = <Wrapper *>PyCapsule_GetPointer(capsule, CAPSULE)
    Py_XDECREF(wrapper.base_capsule)
    free(wrapper)


cdef object wrap(object base):
    """Return a handler that counts and passes on to another one."""
    global wrapped_ever
    cdef Wrapper *wrapper = <Wrapper *>calloc(1, sizeof(Wrapper))
    if wrapper == NULL:
        raise MemoryError("no memory for the counter")
    memcpy(wrapper.handler.name, NAME, len(NAME))
    wrapper.handler.version = 1
    wrapper.handler.allocator.ctx = wrapper
    wrapper.handler.allocator.malloc = wrapped_malloc
    wrapper.handler.allocator.calloc = wrapped_calloc
    wrapper.handler.allocator.realloc = wrapped_realloc
    wrapper.handler.allocator.free = wrapped_free
    wrapper.base = &(<PyDataMem_Handler *>PyCapsule_GetPointer(base, CAPSULE)).allocator
    Py_INCREF(base)
    wrapper.base_capsule = <PyObject *>base
    wrapped_ever = True
    return PyCapsule_New(&wrapper.handler, CAPSULE, release)


cdef bint is_wrapper(object handler):
    return (<PyDataMem_Handler *>PyCapsule_GetPointer(handler, CAPSULE)).allocator.malloc == wrapped_malloc


@cython.no_gc_clear
cdef class AllocationCounter:
    """Counts NumPy's data buffers while it is entered; made by `count_allocations`.

    Attributes
    ----------
    count : int
        Buffers of at least `min_bytes` that were asked for. A reallocation counts as one.
    bytes : int
        Bytes of these buffers.
    live : int
        Bytes of them that are alive: now, or at the end of the block after it.
    peak : int
        Most bytes of them alive at once. A reallocated buffer is exchanged for its old one.
    min_bytes : int
        Smaller buffers are left out.
    work_memory : WorkMemory
        What the kernels of tensorops took meanwhile for work of their own; not in the other figures.
    notes : tuple of str
        Sentences about what could not be counted; empty as a rule.
    """

    cdef Counting state
    cdef bint entered
    cdef bint used
    cdef Py_ssize_t capacity
    cdef object is_wanted
    cdef object verdicts
    cdef object codes
    cdef object places
    cdef object sources
    cdef object failure
    cdef object previous
    cdef object wrapper
    cdef object work_before
    cdef object work
    cdef object remarks

    def __init__(self, min_bytes=MIN_BYTES, lines=False):
        if self.entered:
            raise RuntimeError("this counter is entered: it cannot be made anew")
        minimum = operator.index(min_bytes)
        if minimum < 0:
            raise ValueError(f"min_bytes must be 0 or more, got {min_bytes}")
        self.is_wanted = wanted_files(lines)
        self.state.minimum = minimum
        self.state.by_line = self.is_wanted is not None
        self.state.owner = <PyObject *>self
        self.forget_everything()

    cdef forget_everything(self):
        cdef Counting *state = &self.state
        free(state.lines)
        state.lines = NULL
        state.line_count = state.line = 0
        state.count = state.bytes = state.live = state.peak = state.unfollowed = 0
        self.capacity = 0
        self.verdicts, self.codes, self.places, self.sources = {}, {}, {}, []
        self.failure = self.previous = self.wrapper = None
        self.work_before = self.work = None
        self.remarks = []

    def __enter__(self):
        cdef Counting *state = &self.state
        if self.entered:
            raise RuntimeError("this counter is entered already: each block needs one of its own")
        self.forget_everything()
        try:
            self.place_of("", "", 0)
            if not make_blocks(&state.blocks, 256) or not make_sites(&state.sites, 256):
                raise MemoryError("no memory for the counter")
            self.work_before = statistics()
            self.previous = PyDataMem_GetHandler()
            if <PyObject *>self.previous != PyDataMem_DefaultHandler:
                self.wrapper = wrap(self.previous)
                PyDataMem_SetHandler(self.wrapper)
        except BaseException:
            free(state.blocks.places)
            free(state.sites.places)
            state.blocks.places = NULL
            state.sites.places = NULL
            raise
        self.entered = self.used = True
        begin(state)
        return self

    def __exit__(self, kind, value, trace):
        if not self.entered:
            raise RuntimeError("this counter is not entered")
        self.work = self.work_memory
        end(&self.state)
        self.entered = False
        self.codes = {}
        self.leave_context()
        if self.state.unfollowed:
            self.remarks.append(
                f"{self.state.unfollowed} buffers are in count and bytes only: there was no memory to "
                "follow them."
            )
        return False

    cdef leave_context(self):
        """Give the context the handler back that it had."""
        handler = PyDataMem_GetHandler()
        if self.wrapper is None:
            if <PyObject *>handler != PyDataMem_DefaultHandler and not is_wrapper(handler):
                name = (<PyDataMem_Handler *>PyCapsule_GetPointer(handler, CAPSULE)).name
                self.remarks.append(
                    f"The data-memory handler {name.decode(errors='replace')!r} was set inside the block: "
                    "buffers that it took itself were not counted."
                )
            return
        (<Wrapper *>PyCapsule_GetPointer(self.wrapper, CAPSULE)).over = True
        if handler is self.wrapper:
            # A counter that was entered before this one and ended before it left its wrapper to this one.
            base = self.previous
            while is_wrapper(base) and (<Wrapper *>PyCapsule_GetPointer(base, CAPSULE)).over:
                base = <object>(<Wrapper *>PyCapsule_GetPointer(base, CAPSULE)).base_capsule
            PyDataMem_SetHandler(base)
        elif not is_wrapper(handler):
            self.remarks.append(
                "The block was left in another context than it was entered in, or the data-memory handler "
                "was changed in it: the handler of the context at its end was left as it was."
            )

    def __dealloc__(self):
        # Somebody called __enter__ and never __exit__.
        if self.entered:
            end(&self.state)
        free(self.state.lines)

    cdef int place_of(self, str filename, str function, int number) except -1:
        """Return the place of a line in the figures, a new one if there is none."""
        cdef Line *larger
        cdef int place
        known = self.places.get((filename, number))
        if known is not None:
            return known
        place = self.state.line_count
        if place == self.capacity:
            take_lock()
            larger = <Line *>realloc(self.state.lines, (2 * self.capacity + 16) * sizeof(Line))
            if larger != NULL:
                self.state.lines = larger
                self.capacity = 2 * self.capacity + 16
            give_lock()
            if larger == NULL:
                raise MemoryError("no memory for the figures of another line")
        memset(&self.state.lines[place], 0, sizeof(Line))
        self.state.line_count += 1
        self.places[filename, number] = place
        self.sources.append((filename, function, number))
        return place

    cdef bint look_up(self, object code, int instruction) except *:
        """Find out whether an instruction's file is wanted, and which line it is of."""
        cdef int place = UNWANTED
        cdef int number
        cdef bint added = False
        filename = code.co_filename
        wanted = self.verdicts.get(filename)
        if wanted is None:
            wanted = self.verdicts[filename] = bool(self.is_wanted(filename))
        if wanted:
            number = PyCode_Addr2Line(<PyCodeObject *>code, instruction)
            place = self.place_of(
                filename, function_name(code.co_qualname), code.co_firstlineno if number < 0 else number
            )
        # Kept, so that no other code can come to stand at its address.
        self.codes[id(code)] = code
        take_lock()
        if self.state.sites.places != NULL:
            added = add_site(&self.state.sites, <PyObject *>code, instruction, place)
        give_lock()
        return added

    @property
    def count(self):
        """Buffers of at least `min_bytes` that were asked for."""
        return self.state.count

    @property
    def bytes(self):
        """Bytes of these buffers."""
        return self.state.bytes

    @property
    def live(self):
        """Bytes of them that are alive: now, or at the end of the block after it."""
        return self.state.live

    @property
    def peak(self):
        """Most bytes of them alive at once."""
        return self.state.peak

    @property
    def min_bytes(self):
        """Smaller buffers are left out."""
        return self.state.minimum

    @property
    def work_memory(self):
        """What the kernels of tensorops took meanwhile for work of their own."""
        if self.work is not None:
            return self.work
        if not self.entered:
            return WorkMemory(0, 0, 0)
        now, before = statistics(), self.work_before
        return WorkMemory(now["count"] - before["count"], now["bytes"] - before["bytes"], before["live"])

    @property
    def notes(self):
        """Sentences about what could not be counted."""
        if self.failure is None:
            return tuple(self.remarks)
        return (*self.remarks, f"No lines: {self.why_no_lines()}.")

    cdef why_no_lines(self):
        return f"the predicate for their files failed with {type(self.failure).__name__}: {self.failure}"

    def lines(self):
        """Return what each wanted line asked for.

        Returns
        -------
        list of LineAllocations
            Lines that asked for something, by file and number. Together they are the totals: requests
            made while no wanted line was on the stack come first, with line 0 of the file "". Empty if
            no lines were asked for.

        Raises
        ------
        RuntimeError
            If the predicate that chooses the files raised an exception.
        """
        if self.failure is not None:
            raise RuntimeError(self.why_no_lines()) from self.failure
        return self.snapshot()[1]

    cdef snapshot(self):
        """Return the totals and the lines of one moment."""
        cdef Counting now
        cdef int place
        cdef int kept = self.state.line_count if self.state.by_line else 0
        cdef Line *copy = <Line *>calloc(kept + 1, sizeof(Line))
        if copy == NULL:
            raise MemoryError("no memory for a copy of the figures")
        take_lock()
        now = self.state
        if kept:
            memcpy(copy, now.lines, kept * sizeof(Line))
        give_lock()
        try:
            found = [
                LineAllocations(
                    *self.sources[place],
                    copy[place].count,
                    copy[place].bytes,
                    copy[place].live,
                    copy[place].peak,
                )
                for place in range(kept)
                if copy[place].count
            ]
        finally:
            free(copy)
        found.sort(key=lambda entry: (entry.filename, entry.line))
        return {"count": now.count, "bytes": now.bytes, "live": now.live, "peak": now.peak}, found

    def to_dict(self):
        """Return the figures, of one moment, as JSON-ready values.

        Returns
        -------
        dict
            ``count``, ``bytes``, ``live``, ``peak``, ``min_bytes``, ``work_memory``, ``lines`` and
            ``notes``. If the predicate failed there are no lines and a note says so.
        """
        totals, lines = self.snapshot()
        return {
            **totals,
            "min_bytes": self.min_bytes,
            "work_memory": self.work_memory.to_dict(),
            "lines": [entry.to_dict() for entry in lines] if self.failure is None else [],
            "notes": list(self.notes),
        }

    def flush(self, path):
        """Write what is counted so far to a file, in one step.

        Parameters
        ----------
        path : path-like
            The file; JSON, as `to_dict`, with ``schema`` and ``kind`` in front.

        Raises
        ------
        OSError
            If it cannot be written. The file is then as it was.
        """
        write_whole(path, json.dumps({"schema": SCHEMA, "kind": "allocations", **self.to_dict()}))

    def __repr__(self):
        if not self.used:
            return f"<AllocationCounter, not entered yet, min_bytes={self.min_bytes}>"
        state = "counting" if self.entered else "done"
        return (
            f"<AllocationCounter, {state}: count={self.count} bytes={self.bytes} live={self.live} "
            f"peak={self.peak} min_bytes={self.min_bytes}>"
        )


def count_allocations(*, min_bytes=MIN_BYTES, lines=False):
    """Count the data buffers that NumPy allocates inside a ``with`` block, exactly.

    All threads of the process count, those that ran before the block as well. Counters may be nested, and
    each counts everything.

    Parameters
    ----------
    min_bytes : int
        Smaller buffers are left out.
    lines : bool, callable or path-like
        Also put each request down to a line: the innermost one, on the stack of its thread, of a wanted
        file. True wants every file, a path wants that file, and a function is asked once for each name
        of a file, as in ``function.__code__.co_filename``. It is called inside a request for memory: it
        should only look at the name.

    Returns
    -------
    AllocationCounter
        A context manager; its numbers can be read inside the block and after it.

    Raises
    ------
    TypeError
        If `min_bytes` is not a whole number, or `lines` is something else.
    ValueError
        If `min_bytes` is negative.

    Notes
    -----
    A data-memory handler of somebody else's is counted if it is set in the context that the block is entered
    in, or if it passes on to NumPy's own. Buffers that it takes itself in other contexts are not seen.

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
    return AllocationCounter(min_bytes, lines)
