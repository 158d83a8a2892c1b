"""A sampling profiler that runs inside the process, at native speed, over all its threads.

A timer of each thread interrupts it about every millisecond of its processor time. The signal handler
notes the native instruction and the Python frames of that thread in a ring of its own; a thread of the
sampler empties the rings, adds up equal samples, and looks for new threads. What waiting threads wait
at is read by the same thread under the interpreter lock, so a waiting thread is hardly ever disturbed.

The sum of the running samples of a thread is its processor time; the sum of its waiting samples is the
time it was neither on a processor nor queueing for one.

Processes that the program starts are not sampled. ``sampler_platform.pxi`` holds what depends on the
system and on the version of Python, ``sampler_stack.pxi`` what happens in the signal handler.
"""

from libc.stdlib cimport free, malloc

import _thread
import atexit
import os
import sys
from bisect import bisect_right

from .samples import Frame, Sample
from .spool import SpoolWriter

include "sampler_platform.pxi"
include "sampler_stack.pxi"

cdef extern from "Python.h":
    ctypedef struct PyInterpreterState
    ctypedef struct PyThreadState:
        unsigned long native_thread_id
    PyInterpreterState *PyInterpreterState_Get()
    PyThreadState *PyInterpreterState_ThreadHead(PyInterpreterState *interpreter)
    PyThreadState *PyThreadState_Next(PyThreadState *state)

cdef double DRAIN_SECONDS = 0.05
cdef double FLUSH_SECONDS = 1.0
cdef double EXEC_SECONDS = 1.0
# The drain's own share of the time of a core, at most: with hundreds of threads it drains less often.
cdef double MOST_DRAINING = 0.02
# A thread that waits less than this share is not asked where: handing on the interpreter lock takes as
# much.
cdef double LEAST_WAITING = 0.05
# The handler may move a thread's time on while it is compared.
cdef int64_t RECENT_NANOSECONDS = 100000000
# Bytes of a ring: seconds of samples, should the interpreter lock not be had so long.
cdef int64_t PYTHON_RING = 1 << 20
cdef int64_t WORKER_RING = 1 << 18
cdef Py_ssize_t MOST_CODES = 20000
cdef Py_ssize_t MOST_LINES = 200000
cdef Py_ssize_t MOST_ENTRIES = 200000

GENERATED = "<generated code>"
MANY_LINES = Frame("<further lines>", "", 0, 0)
SHORTEST_INTERVAL = 1e-4
LONGEST_INTERVAL = 1.0

cdef object TEMPLATE = (lambda: None).__code__
cdef object ENCODINGS = {1: "latin-1", 2: "utf-16", 4: "utf-32"}
cdef object BYTE_ORDER = "-le" if sys.byteorder == "little" else "-be"

cdef Sampler current = None
cdef bint forks_watched = False


def why_unavailable():
    """Tell why threads cannot be sampled here, or return None.

    Returns
    -------
    str or None
        A sentence for people.

    Examples
    --------
    >>> why_unavailable() is None or "sampling" in why_unavailable()
    True
    """
    if SAMPLER_REASON != NULL:
        return f"sampling is not available: {SAMPLER_REASON.decode()}"
    if not sampler_can_read():
        return (
            "sampling is not available: the system forbids process_vm_readv, with which frames are read "
            "(a sandbox or a container's seccomp profile)"
        )
    cdef void *timer = NULL
    cdef long thread = sampler_thread()
    number = sampler_free_signal(0)
    if not number:
        return "sampling is not available: the program handles every real-time signal itself"
    if sampler_make_timer(sampler_clock_of(thread), number, thread, NULL, 0, &timer) != 0:
        return "sampling is not available: the system refuses a timer (timer_create; see `ulimit -i`)"
    sampler_delete_timer(timer)
    if sampler_list_threads(&thread, 1) < 1:
        return "sampling is not available: the threads cannot be listed (/proc/self/task)"
    return None


