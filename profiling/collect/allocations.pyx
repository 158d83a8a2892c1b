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

By lines, each request is put down to the innermost wanted one of its thread: a Python frame's, or that of
a call in a compiled Cython module with line information. No line is traced, so the code runs at its own
speed. Not seen: Python objects, and memory that other libraries or compiled kernels
take from the C library themselves.
"""

cimport cython
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

import functools
import json
import operator
import sys

from tensorops.runtime.workspace import statistics

from .allocation_records import LineAllocations, WorkMemory, function_name, wanted_files, write_whole
from .compiled_modules import CompiledLines, wanted_by_name

include "_live_blocks.pxi"
include "_running_frames.pxi"
include "_native_callers.pxi"
include "_recorded_requests.pxi"
include "_exchanged_handlers.pxi"

MIN_BYTES = 64
"""Smaller buffers are left out by default: ``a * 2`` makes two of 8 bytes for the number."""

SCHEMA = 1


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
    cdef object verdict
    cdef object compiled
    cdef object no_callers
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
        state.cut_short = 0
        clear_native(&state.native)
        self.codes, self.places, self.sources = {}, {}, []
        self.verdict = self.compiled = self.no_callers = None
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
            if state.by_line:
                self.look_at_compiled_code()
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
            clear_native(&state.native)
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
        clear_native(&self.state.native)
        if self.state.unfollowed:
            self.remarks.append(
                f"{self.state.unfollowed} buffers are in count and bytes only: there was no memory to "
                "follow them."
            )
        if self.state.cut_short:
            self.remarks.append(
                f"{self.state.cut_short} buffers may be on a Python line instead of the compiled line that "
                "it called: code between them cannot be walked through."
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
        clear_native(&self.state.native)
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
        filename = code.co_filename
        if self.verdict(filename):
            number = PyCode_Addr2Line(<PyCodeObject *>code, instruction)
            place = self.place_of(
                filename, function_name(code.co_qualname), code.co_firstlineno if number < 0 else number
            )
        # Kept, so that no other code can come to stand at its address.
        self.codes[id(code)] = code
        return self.remember(<PyObject *>code, instruction, place)

    cdef bint look_up_call(self, size_t address) except *:
        """Find out which wanted line of compiled code a call is of, if any."""
        cdef int place = UNWANTED
        module, offset = module_of(address)
        line = self.compiled.at(module, offset)
        if line is not None:
            filename, function, _, number = line
            place = self.place_of(filename, function, number)
        return self.remember(<void *>address, NATIVE, place)

    cdef bint remember(self, void *code, int instruction, int place) noexcept:
        cdef bint added = False
        take_lock()
        if self.state.sites.places != NULL:
            added = add_site(&self.state.sites, code, instruction, place)
        give_lock()
        return added

    cdef look_at_compiled_code(self):
        """Prepare to find lines of compiled code, or note why that cannot be."""
        cdef const char *reason = prepare_unwinder()
        self.verdict = functools.cache(self.is_wanted)
        self.compiled = CompiledLines(self.verdict)
        if reason != NULL:
            self.no_callers = reason.decode()
            return
        try:
            self.look_for_modules()
        except Exception as error:
            self.failure = error.with_traceback(None)

    cdef bint look_for_modules(self) except *:
        """Find the modules whose compiled code has wanted lines, among those that are loaded now."""
        take_modules(&self.state.native, self.compiled.may_have)
        if self.state.native.newest == NULL:
            self.remarks.append("Compiled modules that were loaded later have no lines: nothing told that.")
        return True

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
        if self.failure is not None:
            return (*self.remarks, f"No lines: {self.why_no_lines()}.")
        if self.compiled is None:
            return tuple(self.remarks)
        notes = [*self.remarks, *self.compiled.notes]
        hidden = [] if self.no_callers is None else wanted_by_name(self.verdict, sys.modules)
        if hidden:
            notes.append(
                f"Lines of compiled code ({', '.join(hidden)}) cannot be told: {self.no_callers}. The Python "
                "lines that called it stand for them."
            )
        return tuple(notes)

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
        should only look at the name. It is also asked about the sources of compiled Cython modules, and
        about these modules where a source is not beside its module.

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

    Lines of a ``.pyx`` file are known if its module was built with ``emit_linenums=True`` and ``-g1``, on
    Linux with CPython 3.11 to 3.13; otherwise the Python line that called the module stands for them, and
    the counter's notes say so. The first request of such a line takes some milliseconds, while its address
    is looked up. The toolkit's own counters have no lines.

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
