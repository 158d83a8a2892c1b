# Which module of the process a native instruction belongs to, and where its line table has it.

from libc.stdlib cimport free, malloc

import os

GENERATED = "<generated code>"


cdef class _Modules:
    """The loaded modules, numbered as they are met."""

    cdef readonly list paths
    cdef readonly dict numbers
    cdef readonly dict places
    cdef sampler_segment *segments
    cdef int segment_count
    # Whether the segments were listed in this drain already.
    cdef bint refreshed
    cdef uint64_t interpreter_start
    cdef uint64_t interpreter_end

    def __init__(self):
        self.paths = []
        self.numbers = {}
        self.places = {}

    def __dealloc__(self):
        free(self.segments)

    cdef place(self, uint64_t address):
        """Return the number of the module at an address, and the address as its line table has it."""
        cdef int number
        found = self.places.get(address)
        if found is not None:
            return found
        while True:
            for number in range(self.segment_count):
                if self.segments[number].start <= address < self.segments[number].end:
                    module = self.number_of(self.segments[number].path.decode(errors="surrogateescape"))
                    if self.interpreter_start <= address < self.interpreter_end:
                        return None, 0
                    found = (module, address - self.segments[number].base)
                    self.places[address] = found
                    return found
            if self.refreshed:
                return self.number_of(GENERATED), 0
            self.read_segments()

    cdef number_of(self, str path):
        if path != GENERATED:
            path = os.path.abspath(path) if path else os.readlink("/proc/self/exe")
        number = self.numbers.setdefault(path, len(self.paths))
        if number == len(self.paths):
            self.paths.append(path)
        return number

    cdef read_segments(self):
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
