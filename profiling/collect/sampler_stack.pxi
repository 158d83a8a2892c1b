# Taking a sample: runs in the signal handler of the sampled thread, and writes to the thread's own ring.
#
# A ring holds words of 64 bits, written by one thread and read by another, without a lock: the writer
# alone moves `written`, the reader alone `taken`. Two kinds of records stand in it:
#
#   sample      [SAMPLE | frames << 8 | words << 32] [address] [nanoseconds]
#               ([identity] [instruction]) * frames
#   definition  [DEFINITION | words << 32] [identity] [first line] ([size | width << 32] [text]) * 3
#
# and PADDING up to the end where a record would not fit in one piece. A definition gives the file name,
# the qualified name and the line table of a code object, copied while a frame still holds it. It comes
# before the first sample that names it, once for each `period` of the reader.

from libc.string cimport memset

cdef enum:
    MOST_FRAMES = 24
    MOST_SHIMS = 96
    REMEMBERED = 1024
    MOST_SLOTS = 1024
    MOST_TEXT = 4096
    MOST_TABLE = 65536
    SAMPLE = 1
    DEFINITION = 2
    PADDING = 3

cdef extern from "Python.h":
    void *PyGILState_GetThisThreadState() nogil

cdef struct Slot:
    long thread
    int64_t clock
    void *cpu_timer
    void *wall_timer
    bint used
    # Written by the handler alone.
    int64_t sampled
    int64_t sleeps
    uint64_t random
    int64_t written
    int64_t lost
    int64_t known_period
    uint64_t known[REMEMBERED]
    const void *codes[MOST_FRAMES]
    const void *instructions[MOST_FRAMES]
    char heads[MOST_FRAMES * SAMPLER_CODE_HEAD]
    # Written by the reader alone.
    int64_t taken
    uint64_t *ring
    int64_t capacity
    int64_t wall_before
    int64_t busy_before
    int64_t waited

cdef Slot *slots = NULL
cdef int64_t interval_nanoseconds = 1000000
cdef int64_t period = 1
# The kernel's usual tick: a timer on processor time goes off no finer.
cdef int64_t TICK_NANOSECONDS = 4000000


cdef bint give_ring(Slot *slot, int64_t size) noexcept:
    """Give a slot an empty ring; one that is large enough is used again."""
    cdef int64_t words = size // <int64_t>sizeof(uint64_t)
    if slot.capacity < words:
        # The old one stays mapped: a handler may still be writing to it.
        slot.ring = <uint64_t *>sampler_map(size)
        slot.capacity = words if slot.ring != NULL else 0
    slot.written = 0
    slot.taken = 0
    slot.known_period = 0
    return slot.ring != NULL


cdef uint64_t *reserve(Slot *slot, int64_t words) noexcept nogil:
    """Return room for one record in one piece, or NULL if the reader is too far behind."""
    cdef int64_t place = slot.written % slot.capacity
    cdef int64_t rest = slot.capacity - place
    cdef int64_t padding = rest if rest < words else 0
    if slot.written + padding + words - sampler_load(&slot.taken) > slot.capacity:
        return NULL
    if padding:
        slot.ring[place] = PADDING | <uint64_t>padding << 32
        sampler_store(&slot.written, slot.written + padding)
        place = 0
    return slot.ring + place


cdef bint define(Slot *slot, const char *head, uint64_t identity) noexcept nogil:
    """Write what is to be known of a code object; return whether that went well."""
    cdef const char *data[3]
    cdef int64_t sizes[3]
    cdef int widths[3]
    cdef int64_t words = 3
    cdef uint64_t *record
    cdef int64_t place = 3
    cdef int which
    for which in range(3):
        if not sampler_contents(sampler_text(head, which), &data[which], &sizes[which], &widths[which]):
            # A subclass of str, say: a line without a name is better than none.
            sizes[which] = 0
            widths[which] = 1
        # A multiple of 4 cuts no character in two.
        sizes[which] = min(sizes[which], MOST_TABLE if which == 2 else MOST_TEXT)
        words += 1 + (sizes[which] + 7) // 8
    record = reserve(slot, words)
    if record == NULL:
        return False
    record[1] = identity
    record[2] = <uint64_t>sampler_first_line(head)
    for which in range(3):
        record[place] = <uint64_t>sizes[which] | <uint64_t>widths[which] << 32
        if sizes[which] and not sampler_read(record + place + 1, data[which], sizes[which]):
            return False
        place += 1 + (sizes[which] + 7) // 8
    record[0] = DEFINITION | <uint64_t>words << 32
    sampler_store(&slot.written, slot.written + words)
    return True


