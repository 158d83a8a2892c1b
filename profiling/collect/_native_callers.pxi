# The compiled code that is asking for memory: return addresses on the C stack of this thread.
#
# Most requests come from a line of Python, with nothing of a wanted module between it and NumPy. So the
# stack is searched first for a word that points into such a module. A word may be left from an earlier
# call: only if there is one, the unwinder of the C compiler's run-time library walks the calls. That takes
# some microseconds, so walks are remembered, by where each return address stood: equal addresses at equal
# places are the same calls. For a function's part of the stack has one size at each of its calls, unless it
# makes room there as it runs, as ctypes does for arguments; then the addresses stand at other places.

from libc.stdlib cimport free

cdef extern from *:
    """
    #include <stdint.h>
    #include <stdlib.h>
    #include <string.h>

    #if !defined(__linux__)
    #define TENSOROPS_NO_CALLERS "they are found on Linux only"
    #elif !defined(__x86_64__) && !defined(__aarch64__)
    #define TENSOROPS_NO_CALLERS "they are found on x86-64 and aarch64 processors only"
    #elif PY_VERSION_HEX >= 0x030E0000
    #define TENSOROPS_NO_CALLERS "they are found with CPython 3.11, 3.12 and 3.13 only"
    #else
    #define TENSOROPS_NO_CALLERS NULL
    #define TENSOROPS_CALLERS 1
    #endif

    typedef struct { uintptr_t start, end, base; char *path; } tensorops_segment;
    typedef struct { tensorops_segment *items; int count, capacity, failed; void *last; } tensorops_segments;
    typedef int (*tensorops_look)(void *context, void *opaque);

    #ifdef TENSOROPS_CALLERS
    #include <dlfcn.h>
    #include <link.h>
    #include <pthread.h>

    static int (*tensorops_unwind)(tensorops_look, void *) = NULL;
    static uintptr_t (*tensorops_address_of)(void *) = NULL;
    static uintptr_t (*tensorops_stack_of)(void *) = NULL;

    /* Loaded by name: the module works without it. The first walk sets up what is set up once. */
    static int tensorops_ignore(void *context, void *opaque) { (void)context; (void)opaque; return 0; }
    static const char *tensorops_prepare_unwinder(void) {
        void *library;
        if (tensorops_unwind != NULL) return NULL;
        library = dlopen("libgcc_s.so.1", RTLD_LAZY);
        if (library == NULL) return "libgcc_s.so.1, which walks the calls, is not there";
        *(void **)&tensorops_address_of = dlsym(library, "_Unwind_GetIP");
        *(void **)&tensorops_stack_of = dlsym(library, "_Unwind_GetCFA");
        *(void **)&tensorops_unwind = dlsym(library, "_Unwind_Backtrace");
        if (tensorops_address_of == NULL || tensorops_stack_of == NULL || tensorops_unwind == NULL) {
            tensorops_unwind = NULL;
            return "libgcc_s.so.1 has no _Unwind_Backtrace";
        }
        tensorops_unwind(tensorops_ignore, NULL);
        return NULL;
    }

    static int tensorops_add_segments(struct dl_phdr_info *info, size_t size, void *opaque) {
        tensorops_segments *found = (tensorops_segments *)opaque;
        int place;
        (void)size;
        for (place = 0; place < info->dlpi_phnum && info->dlpi_name[0]; place++) {
            const ElfW(Phdr) *header = &info->dlpi_phdr[place];
            tensorops_segment *segment;
            if (header->p_type != PT_LOAD || !(header->p_flags & PF_X)) continue;
            if (found->count == found->capacity) {
                int capacity = 2 * found->capacity + 64;
                segment = (tensorops_segment *)realloc(found->items, capacity * sizeof *segment);
                if (segment == NULL) { found->failed = 1; return 1; }
                found->items = segment;
                found->capacity = capacity;
            }
            segment = &found->items[found->count];
            segment->base = info->dlpi_addr;
            segment->start = info->dlpi_addr + header->p_vaddr;
            segment->end = segment->start + header->p_memsz;
            segment->path = strdup(info->dlpi_name);
            if (segment->path == NULL) { found->failed = 1; return 1; }
            found->count++;
        }
        return 0;
    }

    static void *tensorops_map_of(void *held) {
        struct link_map *map = NULL;
        return held != NULL && dlinfo(held, RTLD_DI_LINKMAP, &map) == 0 ? map : NULL;
    }
    /* The last loaded module is kept loaded while anybody looks for what follows it in the loader's list. */
    static int tensorops_find_last(struct dl_phdr_info *info, size_t size, void *opaque) {
        tensorops_segment *last = (tensorops_segment *)opaque;
        struct link_map *map = (struct link_map *)last->base;
        (void)info; (void)size;
        while (map->l_next != NULL) map = map->l_next;
        last->start = (uintptr_t)map;
        last->path = strdup(map->l_name);
        return 1;  /* Called once: the loader's lock is held in here. */
    }
    static void *tensorops_hold_last(void) {
        tensorops_segment last = {0, 0, 0, NULL};
        void *held = NULL, *self = dlopen(NULL, RTLD_LAZY);
        if (self == NULL) return NULL;
        if (dlinfo(self, RTLD_DI_LINKMAP, &last.base) == 0) {
            dl_iterate_phdr(tensorops_find_last, &last);
            if (last.path != NULL) held = dlopen(last.path, RTLD_LAZY | RTLD_NOLOAD);
            if (held != NULL && tensorops_map_of(held) != (void *)last.start) {
                dlclose(held);
                held = NULL;
            }
        }
        dlclose(self);
        free(last.path);
        return held;
    }
    static void tensorops_let_go(void *held) { if (held != NULL) dlclose(held); }
    static inline int tensorops_is_last(const void *map) {
        return __atomic_load_n(&((const struct link_map *)map)->l_next, __ATOMIC_RELAXED) == NULL;
    }
    static void tensorops_list(tensorops_segments *found) { dl_iterate_phdr(tensorops_add_segments, found); }

    /* An address inside the interpreter's activation that runs a frame: whatever the frame called has its
       part of the C stack below. */
    static const void *tensorops_activation(tensorops_frame *frame) {
    #if PY_VERSION_HEX >= 0x030C0000
        while (frame != NULL && frame->owner != FRAME_OWNED_BY_CSTACK) frame = frame->previous;
        return frame;
    #else
        const _PyCFrame *activation = _PyThreadState_UncheckedGet()->cframe;
        const _PyInterpreterFrame *other = activation->current_frame;
        for (; other != NULL && other != frame; other = other->previous) {
            const _PyCFrame *before = activation->previous;
            if (before != NULL && other->previous == before->current_frame) activation = before;
        }
        return other == NULL ? NULL : activation;
    #endif
    }

    static __thread uintptr_t tensorops_stack_low = 0, tensorops_stack_high = 0;
    static void tensorops_find_stack(void) {
        pthread_attr_t attributes;
        void *low;
        size_t size;
        tensorops_stack_low = tensorops_stack_high = 1;
        if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
        if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
            tensorops_stack_low = (uintptr_t)low;
            tensorops_stack_high = (uintptr_t)low + size;
        }
        pthread_attr_destroy(&attributes);
    }

    #ifdef __aarch64__
    #define TENSOROPS_ADDRESS_BITS 0xFFFFFFFFFFFFu  /* The others may hold a signature of the address. */
    #else
    #define TENSOROPS_ADDRESS_BITS UINTPTR_MAX
    #endif

    /* The end of the words that may be read from `here` on: `limit`, or where the stack ends. NULL if the
       thread runs on a stack that is not its own: only its own one can be read without harm. */
    static const void *tensorops_readable(const void *here, const void *limit) {
        uintptr_t begin = (uintptr_t)here, end = (uintptr_t)limit;
        if (tensorops_stack_high == 0) tensorops_find_stack();
        if (end == 0) end = tensorops_stack_high;
        if (begin < tensorops_stack_low || end < begin || end > tensorops_stack_high) return NULL;
        return (const void *)end;
    }
    /* The first word of a piece of the stack that lies in a range, or NULL. */
    static const uintptr_t *tensorops_first_word(
        uintptr_t first, uintptr_t last, const void *here, const void *end
    ) {
        const uintptr_t *word;
        for (word = (const uintptr_t *)here; word < (const uintptr_t *)end; word++)
            if ((*word & TENSOROPS_ADDRESS_BITS) - first < last - first) return word;
        return NULL;
    }
    static int tensorops_walk(tensorops_look look, void *opaque) { return tensorops_unwind(look, opaque); }
    static uintptr_t tensorops_caller(void *context) {
        return (tensorops_address_of(context) & TENSOROPS_ADDRESS_BITS) - 1;
    }
    static uintptr_t tensorops_stack(void *context) { return tensorops_stack_of(context); }

    #else

    static const char *tensorops_prepare_unwinder(void) { return TENSOROPS_NO_CALLERS; }
    static void *tensorops_hold_last(void) { return NULL; }
    static void tensorops_let_go(void *held) { (void)held; }
    static void *tensorops_map_of(void *held) { (void)held; return NULL; }
    static inline int tensorops_is_last(const void *map) { (void)map; return 1; }
    static void tensorops_list(tensorops_segments *found) { (void)found; }
    static const void *tensorops_activation(tensorops_frame *frame) { (void)frame; return NULL; }
    static const void *tensorops_readable(const void *here, const void *limit) { return NULL; }
    static const uintptr_t *tensorops_first_word(uintptr_t a, uintptr_t b, const void *c, const void *d) {
        return NULL;
    }
    static int tensorops_walk(tensorops_look look, void *opaque) { return 0; }
    static uintptr_t tensorops_caller(void *context) { return 0; }
    static uintptr_t tensorops_stack(void *context) { return 0; }
    #endif
    """
    ctypedef struct Segment "tensorops_segment":
        size_t start
        size_t end
        size_t base
        char *path
    ctypedef struct Segments "tensorops_segments":
        Segment *items
        int count
        int capacity
        int failed
    ctypedef int (*look_function "tensorops_look")(void *context, void *opaque) noexcept nogil

    const char *prepare_unwinder "tensorops_prepare_unwinder"() noexcept
    void *hold_last_module "tensorops_hold_last"() noexcept nogil
    void let_go "tensorops_let_go"(void *held) noexcept nogil
    void *map_of "tensorops_map_of"(void *held) noexcept nogil
    bint is_last_module "tensorops_is_last"(const void *map) noexcept nogil
    void list_segments "tensorops_list"(Segments *found) noexcept nogil
    const void *activation_of "tensorops_activation"(Frame *frame) noexcept nogil
    const void *readable_end "tensorops_readable"(const void *here, const void *limit) noexcept nogil
    const size_t *first_word "tensorops_first_word"(
        size_t first, size_t last, const void *here, const void *end
    ) noexcept nogil
    int walk "tensorops_walk"(look_function look, void *opaque) noexcept nogil
    size_t calling_address "tensorops_caller"(void *context) noexcept nogil
    size_t stack_position "tensorops_stack"(void *context) noexcept nogil