cdef class _CodeLines:
    """The names of a code object, and which line each of its instructions belongs to."""

    cdef readonly str filename
    cdef readonly str function
    cdef readonly int first_line
    cdef readonly list starts
    cdef readonly list lines
    # Numbers of frames by instruction, as far as they were seen.
    cdef readonly dict seen

    def __init__(self, str filename, str function, int first_line, bytes table):
        self.filename = filename
        self.function = function
        self.first_line = first_line
        self.starts = []
        self.lines = []
        self.seen = {}
        if len(table) >= MOST_TABLE:
            # Cut off where an entry begins: its first byte has the highest bit set.
            end = len(table) - 1
            while end > 0 and table[end] < 0x80:
                end -= 1
            table = table[:end]
        before = first_line
        for start, _, line in TEMPLATE.replace(co_linetable=table, co_firstlineno=first_line).co_lines():
            before = before if line is None else line
            self.starts.append(start)
            self.lines.append(before)

    cdef int line_at(self, int64_t instruction):
        cdef Py_ssize_t place = bisect_right(self.starts, instruction) - 1
        return self.lines[place] if place >= 0 else self.first_line


cdef class Sampler:
    """Samples every thread of this process while it is entered.

    Parameters
    ----------
    interval : float, default 1e-3
        Seconds of processor time between two samples of a thread, from 1e-4 to 1.
    spool : path-like, optional
        File that what was found is appended to about once a second, so that it outlives a process that
        is killed; `profiling.collect.spool.read_spool` reads it. Replaced by `start`.

    Attributes
    ----------
    interval : float
        As given.
    seconds : float
        Wall-clock time sampled so far.
    lost : int
        Samples that could not be kept. Their time is in the next sample of the same thread.
    notes : tuple of str
        What hindered the sampling, for people.

    Raises
    ------
    ValueError
        If `interval` is out of its range.

    Notes
    -----
    One sampler runs at a time. Times of threads that live less than a twentieth of a second can be
    missed; the times of a thread from before it was found stand in its first sample. The handler of a
    real-time signal is taken (the highest one that nobody handles) and given back by `stop`; SIGPROF,
    ``setitimer`` and the handlers of the program are left alone.

    What a sample costs is mostly the system's: the interrupt of a timer, and a signal. Where these are
    dear, as in some virtual machines, a longer `interval` costs less; the sums stay right.

    Examples
    --------
    >>> if why_unavailable() is None:
    ...     with Sampler() as sampler:
    ...         total = sum(number * number for number in range(300_000))
    ...     times = sum(sample.seconds for sample in sampler.samples() if sample.running)
    """

    cdef readonly double interval
    cdef object spool
    cdef object writer
    cdef object lock
    cdef object wake
    cdef object ended
    cdef list noted
    cdef list frames
    cdef dict frame_numbers
    cdef list modules
    cdef dict module_numbers
    cdef dict places
    cdef dict entries
    cdef dict fresh
    cdef dict codes
    cdef dict older_codes
    cdef dict contents
    cdef dict by_thread
    cdef dict last_waits
    cdef Slot *scratch
    cdef sampler_segment *segments
    cdef int segment_count
    cdef bint refreshed
    cdef uint64_t interpreter_start
    cdef uint64_t interpreter_end
    cdef int signal
    cdef bint running
    cdef bint first_look
    cdef long own_thread
    cdef long process
    cdef int64_t begun
    cdef int64_t paused
    cdef double sampled_before
    cdef int64_t lost_before

    def __init__(self, interval=1e-3, spool=None):
        if not SHORTEST_INTERVAL <= interval <= LONGEST_INTERVAL:
            raise ValueError(
                f"interval must be from {SHORTEST_INTERVAL:g} to {LONGEST_INTERVAL:g} seconds, "
                f"got {interval:g}"
            )
        self.interval = interval
        self.spool = None if spool is None else os.fspath(spool)
        # A signal handler of the program may ask for samples in the midst of this.
        self.lock = _thread.RLock()
        self._forget()

    def _forget(self):
        self.writer = None
        self.noted = []
        self.frames, self.frame_numbers = [], {}
        self.modules, self.module_numbers, self.places = [], {}, {}
        self.entries, self.fresh = {}, {}
        self.codes, self.older_codes, self.contents = {}, {}, {}
        self.by_thread, self.last_waits = {}, {}
        self.lost_before = 0
        self.sampled_before = 0.0
        self.paused = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stop()
        return False

    def __dealloc__(self):
        free(self.segments)

    @property
    def seconds(self):
        """Wall-clock time sampled so far."""
        if not self.running or self.paused:
            return self.sampled_before
        return self.sampled_before + 1e-9 * (sampler_wall_time() - self.begun)

    @property
    def lost(self):
        """Samples that could not be kept; their time is in the next sample of the same thread."""
        lost = self.lost_before
        for number in self.by_thread.values():
            lost += slots[<int>number].lost
        return lost

    @property
    def notes(self):
        """What hindered the sampling, for people."""
        return tuple(self.noted)

    def start(self):
        """Begin anew: what was found before is forgotten.

        Raises
        ------
        RuntimeError
            If a sampler is running in this process already, or `why_unavailable` gives a reason.
        OSError
            If the spool cannot be written.
        """
        global current, slots, interval_nanoseconds, forks_watched
        if current is not None:
            raise RuntimeError("a sampler is running in this process already; stop it first")
        reason = why_unavailable()
        if reason is not None:
            raise RuntimeError(reason)
        self._forget()
        if self.spool is not None:
            self.writer = SpoolWriter(self.spool, self.interval)
        if slots == NULL:
            slots = <Slot *>sampler_map(MOST_SLOTS * sizeof(Slot))
            if slots == NULL:
                raise MemoryError("no memory for the sampler")
        interval_nanoseconds = <int64_t>(1e9 * self.interval)
        if not forks_watched:
            os.register_at_fork(after_in_child=_after_fork)
            forks_watched = True
        sampler_watch_exec(before_exec)
        # The last slot is for stacks that the drain reads; no thread has it.
        self.scratch = &slots[MOST_SLOTS - 1]
        if not give_ring(self.scratch, PYTHON_RING):
            raise MemoryError("no memory for the sampler")
        self.wake, self.ended = _thread.allocate_lock(), _thread.allocate_lock()
        self.wake.acquire()
        self.ended.acquire()
        ready = _thread.allocate_lock()
        ready.acquire()
        self.process = os.getpid()
        self.running = True
        self.first_look = True
        current = self
        _thread.start_new_thread(self._drain_until_stopped, (ready,))
        ready.acquire()
        with self.lock:
            self._arm()
        atexit.register(self.stop)

    def stop(self):
        """Stop sampling and give the signal back; nothing happens if the sampler is not running."""
        global current
        if not self.running or self.process != os.getpid():
            return
        with self.lock:
            if not self.running:
                return
            self.sampled_before = self.seconds
            self.running = False
            self._disarm()
            self._drain()
            self._read_waiting()
            self._place_rest()
            self._let_go()
            self._flush()
            current = None
        self.wake.release()
        self.ended.acquire()
        atexit.unregister(self.stop)

    def samples(self):
        """Return what was found so far.

        Returns
        -------
        list of Sample
            Equal samples added up; the longest first.
        """
        with self.lock:
            if self.running and not self.paused:
                self._drain()
            entries = [(key, time, count) for key, (time, count) in self.entries.items()]
            frames, modules = list(self.frames), list(self.modules)
        found = [
            Sample(
                key[0],
                tuple([frames[number] for number in key[4:]]),
                None if key[2] is None else modules[key[2]],
                key[3],
                time,
                key[1],
                count,
            )
            for key, time, count in entries
        ]
        return sorted(found, key=lambda sample: -sample.seconds)

    # The thread of the sampler

    def _drain_until_stopped(self, ready):
        sampler_block_signals()
        self.own_thread = sampler_thread()
        ready.release()
        cdef double pause = DRAIN_SECONDS
        cdef int64_t flushed = sampler_wall_time()
        cdef int64_t begun, cpu_begun
        while not self.wake.acquire(True, pause):
            with self.lock:
                if not self.running:
                    break
                begun, cpu_begun = sampler_wall_time(), sampler_cpu_time()
                if self.paused:
                    if 1e-9 * (begun - self.paused) < EXEC_SECONDS:
                        continue
                    # The exec failed: the program goes on, and so does this.
                    self.paused = 0
                    self._arm()
                if not sampler_is_installed(self.signal):
                    self._change_signal()
                self._drain()
                self._look_for_threads()
                self._read_waiting()
                if 1e-9 * (begun - flushed) >= FLUSH_SECONDS:
                    self._flush()
                    flushed = begun
                pause = max(DRAIN_SECONDS, 1e-9 * (sampler_cpu_time() - cpu_begun) / MOST_DRAINING)
                pause = min(pause, 20 * DRAIN_SECONDS)
        self.ended.release()

    cdef _note(self, str text):
        if text not in self.noted:
            self.noted.append(text)

    cdef _arm(self):
        """Take the signal, and give every thread its timers."""
        global sampler_active
        self.signal = sampler_free_signal(0)
        if not self.signal or sampler_install(self.signal, take, slots, MOST_SLOTS, sizeof(Slot)) != 0:
            self._note("nothing more is sampled: the program handles every real-time signal itself")
            return
        sampler_active = 1
        self.begun = sampler_wall_time()
        self._look_for_threads()

    cdef _disarm(self):
        """Delete all timers, and give the signal back."""
        global sampler_active
        for number in self.by_thread.values():
            sampler_delete_timer(slots[<int>number].cpu_timer)
            sampler_delete_timer(slots[<int>number].wall_timer)
        sampler_active = 0
        sampler_uninstall(self.signal)

    cdef _let_go(self):
        for number in self.by_thread.values():
            self._release(&slots[<int>number])
        self.by_thread = {}
        sampler_forget(self.scratch.ring, self.scratch.capacity * sizeof(uint64_t))

    cdef _release(self, Slot *slot):
        # The ring's memory goes back to the system, its addresses do not: a handler may be at work.
        self.lost_before += slot.lost
        slot.lost = 0
        slot.used = False
        sampler_forget(slot.ring, slot.capacity * sizeof(uint64_t))

    cdef _change_signal(self):
        self._note(f"the program set a handler of its own for signal {self.signal}; the sampler took another")
        self.sampled_before = self.seconds
        self._disarm()
        self._drain()
        self._let_go()
        self._arm()

    cdef _pause(self):
        """Stop for an exec: no signal must be on its way to the new program."""
        self.sampled_before = self.seconds
        self._disarm()
        self._drain()
        self._let_go()
        self._flush()
        self.paused = sampler_wall_time()

    cdef _look_for_threads(self):
        """Give new threads their timers, and forget those that have ended."""
        cdef int number
        cdef long numbers[MOST_SLOTS]
        cdef Slot *slot
        cdef set alive = set()
        cdef set python = set()
        cdef PyThreadState *state = PyInterpreterState_ThreadHead(PyInterpreterState_Get())
        while state != NULL:
            python.add(state.native_thread_id)
            state = PyThreadState_Next(state)
        for number in range(max(0, sampler_list_threads(numbers, MOST_SLOTS))):
            alive.add(numbers[number])
        alive.discard(self.own_thread)
        for thread in list(self.by_thread):
            slot = &slots[<int>self.by_thread[thread]]
            # A number is given again after its thread has ended: then the processor time starts anew.
            if thread not in alive or sampler_clock(slot.clock) + RECENT_NANOSECONDS < slot.sampled:
                sampler_delete_timer(slot.cpu_timer)
                sampler_delete_timer(slot.wall_timer)
                self._drain_slot(slot, thread, True)
                self._release(slot)
                del self.by_thread[thread]
                self.last_waits.pop(thread, None)
        for thread in alive:
            if thread not in self.by_thread:
                number = self._take_slot(thread, thread in python)
                if number >= 0:
                    self.by_thread[thread] = number
        self.first_look = False

    cdef int _take_slot(self, long thread, bint python) except -2:
        cdef int number
        cdef Slot *slot
        cdef int64_t now
        for number in range(MOST_SLOTS - 1):
            if not slots[number].used:
                break
        else:
            self._note(f"only {MOST_SLOTS - 1} threads are sampled at once; there are more")
            return -1
        slot = &slots[number]
        if not give_ring(slot, PYTHON_RING if python else WORKER_RING):
            self._note("a thread is not sampled: no memory for its samples")
            return -1
        slot.thread = thread
        slot.clock = sampler_clock_of(thread)
        now = sampler_clock(slot.clock)
        if now < 0:
            return -1
        # What ran before the sampler is not its business; a thread that began since is seen from its birth.
        slot.sampled = now if self.first_look else 0
        slot.wall_before = sampler_wall_time()
        slot.busy_before = now + sampler_queueing(thread)
        slot.waited = 0
        if sampler_make_timer(slot.clock, self.signal, thread, slot, 0, &slot.cpu_timer) != 0:
            # It may have ended just now.
            if sampler_clock(slot.clock) >= 0:
                self._note("a thread is not sampled: the system refuses a timer (see `ulimit -i`)")
            return -1
        if sampler_make_timer(slot.clock, self.signal, thread, slot, 1, &slot.wall_timer) != 0:
            sampler_delete_timer(slot.cpu_timer)
            return -1
        slot.used = True
        sampler_arm(slot.cpu_timer, interval_nanoseconds, 0)
        return number

    cdef _read_waiting(self):
        """Put the time that Python threads waited down to where they wait now."""
        cdef PyThreadState *state = PyInterpreterState_ThreadHead(PyInterpreterState_Get())
        cdef Slot *slot
        cdef int64_t now, busy, gone, idle
        # The states stay as they are while the interpreter lock is held, as it is in this loop: what it
        # finds goes to a ring first, with the thread in the place of the address.
        while state != NULL:
            number = self.by_thread.get(<long>state.native_thread_id)
            if number is not None:
                slot = &slots[<int>number]
                now = sampler_wall_time()
                busy = sampler_clock(slot.clock) + sampler_queueing(slot.thread)
                gone = now - slot.wall_before
                idle = gone - (busy - slot.busy_before)
                slot.wall_before, slot.busy_before = now, busy
                if idle > LEAST_WAITING * gone:
                    slot.waited += idle
                if slot.waited and sampler_is_asleep(slot.thread):
                    if capture(self.scratch, state, <uint64_t>slot.thread, slot.waited):
                        slot.waited = 0
            state = PyThreadState_Next(state)
        self._drain_slot(self.scratch, None, False)

    cdef _place_rest(self):
        """Put what a thread waited since it was last seen waiting down to that place, if there is one."""
        for thread, number in self.by_thread.items():
            if slots[<int>number].waited:
                key = self.last_waits.get(thread, (thread, False, None, 0))
                self._sum_up(key, 1e-9 * slots[<int>number].waited, 0)

    # From rings to sums

    cdef _drain(self):
        global period
        self.refreshed = False
        # From here on the handlers define every code object again: another may stand at its address.
        sampler_store(&period, period + 1)
        if len(self.contents) > MOST_CODES:
            self.older_codes, self.codes, self.contents = self.codes, {}, {}
        for thread, number in self.by_thread.items():
            self._drain_slot(&slots[<int>number], thread, True)

    cdef _drain_slot(self, Slot *slot, thread, bint running):
        cdef int64_t end = sampler_load(&slot.written)
        cdef uint64_t *record
        cdef uint64_t head
        while slot.taken < end:
            record = slot.ring + slot.taken % slot.capacity
            head = record[0]
            if head >> 32 == 0:
                # The slot's last thread was still in its handler when the ring was given to this one.
                sampler_store(&slot.taken, end)
                return
            if head & 0xFF == SAMPLE:
                if not running:
                    thread = record[1]
                    record[1] = 0
                self._add(record, (head >> 8) & 0xFF, thread, running)
            elif head & 0xFF == DEFINITION:
                self._define(record)
            sampler_store(&slot.taken, slot.taken + <int64_t>(head >> 32))

    cdef _define(self, uint64_t *record):
        cdef Py_ssize_t place = 3
        identity = record[1]
        content = (<char *>(record + 2))[:8 * ((record[0] >> 32) - 2)]
        code = self.contents.get(content)
        if code is None:
            texts = []
            for _ in range(3):
                size, width = record[place] & 0xFFFFFFFF, record[place] >> 32
                data = (<char *>(record + place + 1))[:size]
                if width:
                    encoding = ENCODINGS[width] + (BYTE_ORDER if width > 1 else "")
                    data = data.decode(encoding, "surrogatepass" if width > 1 else "strict")
                texts.append(data)
                place += 1 + (size + 7) // 8
            table = texts[2] if isinstance(texts[2], bytes) else b""
            code = self.contents[content] = _CodeLines(str(texts[0]), str(texts[1]), record[2], table)
        self.codes[identity] = code

    cdef _frame_number(self, _CodeLines code, instruction):
        line = code.line_at(instruction)
        frame = (code.filename, code.function, line, code.first_line)
        number = self.frame_numbers.get(frame)
        if number is None:
            if len(self.frames) == MOST_LINES:
                self._note(f"lines beyond the first {MOST_LINES} are not told apart")
                frame = (MANY_LINES.filename, "", 0, 0)
            number = self.frame_numbers.setdefault(frame, len(self.frames))
            if number == len(self.frames):
                self.frames.append(Frame(*frame))
        code.seen[instruction] = number
        return number

    cdef _add(self, uint64_t *record, int count, thread, bint running):
        cdef int place
        cdef _CodeLines code
        cdef list key
        cdef uint64_t address = record[1]
        cdef double seconds = 1e-9 * <int64_t>record[2]
        if address == 0 or self.interpreter_start <= address < self.interpreter_end:
            module, offset = None, 0
        else:
            module, offset = self._place(address)
        key = [thread, running, module, offset]
        for place in range(count):
            code = self.codes.get(record[3 + 2 * place])
            if code is None:
                code = self.older_codes.get(record[3 + 2 * place])
                if code is None:
                    break
            number = code.seen.get(record[4 + 2 * place])
            if number is None:
                number = self._frame_number(code, record[4 + 2 * place])
            key.append(number)
        if len(self.entries) >= MOST_ENTRIES and tuple(key) not in self.entries:
            self._note(f"stacks beyond the first {MOST_ENTRIES} are kept by their innermost line only")
            key = [thread, running, None, 0, *key[4:5]]
        whole = tuple(key)
        self._sum_up(whole, seconds, 1)
        if not running:
            self.last_waits[thread] = whole

    cdef _sum_up(self, tuple key, double seconds, int count):
        cdef list entry
        for sums in (self.entries, self.fresh) if self.writer is not None else (self.entries,):
            entry = sums.get(key)
            if entry is None:
                sums[key] = [seconds, count]
            else:
                entry[0] += seconds
                entry[1] += count

    cdef _place(self, uint64_t address):
        """Return the number of the module at an address, and the address as its line table has it."""
        cdef int number
        found = self.places.get(address)
        if found is not None:
            return found
        while True:
            for number in range(self.segment_count):
                if self.segments[number].start <= address < self.segments[number].end:
                    module = self._module(self.segments[number].path.decode(errors="surrogateescape"))
                    if self.interpreter_start <= address < self.interpreter_end:
                        return None, 0
                    found = (module, address - self.segments[number].base)
                    self.places[address] = found
                    return found
            if self.refreshed:
                return self._module(GENERATED), 0
            self._read_segments()

    cdef _module(self, str path):
        if path != GENERATED:
            path = os.path.abspath(path) if path else os.readlink("/proc/self/exe")
        number = self.module_numbers.setdefault(path, len(self.modules))
        if number == len(self.modules):
            self.modules.append(path)
        return number

    cdef _read_segments(self):
        """List the modules of the process anew: they are loaded at any time."""
        cdef int count, capacity = 256
        cdef uint64_t interpreter = sampler_interpreter()
        while True:
            free(self.segments)
            self.segments = <sampler_segment *>malloc(capacity * sizeof(sampler_segment))
            if self.segments == NULL:
                self.segment_count = 0
                raise MemoryError("no memory for the list of modules")
            # The loader's lock is taken: who holds it may be waiting for the interpreter's.
            with nogil:
                count = sampler_list_segments(self.segments, capacity)
            if count <= capacity:
                break
            capacity = 2 * count
        self.segment_count = count
        self.refreshed = True
        for number in range(count):
            if self.segments[number].start <= interpreter < self.segments[number].end:
                self.interpreter_start = self.segments[number].start
                self.interpreter_end = self.segments[number].end

    cdef _flush(self):
        if self.writer is None:
            return
        rows = [[key[0], int(key[1]), key[2], key[3], time, count, key[4:]]
                for key, (time, count) in self.fresh.items()]
        try:
            self.writer.write(
                self.frames, self.modules, rows, seconds=self.seconds, lost=self.lost, notes=self.noted
            )
        except OSError as error:
            self._note(f"the spool could not be written: {error}")
        else:
            self.fresh = {}


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


def _after_fork():
    """Make the sampler of a forked child inert: the timers and the draining thread stay with the parent."""
    global current, sampler_active
    cdef Sampler sampler = current
    sampler_active = 0
    if sampler is not None:
        current = None
        sampler_uninstall(sampler.signal)
        sampler.sampled_before = sampler.seconds
        sampler.running = False
        sampler.writer = None
        for number in sampler.by_thread.values():
            slots[<int>number].used = False
        sampler.by_thread = {}
        sampler.lock = _thread.RLock()
        atexit.unregister(sampler.stop)


cdef int before_exec() noexcept:
    cdef Sampler sampler = current
    if sampler is not None:
        with sampler.lock:
            if sampler.running and not sampler.paused:
                sampler._pause()
    return 0
