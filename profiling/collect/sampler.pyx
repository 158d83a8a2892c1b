"""A sampling profiler that runs inside the process, at native speed, over all its threads.

A timer of each thread interrupts it about every millisecond of its processor time. The signal handler
notes the native instruction and the Python frames of that thread in a ring of its own; a thread of the
sampler empties the rings, adds up equal samples, and looks for new threads. What waiting threads wait
at is read by the same thread under the interpreter lock, so a waiting thread is hardly ever disturbed.

The sum of the running samples of a thread is its processor time; the sum of its waiting samples is the
time it was neither on a processor nor queueing for one.

Processes that the program starts are not sampled. ``sampler_platform.pxi`` holds what depends on the
system and on the version of Python, ``sampler_stack.pxi`` what happens in the signal handler,
``sampler_sums.pxi`` how its records become sums, ``sampler_modules.pxi`` which module an address is in.
"""

import _thread
import atexit
import os

from .samples import Sample
from .spool import SpoolWriter

include "sampler_platform.pxi"
include "sampler_stack.pxi"
include "sampler_modules.pxi"
include "sampler_sums.pxi"

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

SHORTEST_INTERVAL = 1e-4
LONGEST_INTERVAL = 1.0

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
    cdef _Sums sums
    cdef dict by_thread
    cdef Slot *scratch
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
        self.sums = _Sums(self.noted)
        self.by_thread = {}
        self.lost_before = 0
        self.sampled_before = 0.0
        self.paused = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stop()
        return False

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
            self.sums.fresh = {}
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
            entries = [(key, time, count) for key, (time, count) in self.sums.entries.items()]
            frames, modules = list(self.sums.frames), list(self.sums.modules.paths)
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
        # Soon at first: a program may be killed before it has run for a second.
        cdef double wait = FLUSH_SECONDS / 8
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
                if 1e-9 * (begun - flushed) >= wait:
                    self._flush()
                    flushed = begun
                    wait = min(2 * wait, FLUSH_SECONDS)
                pause = max(DRAIN_SECONDS, 1e-9 * (sampler_cpu_time() - cpu_begun) / MOST_DRAINING)
                pause = min(pause, 20 * DRAIN_SECONDS)
        self.ended.release()

    cdef _note(self, str text):
        note(self.noted, text)

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
                self.sums.drain(slot, thread, True)
                self._release(slot)
                del self.by_thread[thread]
                self.sums.last_waits.pop(thread, None)
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
        slot.sleeps = -1
        slot.random = <uint64_t>thread << 16 | 1
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
        self.sums.drain(self.scratch, None, False)

    cdef _place_rest(self):
        """Put what a thread waited since it was last seen waiting down to that place, if there is one."""
        for thread, number in self.by_thread.items():
            if slots[<int>number].waited:
                self.sums.prolong_wait(thread, 1e-9 * slots[<int>number].waited)

    cdef _drain(self):
        self.sums.begin_period()
        for thread, number in self.by_thread.items():
            self.sums.drain(&slots[<int>number], thread, True)

    cdef _flush(self):
        if self.writer is None:
            return
        rows = [[key[0], int(key[1]), key[2], key[3], time, count, key[4:]]
                for key, (time, count) in self.sums.fresh.items()]
        try:
            self.writer.write(
                self.sums.frames,
                self.sums.modules.paths,
                rows,
                seconds=self.seconds,
                lost=self.lost,
                notes=self.noted,
            )
        except OSError as error:
            self._note(f"the spool could not be written: {error}")
        else:
            self.sums.fresh = {}


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