cdef bint is_defined(Slot *slot, const char *head, uint64_t identity) noexcept nogil:
    """Make sure that the reader knows a code object."""
    # Two places for each: of two dozen frames some would share their only one, and define each other anew
    # in every sample until the ring is full.
    cdef uint64_t *place = &slot.known[identity % REMEMBERED]
    cdef uint64_t *other = &slot.known[(identity >> 32) % REMEMBERED]
    if place[0] != identity and other[0] != identity:
        if not define(slot, head, identity):
            return False
        if place[0] and not other[0]:
            place = other
        place[0] = identity
    return True


cdef bint capture(Slot *slot, void *state, uint64_t address, int64_t nanoseconds) noexcept nogil:
    """Write one sample with the Python frames of a thread state; return whether that went well."""
    cdef size_t low = 0
    cdef size_t high = 0
    cdef void *frame = NULL
    cdef void *back
    cdef int kind
    cdef int count = 0
    cdef int steps = 0
    cdef int place
    cdef uint64_t identities[MOST_FRAMES]
    cdef int64_t offset
    cdef uint64_t *record
    cdef int64_t now = sampler_load(&period)
    if slot.known_period != now:
        memset(slot.known, 0, sizeof(slot.known))
        slot.known_period = now
    if state != NULL:
        frame = sampler_innermost(state, &low, &high)
    cdef bint expected = frame != NULL
    while frame != NULL and count < MOST_FRAMES and steps < MOST_SHIMS:
        kind = sampler_frame(frame, low, high, &slot.codes[count], &slot.instructions[count], &back)
        if kind < 0:
            break
        count += kind
        steps += 1
        frame = back
    if count:
        count = sampler_read_codes(slot.heads, slot.codes, count)
    for place in range(count):
        offset = sampler_instruction(
            slot.heads + place * SAMPLER_CODE_HEAD,
            slot.codes[place],
            slot.instructions[place],
            &identities[place],
        )
        if offset < 0 or not is_defined(slot, slot.heads + place * SAMPLER_CODE_HEAD, identities[place]):
            count = place
            break
        slot.instructions[place] = <const void *>offset
    if expected and count == 0:
        # Caught between two states: its time goes to the thread's next sample.
        return False
    record = reserve(slot, 3 + 2 * count)
    if record == NULL:
        return False
    record[0] = SAMPLE | <uint64_t>count << 8 | <uint64_t>(3 + 2 * count) << 32
    record[1] = address
    record[2] = <uint64_t>nanoseconds
    for place in range(count):
        record[3 + 2 * place] = identities[place]
        record[4 + 2 * place] = <uint64_t>slot.instructions[place]
    sampler_store(&slot.written, slot.written + 3 + 2 * count)
    return True


cdef int64_t next_delay(Slot *slot) noexcept nogil:
    """Return an interval, a quarter more or less by chance.

    Equal intervals fall into step with a loop of the program, and meet one line of it too often for a while.
    """
    # Marsaglia's xorshift64; the thread's number makes it differ from the start.
    slot.random ^= slot.random << 13
    slot.random ^= slot.random >> 7
    slot.random ^= slot.random << 17
    return 3 * interval_nanoseconds // 4 + <int64_t>(slot.random % <uint64_t>(interval_nanoseconds // 2))


cdef void take(void *opaque, int wall, uint64_t address) noexcept nogil:
    """Take a sample of the running thread.

    One of two timers asks for the next sample. The one on the thread's processor time never wakes a
    waiting thread, but the kernel looks at it at its own ticks only (often 4 ms apart). So each sample
    arms the other, on wall-clock time, for about one interval; if the thread has slept in the meantime, the
    first one takes over, and the thread is not disturbed again before it runs. A thread that others kept from
    running has not slept.
    A sample weighs the processor time since the one before, so the sum is right whatever the timers do.
    """
    cdef Slot *slot = <Slot *>opaque
    cdef int64_t now = sampler_cpu_time()
    cdef int64_t elapsed = now - slot.sampled
    cdef int64_t sleeps = sampler_sleeps()
    if 2 * elapsed < interval_nanoseconds:
        if sampler_active and sleeps != slot.sleeps:
            sampler_arm(slot.cpu_timer, max(interval_nanoseconds, TICK_NANOSECONDS), 0)
        elif sampler_active:
            sampler_arm(slot.wall_timer, next_delay(slot), 0)
        slot.sleeps = sleeps
        return
    slot.sleeps = sleeps
    if capture(slot, PyGILState_GetThisThreadState(), address, elapsed):
        slot.sampled = now
    else:
        slot.lost += 1
    if sampler_active:
        sampler_arm(slot.wall_timer, next_delay(slot), 0)