# What the unwinder returns where the calls end, and what it is told to go on or to stop.
cdef enum:
    GO_ON = 0
    STOP = 4
    END_OF_STACK = 5
    # Instead of an instruction's number: the "code" is an address in compiled code.
    NATIVE = -1000
    MOST_CALLS = 48
    WALKS = 64


cdef struct Walk:
    # The calls of a walk: return addresses, and where they stood above the one who walked.
    size_t word
    size_t word_at
    size_t limit_at
    int line
    int count
    size_t addresses[MOST_CALLS]
    int places[MOST_CALLS]


cdef struct NativeCode:
    # The executable parts of wanted modules, and the range that holds them all.
    Segment *segments
    int count
    size_t first
    size_t last
    # The module that was loaded last when they were found; NULL if nobody looks for new ones.
    void *held
    void *newest
    Walk *walks
    # Greenlets change the stack of whoever switched to them: a walk must not go beyond their own frames.
    bint shares_stack


cdef inline bint has_grown(const NativeCode *native) noexcept nogil:
    """Tell whether modules were loaded since the wanted ones were found."""
    return native.newest != NULL and not is_last_module(native.newest)


cdef inline bint is_within(const NativeCode *native, size_t address) noexcept nogil:
    cdef int place
    if address - native.first >= native.last - native.first:
        return False
    for place in range(native.count):
        if address - native.segments[place].start < native.segments[place].end - native.segments[place].start:
            return True
    return False


