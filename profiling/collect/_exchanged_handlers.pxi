# How requests come to be counted: functions in place of those in NumPy's own handler, and a handler in
# front of somebody else's.

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.string cimport memcpy

cdef const char *CAPSULE = "mem_handler"
cdef const char *NAME = "tensorops_allocation_counter"


cdef struct Wrapper:
    # Lives as long as the last array whose data was allocated through it.
    PyDataMem_Handler handler
    PyDataMemAllocator *base
    PyObject *base_capsule
    bint over  # Its counter has ended.


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
    if is_counted(size):
        forget(block)
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
        forget(block)
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
    global alone, least, by_line_now
    cdef Counting *counting = active
    cdef size_t smallest = SIZE_MAX
    by_line_now = 0
    while counting != NULL:
        smallest = min(smallest, counting.minimum)
        by_line_now += counting.by_line
        counting = counting.next
    least = smallest
    alone = active if active != NULL and active.next == NULL and not active.by_line else NULL


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
