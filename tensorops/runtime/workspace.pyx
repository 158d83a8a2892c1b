"""Work memory: one aligned buffer per thread, kept from call to call, freed when its thread ends.

The kernels ask for bounded sizes only, so a buffer that grew to the largest is the steady state. A
buffer never moves while a kernel runs, because a kernel borrows once, before it writes anything.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t

cdef extern from *:
    """
    #include <pthread.h>
    #include <stdint.h>
    #include <stdlib.h>
    #if defined(__linux__)
    #include <sys/mman.h>
    #endif

    typedef struct { void *memory; size_t size; } tensorops_buffer;
    static __thread tensorops_buffer *tensorops_mine = NULL;
    static pthread_key_t tensorops_key;
    static int64_t tensorops_count = 0, tensorops_total = 0, tensorops_live = 0, tensorops_peak = 0;

    static void tensorops_account(int64_t change) {
        int64_t live = __atomic_add_fetch(&tensorops_live, change, __ATOMIC_RELAXED);
        int64_t peak = __atomic_load_n(&tensorops_peak, __ATOMIC_RELAXED);
        if (change > 0) {
            __atomic_add_fetch(&tensorops_count, 1, __ATOMIC_RELAXED);
            __atomic_add_fetch(&tensorops_total, change, __ATOMIC_RELAXED);
        }
        while (live > peak && !__atomic_compare_exchange_n(
            &tensorops_peak, &peak, live, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    }
    static void tensorops_release(void *pointer) {
        tensorops_buffer *buffer = (tensorops_buffer *) pointer;
        free(buffer->memory);
        tensorops_account(-(int64_t) buffer->size);
        free(buffer);
        tensorops_mine = NULL;
    }
    static int tensorops_start(void) { return pthread_key_create(&tensorops_key, tensorops_release); }

    static void *tensorops_grow(size_t size) {
        /* Large buffers start on a huge page, where there are any: a panel then needs few TLB entries. */
        const size_t huge = (size_t) 1 << 21;
        size_t alignment = size >= huge ? huge : 4096;
        void *memory = NULL;
        tensorops_buffer *buffer = tensorops_mine;
        size = (size + alignment - 1) / alignment * alignment;
        if (buffer == NULL) {
            buffer = (tensorops_buffer *) calloc(1, sizeof(*buffer));
            if (buffer == NULL) return NULL;
            if (pthread_setspecific(tensorops_key, buffer)) { free(buffer); return NULL; }
            tensorops_mine = buffer;
        }
        if (posix_memalign(&memory, alignment, size)) return NULL;
    #if defined(__linux__) && defined(MADV_HUGEPAGE)
        if (size >= huge) madvise(memory, size, MADV_HUGEPAGE);
    #endif
        tensorops_account((int64_t) size);
        if (buffer->memory) { free(buffer->memory); tensorops_account(-(int64_t) buffer->size); }
        buffer->memory = memory;
        buffer->size = size;
        return memory;
    }
    static inline void *tensorops_borrow(size_t size) {
        tensorops_buffer *buffer = tensorops_mine;
        if (buffer != NULL && buffer->size >= size) return buffer->memory;
        return tensorops_grow(size);
    }
    """
    int tensorops_start() noexcept nogil
    void *tensorops_borrow(size_t) noexcept nogil
    int64_t tensorops_count, tensorops_total, tensorops_live, tensorops_peak

if tensorops_start():
    raise ImportError("tensorops: no thread-specific key is left for the work memory")


cdef void *borrow(size_t size) noexcept nogil:
    """Return at least `size` bytes, page-aligned, owned by this thread; NULL if there are none."""
    return tensorops_borrow(size)


def statistics() -> dict[str, int]:
    """Return what the kernels' work memory has cost since the import.

    Returns
    -------
    dict of str to int
        ``count`` buffers allocated so far and their ``bytes`` in all, bytes ``live`` now, and the
        ``peak`` of that.

    Examples
    --------
    >>> sorted(statistics())
    ['bytes', 'count', 'live', 'peak']
    """
    return {
        "count": tensorops_count,
        "bytes": tensorops_total,
        "live": tensorops_live,
        "peak": tensorops_peak,
    }