cdef inline Walk *walk_of(
    const NativeCode *native, const size_t *word, size_t base, size_t limit
) noexcept nogil:
    """Return the place of the walk that begins with this word and ends here."""
    cdef size_t at = <size_t>word - base
    return &native.walks[spread(word[0] ^ (at << 32) ^ (limit - base), WALKS - 1)]


cdef inline bint is_same_walk(
    const Walk *known, const size_t *word, size_t base, size_t limit
) noexcept nogil:
    """Tell whether the calls that are under way are those of a walk."""
    cdef int place
    if known.word != word[0] or known.word_at != <size_t>word - base or known.limit_at != limit - base:
        return False
    for place in range(known.count):
        if (<size_t *>(base + <size_t>known.places[place]))[0] != known.addresses[place]:
            return False
    return known.count > 0


cdef inline bint note_call(Walk *seen, size_t base, size_t position, size_t address) noexcept nogil:
    """Add a call to a walk; return whether its return address is where it is expected."""
    cdef size_t slot = position - sizeof(void *)
    if slot < base:
        return True
    if seen.count == MOST_CALLS or slot - base > 0x7FFFFFFF or (<size_t *>slot)[0] != address + 1:
        return False
    seen.places[seen.count] = <int>(slot - base)
    seen.addresses[seen.count] = address + 1
    seen.count += 1
    return True


