"""What keeps a call from going straight to its kernel: one word that every call looks at.

A profiler that counts the calls is one such reason. A public operation then leaves its fast path and
says, before it does anything else::

    if calls.to_be_told():
        return calls.told("matmul", matmul, (a, b), {"out": out, "backend": backend})

`told` makes the same call once more, now as an inner one, and tells the listener of it when it has
succeeded. Whatever the operation calls on its way, of this library or of NumPy, is then an inner call
of this thread and not counted again.
"""

cdef extern from *:
    """
    static __thread int tensorops_call_depth = 0;
    """
    int tensorops_call_depth

cdef int detours = 0
cdef object _listener = None
cdef tuple _watchers = ()


cdef bint outermost() noexcept nogil:
    """Tell whether this thread is outside every counted call."""
    return tensorops_call_depth == 0


cdef bint to_be_told() noexcept nogil:
    """Tell whether somebody listens and this call is an outermost one."""
    return detours & DETOUR_LISTENER != 0 and tensorops_call_depth == 0


cdef void enter() noexcept nogil:
    """Begin a counted call: until `leave`, the calls of this thread are inner ones."""
    global tensorops_call_depth
    tensorops_call_depth += 1


cdef void leave() noexcept nogil:
    """End a counted call, however it ended."""
    global tensorops_call_depth
    tensorops_call_depth -= 1


cdef object told(str op, object function, tuple operands, dict parameters):
    """Call a public function and tell the listener; an error is the function's own and not told."""
    listener = _listener
    enter()
    try:
        result = function(*operands, **parameters)
    finally:
        leave()
    # Another thread may have ended the counting meanwhile.
    if listener is not None:
        listener(op, operands, result)
    for watcher in _watchers:
        watcher(op, operands, parameters, result)
    return result


def set_listener(listener) -> None:
    """Have a function called after each successful outermost call of an operation.

    Parameters
    ----------
    listener : callable or None
        ``listener(op, operands, result)``: the operation's name in the registry, the tuple of its
        operands as the caller gave them, and what it returned. Called in the caller's thread; what it
        raises reaches the caller. None ends the watching.

    Examples
    --------
    >>> import tensorops
    >>> heard = []
    >>> set_listener(lambda op, operands, result: heard.append((op, result)))
    >>> _ = tensorops.matmul([1.0, 2.0], [3.0, 4.0])
    >>> set_listener(None)
    >>> heard
    [('matmul', np.float64(11.0))]
    """
    global _listener
    _listener = listener
    _listen()


def add_watcher(watcher) -> None:
    """Have one more function called after each successful outermost call of an operation.

    Parameters
    ----------
    watcher : callable
        ``watcher(op, operands, parameters, result)``: as the listener of `set_listener`, with the call's
        keyword arguments, None for those not given. It stays beside the listener and other watchers.

    Examples
    --------
    >>> import tensorops
    >>> seen = []
    >>> def watch(op, operands, parameters, result):
    ...     seen.append(op)
    >>> add_watcher(watch)
    >>> _ = tensorops.matmul([1.0, 2.0], [3.0, 4.0])
    >>> remove_watcher(watch)
    >>> seen
    ['matmul']
    """
    global _watchers
    _watchers = (*_watchers, watcher)
    _listen()


def remove_watcher(watcher) -> None:
    """Call a function that `add_watcher` has added no more.

    Parameters
    ----------
    watcher : callable
        One that was added; another does nothing.

    Examples
    --------
    >>> remove_watcher(print)
    """
    global _watchers
    # By equality: a bound method is another object each time that it is asked for.
    _watchers = tuple([other for other in _watchers if other != watcher])
    _listen()


cdef void _listen():
    global detours
    if _listener is None and not _watchers:
        detours &= ~DETOUR_LISTENER
    else:
        detours |= DETOUR_LISTENER
