# The counters: whom they concern, and what they add up.


cdef class Counter:
    """Adds up the calls made in the context that started it and in threads begun meanwhile.

    Parameters
    ----------
    numpy_calls : bool
        Whether NumPy's calls count beside the library's.
    wanted : callable or None
        ``wanted(filename) -> bool``: put calls down to lines of these files as well.
    """

    cdef Total *totals
    cdef int capacity
    cdef readonly bint active
    cdef bint numpy_calls
    cdef object wanted
    cdef dict codes
    cdef dict lines
    cdef uint64_t newest_thread

    def __init__(self, numpy_calls=True, wanted=None):
        self.numpy_calls = numpy_calls
        self.wanted = wanted
        self.codes = {}
        self.lines = {}

    def __dealloc__(self):
        free(self.totals)

    def start(self):
        """Begin to count; a counter that has counted before begins at zero."""
        global active_count, numpy_users
        if self.active:
            raise RuntimeError("this counter is entered already")
        if self.totals != NULL:
            memset(self.totals, 0, self.capacity * STATES * sizeof(Total))
        self.lines = {}
        self.newest_thread = newest_thread()
        inherited = tuple(counter for counter in counters_here() if (<Counter>counter).active)
        self.active = True
        _active.append(self)
        active_count = len(_active)
        find_oldest()
        PyContextVar_Set(_counters, (*inherited, self))
        if self.numpy_calls:
            numpy_users += 1
            if numpy_users == 1:
                exchange(True)

    def stop(self):
        """End it, in this context or another."""
        global active_count, numpy_users
        if not self.active:
            return
        self.active = False
        _active.remove(self)
        active_count = len(_active)
        find_oldest()
        if self.numpy_calls:
            numpy_users -= 1
            if numpy_users == 0:
                exchange(False)
        here = _counters.get(())
        if self in here:
            PyContextVar_Set(_counters, tuple(counter for counter in here if counter is not self))

    def figures(self):
        """Return ``(row, state, calls, flops, bytes)`` of all rows with calls.

        The state is 0 where FLOPs and bytes are known, 1 where bytes alone are, 2 where neither is.
        """
        cdef int place
        found = []
        for place in range(self.capacity * STATES):
            if self.totals[place].calls:
                found.append((
                    place // STATES, place % STATES,
                    self.totals[place].calls, self.totals[place].flops, self.totals[place].bytes,
                ))
        return found

    def figures_of_lines(self):
        """Return ``(filename, function, line, row, state, calls, flops, bytes)`` of all lines with calls.

        The function is the code's qualified name. A line that calls in several places comes several times.
        """
        found = []
        # dict.copy() makes one step of it: another thread may be counting.
        for (address, instruction, place), figures in self.lines.copy().items():
            code = self.codes[address][0]
            line = PyCode_Addr2Line(<PyCodeObject *><PyObject *>code, instruction)
            found.append((
                code.co_filename, code.co_qualname, line, place // STATES, place % STATES, *figures,
            ))
        return found

    cdef bint add(self, int row, int state, int64_t flops, int64_t size) noexcept:
        """Add a call; False, with an error set, if Ctrl-C came in between."""
        cdef Total *total
        if row >= self.capacity and not self.grow(row + 64):
            return True
        total = &self.totals[row * STATES + state]
        total.calls += 1
        total.flops += flops
        total.bytes += size
        return self.wanted is None or self.add_to_lines(row * STATES + state, flops, size)

    cdef bint grow(self, int capacity) noexcept:
        """Make room for more rows; False where there is no memory: then the call is not counted."""
        cdef Total *larger = <Total *>realloc(self.totals, capacity * STATES * sizeof(Total))
        if larger == NULL:
            return False
        memset(&larger[self.capacity * STATES], 0, (capacity - self.capacity) * STATES * sizeof(Total))
        self.totals = larger
        self.capacity = capacity
        return True

    cdef bint add_to_lines(self, int place, int64_t flops, int64_t size) noexcept:
        """Add to a line; a predicate that fails leaves the call without one."""
        interruption = None
        try:
            self.add_to_line(place, flops, size)
        except Exception:
            return True
        except BaseException as error:
            interruption = error
        if interruption is None:
            return True
        raise_again(interruption)
        return False

    cdef int add_to_line(self, int place, int64_t flops, int64_t size) except -1:
        """Add to the running line of the innermost wanted frame, if there is one."""
        cdef Frame *frame = innermost_frame()
        cdef int instruction
        while frame != NULL:
            owner = <object><PyObject *>frame_code(frame)
            instruction = frame_instruction(frame)
            # By address: a code object's own hash is that of its contents. What is kept stays where it is.
            address = <uintptr_t><PyObject *>owner
            code = self.codes.get(address)
            if code is None:
                # The file's predicate may run any Python code, but the frames below this one are waiting.
                code = self.codes[address] = (owner, bool(self.wanted(owner.co_filename)))
            if code[1]:
                figures = self.lines.get((address, instruction, place))
                if figures is None:
                    figures = self.lines[address, instruction, place] = [0, 0, 0]
                figures[0] += 1
                figures[1] += flops
                figures[2] += size
                return 0
            frame = outer_frame(frame)
        return 0


cdef uint64_t newest_thread() noexcept:
    """Return the greatest number of any living thread: later threads get greater ones."""
    cdef uint64_t newest = 0
    cdef PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get())
    while thread != NULL:
        newest = max(newest, PyThreadState_GetID(thread))
        thread = PyThreadState_Next(thread)
    return newest


cdef int find_oldest() except -1:
    global oldest_start
    oldest_start = min([(<Counter>counter).newest_thread for counter in _active], default=0)
    return 0


cdef tuple counters_here():
    """Return the counters of this context; of this thread, if nobody has said anything in the context."""
    cdef uint64_t number
    here = _counters.get(None)
    if here is None:
        number = PyThreadState_GetID(PyThreadState_Get())
        here = tuple([counter for counter in _active if (<Counter>counter).newest_thread < number])
    return here


cdef PyObject *concerned() noexcept:
    """Return a new reference to the counters of a call made here, or NULL where there are none."""
    cdef PyObject *here = NULL
    if active_count == 0:
        return NULL
    PyContextVar_Get(_counters, NULL, &here)
    if here == NULL and PyThreadState_GetID(PyThreadState_Get()) > oldest_start:
        found = counters_here()
        # From now on the context itself says so.
        PyContextVar_Set(_counters, found)
        Py_INCREF(found)
        here = <PyObject *>found
    if here != NULL and PyTuple_GET_SIZE(here) == 0:
        Py_XDECREF(here)
        return NULL
    return here


cdef void raise_again(object error) noexcept:
    """Make an error the one that the C function under way returns with."""
    kind = type(error)
    PyErr_SetObject(<PyObject *>kind, <PyObject *>error)
