"""A simulator of data caches: set-associative, true LRU, write-allocate, one level behind the other.

A level is asked only for what the level before it misses, and nothing is taken out of a level because
another one evicts it: the model of cachegrind, with a level more. Not modelled: prefetching, the traffic
of lines written back, and the translation of addresses.

What is simulated is a small program of loops, assignments and accesses, not a recorded list of
addresses, so that the innermost loops run here and a simulation never needs the memory for a list.
`profiling.model.loop_nest` makes such programs from ``.pyx`` source.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

include "lru_sets.pxi"

cdef enum:
    VARIABLES = 16
    LEVELS = 4
    STREAMS = 16
    SIGNALS_EVERY = 1 << 24

MAX_VARIABLES = VARIABLES
"""Most variables of a program."""

# Kinds of operations, with their fields:
#   ACCESS slot form               the address is a form
#   SET    variable first last     the least of the forms from `first` to before `last`
#   LOOP   variable low high step end      low and high are variables' forms, step a number,
#                                          `end` the index of the first operation after the body
cdef enum:
    ACCESS = 0
    SET = 1
    LOOP = 2
    FIELDS = 6


cdef struct Form:
    int64_t constant
    int64_t[VARIABLES] factors


cdef struct Program:
    const int64_t *operations       # FIELDS numbers each
    const Form *forms
    int64_t[VARIABLES] values


cdef inline int64_t value_of(const Form *form, const int64_t *values) noexcept nogil:
    cdef int64_t total = form.constant
    cdef int place
    for place in range(VARIABLES):
        total += form.factors[place] * values[place]
    return total


cdef class _Machine:
    """The levels and the counters; the part of a simulation that stays from run to run."""

    cdef Level[LEVELS] levels
    cdef int depth
    cdef int shift
    cdef Py_ssize_t slots
    cdef int64_t *counters          # of each slot: accesses, then the misses of each level
    cdef int64_t total
    cdef int64_t next_signal
    cdef bint counting_only
    cdef object on_progress

    def __dealloc__(self):
        cdef int place
        for place in range(LEVELS):
            free(self.levels[place].tags)
        free(self.counters)

    cdef int tick(self) except -1 nogil:
        self.next_signal = self.total + SIGNALS_EVERY
        with gil:
            PyErr_CheckSignals()
            if self.on_progress is not None:
                self.on_progress(self.total)
        return 0

    cdef void look_further(self, int64_t *counters, uint32_t line) noexcept nogil:
        """Count a miss of the first level, and ask the next ones."""
        cdef int place
        counters[1] += 1
        for place in range(1, self.depth):
            if not level_misses(&self.levels[place], line):
                return
            counters[place + 1] += 1

    cdef int run_block(self, Program *program, Py_ssize_t first, Py_ssize_t last) except -1 nogil:
        cdef const int64_t *operation
        cdef int64_t low, high, step, value
        cdef Py_ssize_t place = first
        cdef Py_ssize_t inner
        cdef bint only_accesses
        while place < last:
            operation = program.operations + place * FIELDS
            place += 1
            if operation[0] == ACCESS:
                self.one_access(operation, program)
            elif operation[0] == SET:
                value = value_of(&program.forms[operation[2]], program.values)
                for inner in range(operation[2] + 1, operation[3]):
                    value = min(value, value_of(&program.forms[inner], program.values))
                program.values[operation[1]] = value
            else:
                low = value_of(&program.forms[operation[2]], program.values)
                high = value_of(&program.forms[operation[3]], program.values)
                step = operation[4]
                only_accesses = operation[5] - place <= STREAMS
                for inner in range(place, operation[5]):
                    if program.operations[inner * FIELDS] != ACCESS:
                        only_accesses = False
                if only_accesses:
                    self.walk(program, place, operation[5], operation[1], low, high, step)
                else:
                    while low < high:
                        program.values[operation[1]] = low
                        self.run_block(program, place, operation[5])
                        low += step
                place = operation[5]
            if self.total >= self.next_signal:
                self.tick()
        return 0

    cdef void one_access(self, const int64_t *operation, Program *program) noexcept nogil:
        cdef int64_t address
        cdef int64_t *counters
        self.total += 1
        if not self.counting_only:
            address = value_of(&program.forms[operation[2]], program.values)
            counters = self.counters + operation[1] * (LEVELS + 1)
            counters[0] += 1
            if level_misses(&self.levels[0], <uint32_t> (address >> self.shift)):
                self.look_further(counters, <uint32_t> (address >> self.shift))

    cdef int walk(
        self, Program *program, Py_ssize_t first, Py_ssize_t last, int64_t variable,
        int64_t low, int64_t high, int64_t step,
    ) except -1 nogil:
        """Run an innermost loop: each of its accesses is a stream of addresses at one distance."""
        cdef int64_t[STREAMS] addresses
        cdef int64_t[STREAMS] strides
        cdef int64_t *counters[STREAMS]
        cdef const int64_t *operation
        cdef const Form *form
        cdef int64_t count = (high - low + step - 1) // step if high > low else 0
        cdef Py_ssize_t streams = last - first
        cdef Py_ssize_t place
        # Copies that the compiler may keep in registers.
        cdef int shift = self.shift
        cdef Level nearest = self.levels[0]
        cdef uint32_t line
        if not count:
            return 0
        self.total += count * streams
        if self.counting_only:
            return 0
        program.values[variable] = low
        for place in range(streams):
            operation = program.operations + (first + place) * FIELDS
            form = &program.forms[operation[2]]
            addresses[place] = value_of(form, program.values)
            strides[place] = form.factors[variable] * step
            counters[place] = self.counters + operation[1] * (LEVELS + 1)
            counters[place][0] += count
        while count > 0:
            count -= 1
            for place in range(streams):
                line = <uint32_t> (addresses[place] >> shift)
                addresses[place] += strides[place]
                if level_misses(&nearest, line):
                    self.look_further(counters[place], line)
        return 0


cdef class Simulator(_Machine):
    """Data caches that count what misses them.

    Parameters
    ----------
    levels : sequence of (sets, ways)
        From the one nearest to the core, at most four. Any number of sets is possible; a power of two is
        faster.
    line : int
        Bytes of a line, a power of two, the same in all levels.
    slots : int
        Number of counters; each access of a program names the one it is counted in.

    Raises
    ------
    ValueError
        For no level or more than four, sizes below 1, or a line that is not a power of two.
    MemoryError
        If the levels need more memory than there is: 4 bytes for each line that they hold.

    Examples
    --------
    Sixteen numbers of 8 bytes, one after the other, twice: two lines of 64 bytes are missed once.

    >>> simulator = Simulator([(64, 8)], line=64, slots=1)
    >>> forms = [(0,), (2,), (16,), (64, 0, 8)]
    >>> simulator.run([(2, 0, 0, 1, 1, 3), (2, 1, 0, 2, 1, 3), (0, 0, 3)], forms)
    32
    >>> simulator.counts()
    [(32, 2)]
    """

    def __init__(self, levels, line, slots):
        if not 1 <= len(levels) <= LEVELS:
            raise ValueError(f"expected 1 to {LEVELS} levels of caches, got {len(levels)}")
        if line < 1 or line & (line - 1):
            raise ValueError(f"the bytes of a cache line must be a power of two, not {line}")
        if slots < 1:
            raise ValueError(f"a simulation needs at least one slot to count in, not {slots}")
        if self.counters != NULL:
            raise RuntimeError("this simulator is made already")
        self.shift = line.bit_length() - 1
        self.slots = slots
        self.counters = <int64_t *> calloc(slots * (LEVELS + 1), sizeof(int64_t))
        if self.counters == NULL:
            raise MemoryError(f"no memory for {slots} counters")
        for place, (sets, ways) in enumerate(levels):
            if sets < 1 or ways < 1:
                raise ValueError(f"a cache has at least 1 set of 1 way, not {sets} of {ways}")
            self.levels[place].tags = <uint32_t *> calloc(sets * ways, sizeof(uint32_t))
            if self.levels[place].tags == NULL:
                raise MemoryError(f"no memory for the tags of {sets} sets of {ways} ways")
            self.levels[place].sets = sets
            self.levels[place].ways = ways
            self.levels[place].mask = -1 if sets & (sets - 1) else sets - 1
            self.depth = place + 1

    def run(self, operations, forms, *, on_progress=None):
        """Run a program on the caches as they are.

        Parameters
        ----------
        operations : sequence of tuple of int
            ``(0, slot, form)``: access the address that a form gives. ``(1, variable, first, last)``: set a
            variable to the least of the forms from `first` to before `last`. ``(2, variable, low, high,
            step, end)``: a loop from the form `low` to before the form `high`, whose body goes on to before
            the operation `end`.
        forms : sequence of tuple of int
            ``(constant, factor, factor, ...)``: a constant plus a factor times each variable; missing
            factors are 0. Addresses are in bytes, 1 line or more, below 2**32 lines.
        on_progress : callable, optional
            Called with the number of accesses so far, about ten times a second.

        Returns
        -------
        int
            Accesses of this run.

        Raises
        ------
        ValueError
            If the program names a slot, form or variable that is not there.

        Examples
        --------
        >>> simulator = Simulator([(1, 2)], line=64, slots=1)
        >>> simulator.run([(0, 0, 0)], [(128,)])
        1
        >>> simulator.run([(0, 0, 0)], [(128,)])
        1
        >>> simulator.counts()
        [(2, 1)]
        """
        self.on_progress = on_progress
        return execute(self, operations, forms, self.slots)

    def counts(self):
        """Return what was counted so far.

        Returns
        -------
        list of tuple of int
            For each slot its accesses, then the misses of each level.

        Examples
        --------
        >>> Simulator([(64, 8), (1024, 8)], line=64, slots=2).counts()
        [(0, 0, 0), (0, 0, 0)]
        """
        return [
            tuple(self.counters[slot * (LEVELS + 1) + place] for place in range(self.depth + 1))
            for slot in range(self.slots)
        ]

    def clear(self):
        """Empty the caches and set the counters to zero.

        Examples
        --------
        >>> simulator = Simulator([(1, 2)], line=64, slots=1)
        >>> _ = simulator.run([(0, 0, 0)], [(128,)])
        >>> simulator.clear()
        >>> simulator.counts()
        [(0, 0)]
        """
        cdef int place
        for place in range(self.depth):
            memset(
                self.levels[place].tags, 0,
                self.levels[place].sets * self.levels[place].ways * sizeof(uint32_t),
            )
        memset(self.counters, 0, self.slots * (LEVELS + 1) * sizeof(int64_t))


def count_accesses(operations, forms):
    """Return how many accesses a program makes, without simulating them.

    Parameters
    ----------
    operations, forms : sequence of tuple of int
        As for `Simulator.run`.

    Returns
    -------
    int
        Accesses.

    Raises
    ------
    ValueError
        If the program names a form or variable that is not there.

    Examples
    --------
    >>> count_accesses([(2, 0, 0, 1, 1, 2), (0, 0, 0)], [(64,), (1000,)])
    936
    """
    cdef _Machine machine = _Machine()
    machine.counting_only = True
    slots = [operation[1] for operation in operations if operation[0] == ACCESS]
    return execute(machine, operations, forms, max(slots, default=0) + 1)


cdef execute(_Machine machine, operations, forms, Py_ssize_t slots):
    check_program(operations, forms, slots)
    cdef Program program
    cdef Py_ssize_t length = len(operations)
    cdef int64_t *steps = <int64_t *> calloc(max(1, length) * FIELDS, sizeof(int64_t))
    cdef Form *table = <Form *> calloc(max(1, len(forms)), sizeof(Form))
    try:
        if steps == NULL or table == NULL:
            raise MemoryError("no memory for the program")
        for row, operation in enumerate(operations):
            for place, value in enumerate(operation):
                steps[row * FIELDS + place] = value
        for row, form in enumerate(forms):
            table[row].constant = form[0]
            for place, value in enumerate(form[1:]):
                table[row].factors[place] = value
        memset(program.values, 0, sizeof(program.values))
        program.operations = steps
        program.forms = table
        machine.total = 0
        machine.next_signal = SIGNALS_EVERY
        with nogil:
            machine.run_block(&program, 0, length)
        return machine.total
    finally:
        free(steps)
        free(table)


cdef check_program(operations, forms, Py_ssize_t slots):
    """Raise where a program would reach beyond its tables."""
    for form in forms:
        if not 1 <= len(form) <= VARIABLES + 1:
            raise ValueError(f"a form has a constant and at most {VARIABLES} factors, got {form}")
    for row, operation in enumerate(operations):
        kind = operation[0]
        if kind == ACCESS:
            good = len(operation) == 3 and 0 <= operation[1] < slots and 0 <= operation[2] < len(forms)
        elif kind == SET:
            good = len(operation) == 4 and 0 <= operation[2] < operation[3] <= len(forms)
        else:
            good = len(operation) == 6 and kind == LOOP and operation[4] >= 1
            good = good and 0 <= operation[2] < len(forms) and 0 <= operation[3] < len(forms)
            good = good and row < operation[5] <= len(operations)
        if not good or (kind != ACCESS and not 0 <= operation[1] < VARIABLES):
            raise ValueError(f"operation {row} of the program is not possible: {operation}")