cdef void clear_native(NativeCode *native) noexcept nogil:
    """Forget all modules."""
    let_go(native.held)
    free(native.segments)
    free(native.walks)
    native.held = native.newest = NULL
    native.segments = NULL
    native.walks = NULL
    native.count = 0


cdef list loaded_code():
    """Return path, start, end and address of the module of every executable part of loaded modules."""
    cdef Segments found
    cdef int place
    memset(&found, 0, sizeof(Segments))
    with nogil:
        list_segments(&found)
    try:
        if found.failed:
            raise MemoryError("no memory for the list of loaded modules")
        return [
            (
                found.items[place].path.decode("utf-8", "surrogateescape"),
                found.items[place].start,
                found.items[place].end,
                found.items[place].base,
            )
            for place in range(found.count)
        ]
    finally:
        for place in range(found.count):
            free(found.items[place].path)
        free(found.items)


cdef int take_modules(NativeCode *native, object may_have) except -1:
    """Find the loaded modules whose code is wanted.

    `may_have` is asked about the path of each.
    """
    cdef NativeCode fresh
    cdef NativeCode old
    cdef int place
    memset(&fresh, 0, sizeof(NativeCode))
    # First, so that a module loaded meanwhile is found to follow it.
    with nogil:
        fresh.held = hold_last_module()
        fresh.newest = map_of(fresh.held)
    try:
        loaded = loaded_code()
        wanted = [entry for entry in loaded if may_have(entry[0])]
        fresh.shares_stack = any("/_greenlet." in entry[0] for entry in loaded)
        fresh.segments = <Segment *>calloc(len(wanted) + 1, sizeof(Segment))
        fresh.walks = <Walk *>calloc(WALKS, sizeof(Walk))
        if fresh.segments == NULL or fresh.walks == NULL:
            raise MemoryError("no memory for the places of compiled modules")
    except BaseException:
        with nogil:
            clear_native(&fresh)
        raise
    fresh.count = len(wanted)
    for place, (_, start, end, base) in enumerate(wanted):
        fresh.segments[place].start, fresh.segments[place].end = start, end
        fresh.segments[place].base = base
    fresh.first = min((entry[1] for entry in wanted), default=0)
    fresh.last = max((entry[2] for entry in wanted), default=0)
    take_lock()
    old = native[0]
    native[0] = fresh
    give_lock()
    with nogil:
        clear_native(&old)
    return 0


cdef tuple module_of(size_t address):
    """Return the path of the loaded module that an address is in, and its place there; ("", 0) if none."""
    for path, start, end, base in loaded_code():
        if start <= address < end:
            return path, address - base
    return "", 0
