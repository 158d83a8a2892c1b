# What happens at a request for memory: which line it is of, and the sums of every counter that is entered.
# Nothing of Python's runs here but `ask`, which has a counter look up a line that it has not seen before,
# or modules that were loaded since it looked for them.

from cpython.exc cimport PyErr_Fetch, PyErr_Restore, PyErr_SetInterrupt
from libc.stdint cimport SIZE_MAX, uint8_t

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

    #define exchange_pointer(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELEASE)
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
    void exchange_malloc "exchange_pointer"(malloc_function place, malloc_function value)
    void exchange_calloc "exchange_pointer"(calloc_function place, calloc_function value)
    void exchange_realloc "exchange_pointer"(realloc_function place, realloc_function value)
    void exchange_free "exchange_pointer"(free_function place, free_function value)

cdef extern from "Python.h":
    int PyGC_Disable()
    int PyGC_Enable()

_import_array()
if tensorops_survive_fork():
    raise ImportError("profiling: no memory to register what a fork needs")


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
    NativeCode native
    int64_t cut_short  # Walks of the calls that ended too early.


cdef struct Search:
    # For the innermost call from compiled code, up to the activation of a wanted Python frame.
    Counting *counting
    const void *limit
    bint skip_unknown
    bint reached
    int line
    void *address
    bint complete  # All calls so far are in `seen`.
    Walk seen


# The functions of NumPy's own handler, and who counts now. `least` is the smallest floor of them; `alone`
# is the only one there is, if it counts without lines, and NULL otherwise.
cdef PyDataMemAllocator original
cdef Counting *active = NULL
cdef Counting *alone = NULL
cdef size_t least = SIZE_MAX
cdef int by_line_now = 0
cdef bint wrapped_ever = False


cdef inline bint is_counted(size_t size) noexcept nogil:
    return size >= least and not (wrapped_ever and inside)


cdef int look_at_call(void *context, void *opaque) noexcept nogil:
    """Look at one of the calls that are under way, innermost first; tell the unwinder whether to go on."""
    cdef Search *search = <Search *>opaque
    cdef size_t position = stack_position(context)
    cdef size_t address
    cdef Site *site
    if search.limit != NULL and position >= <size_t>search.limit:
        search.reached = True
        return STOP
    address = calling_address(context)
    search.complete = search.complete and note_call(&search.seen, <size_t>search, position, address)
    if not is_within(&search.counting.native, address):
        return GO_ON
    site = find_site(&search.counting.sites, <void *>address, NATIVE)
    if site.code == NULL:
        if search.skip_unknown:
            return GO_ON
        search.line = UNKNOWN
        search.address = <void *>address
        return STOP
    if site.line == UNWANTED:
        return GO_ON
    search.line = site.line
    return STOP


cdef int calling_line(
    Counting *counting, bint skip_unknown, Frame *frame, int line, void **code, int *instruction
) noexcept nogil:
    """Return the line of compiled code that a Python frame called, or `line` if there is none.

    `frame` may be NULL: then the whole stack is searched.
    """
    cdef Search search
    cdef Walk *known = NULL
    cdef const size_t *word
    cdef const void *end
    cdef size_t base = <size_t>&search
    cdef int ended
    search.limit = NULL
    if frame != NULL:
        search.limit = activation_of(frame)
    end = readable_end(&search, search.limit)
    if end != NULL:
        # Before the rest of `search` is written: what it held before may look like an address.
        word = first_word(counting.native.first, counting.native.last, &search + 1, end)
        if word == NULL:
            return line
        known = walk_of(&counting.native, word, base, <size_t>end)
        if is_same_walk(known, word, base, <size_t>end):
            return line if known.line == UNWANTED else known.line
        search.seen.word = word[0]
        search.seen.word_at = <size_t>word - base
        search.seen.limit_at = <size_t>end - base
    search.counting = counting
    search.skip_unknown = skip_unknown
    search.reached = False
    search.line = UNWANTED
    search.address = NULL
    search.complete = end != NULL and not skip_unknown
    search.seen.count = 0
    ended = walk(look_at_call, &search)
    if search.line == UNKNOWN:
        code[0] = search.address
        instruction[0] = NATIVE
        return UNKNOWN
    if ended == END_OF_STACK and search.limit != NULL and not search.reached:
        counting.cut_short += 1
    elif search.complete:
        known[0] = search.seen
        known.line = search.line
    return line if search.line == UNWANTED else search.line


cdef int running_line(Counting *counting, bint skip_unknown, void **code, int *instruction) noexcept nogil:
    """Return the place of the innermost wanted line; or UNKNOWN, and the code that was never looked up."""
    cdef Frame *frame = innermost_frame()
    cdef Frame *outermost = NULL
    cdef Site *site
    cdef int line = NOWHERE
    while frame != NULL:
        code[0] = frame_code(frame)
        instruction[0] = frame_instruction(frame)
        site = find_site(&counting.sites, code[0], instruction[0])
        if site.code == NULL:
            if not skip_unknown:
                return UNKNOWN
        elif site.line != UNWANTED:
            line = site.line
            break
        outermost = frame
        frame = outer_frame(frame)
    if counting.native.count:
        if frame == NULL and counting.native.shares_stack:
            frame = outermost
        return calling_line(counting, skip_unknown, frame, line, code, instruction)
    return line


cdef bint ask(PyObject *owner, PyObject *code, int instruction) noexcept with gil:
    """Have a counter look a line up, or new modules if `code` is NULL; return whether it could.

    This runs Python code inside a request for memory: the predicate, once for each file, and what reads
    the lines of compiled code. It is safe because this thread holds the GIL, it is in a call that may end
    with an exception anyway, and the request has not changed anything yet. No garbage is collected
    meanwhile: the finalizers would be somebody else's code. Requests of this code's own are counted, on
    no line.
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
        if code == NULL:
            known = counter.look_for_modules()
        elif instruction == NATIVE:
            known = counter.look_up_call(<size_t>code)
        else:
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
            if may_ask and has_grown(&counting.native):
                counting.line = UNKNOWN
                code = NULL
            else:
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


cdef void record_in_all(void *address, size_t size, bint may_ask) noexcept nogil:
    cdef Counting *counting
    if by_line_now:
        record_by_line(address, size, may_ask)
        return
    counting = active
    while counting != NULL:
        if size >= counting.minimum:
            add(counting, address, size)
        counting = counting.next


cdef inline void record(void *address, size_t size, bint may_ask) noexcept nogil:
    take_lock()
    if alone != NULL:
        add(alone, address, size)
    else:
        record_in_all(address, size, may_ask)
    give_lock()


cdef void forget_in_all(void *address, bint if_moving) noexcept nogil:
    cdef Counting *counting = active
    cdef Block *block
    while counting != NULL:
        block = find_block(&counting.blocks, address)
        if block != NULL and (block.moving or not if_moving):
            leave(counting, block)
            remove_block(&counting.blocks, block)
        counting = counting.next


cdef inline void forget(void *address) noexcept nogil:
    """Take a block out before it is free: after that, another thread may have it."""
    cdef Block *block
    take_lock()
    if alone != NULL:
        block = find_block(&alone.blocks, address)
        if block != NULL:
            alone.live -= <int64_t>block.size
            remove_block(&alone.blocks, block)
    else:
        forget_in_all(address, False)
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
    take_lock()
    # Unless its address is another block's by now.
    forget_in_all(block, True)
    give_lock()
    if size >= least:
        record(moved, size, False)
    return moved
