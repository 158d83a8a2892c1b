"""Threads: the only module that is compiled with OpenMP.

The number of threads is decided once, at the first call that asks: ``TENSOROPS_NUM_THREADS``, else
the cores this process may use. A forked child computes serially, because libgomp's worker threads
do not survive a fork.
"""

from cython.parallel cimport parallel, threadid

from tensorops.runtime import cpu

cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #include <pthread.h>
    static int tensorops_forked = 0;
    static void tensorops_in_child(void) { tensorops_forked = 1; }
    static void tensorops_watch_forks(void) { pthread_atfork(NULL, NULL, tensorops_in_child); }
    #define TENSOROPS_OPENMP 1
    static int tensorops_team_size(void) { return omp_get_num_threads(); }
    #else
    static int tensorops_forked = 0;
    static void tensorops_watch_forks(void) {}
    #define TENSOROPS_OPENMP 0
    static int tensorops_team_size(void) { return 1; }
    #endif
    static __thread int tensorops_thread_limit = 0;
    """
    enum: TENSOROPS_OPENMP
    int tensorops_forked
    int tensorops_thread_limit
    void tensorops_watch_forks() noexcept nogil
    int tensorops_team_size() noexcept nogil

cdef int chosen_threads = 0

tensorops_watch_forks()


cdef int decide_threads() noexcept with gil:
    # A bad TENSOROPS_NUM_THREADS was already reported by `import tensorops`.
    global chosen_threads
    try:
        chosen_threads = cpu.requested_threads() or cpu.available_cores()
    except ValueError:
        chosen_threads = 1
    return chosen_threads


cdef int thread_limit() noexcept nogil:
    """Return how many threads a kernel may use now."""
    if not TENSOROPS_OPENMP or tensorops_forked:
        return 1
    cdef int threads = chosen_threads if chosen_threads > 0 else decide_threads()
    return min(threads, tensorops_thread_limit) if tensorops_thread_limit > 0 else threads


cdef void run_parallel(body_t body, void *context, int threads) noexcept nogil:
    """Call `body` once on each of at most `threads` threads, and wait for all."""
    if threads <= 1 or not TENSOROPS_OPENMP or tensorops_forked:
        body(context, 0, 1)
        return
    with parallel(num_threads=threads):
        body(context, threadid(), tensorops_team_size())


def enabled() -> bool:
    """Tell whether the kernels were built with OpenMP.

    Returns
    -------
    bool
        False for a serial build, in which one thread computes everything.
    """
    return bool(TENSOROPS_OPENMP)


def get_num_threads() -> int:
    """Return the largest number of threads that a kernel uses.

    Returns
    -------
    int
        ``TENSOROPS_NUM_THREADS``, or the cores that affinity and control groups leave to this
        process, or what `set_num_threads` set; 1 in a serial build and in a forked child.

    Raises
    ------
    ValueError
        If ``TENSOROPS_NUM_THREADS`` is not a positive whole number.

    Examples
    --------
    >>> import tensorops
    >>> tensorops.get_num_threads() >= 1
    True
    """
    if chosen_threads == 0:
        cpu.requested_threads()
    return thread_limit()


def set_num_threads(threads: int) -> None:
    """Set the largest number of threads that a kernel uses, for the whole process.

    Parameters
    ----------
    threads : int
        At least 1. Kernels use fewer where the work does not pay for more.

    Raises
    ------
    TypeError
        If `threads` is not a whole number.
    ValueError
        If `threads` is less than 1.

    Examples
    --------
    >>> import tensorops
    >>> before = tensorops.get_num_threads()
    >>> tensorops.set_num_threads(1)
    >>> tensorops.get_num_threads()
    1
    >>> tensorops.set_num_threads(before)
    """
    global chosen_threads
    if isinstance(threads, bool) or not hasattr(threads, "__index__"):
        raise TypeError(f"the number of threads must be a whole number, not {type(threads).__name__}")
    if threads < 1 or threads > 4096:
        raise ValueError(f"the number of threads must be between 1 and 4096, not {threads}")
    chosen_threads = threads


def limit_this_thread(threads: int) -> int:
    """Limit the threads of the kernels that the calling thread starts, below the process's own limit.

    Parameters
    ----------
    threads : int
        At least 1; 0 for no limit but the process's; a negative number changes nothing.

    Returns
    -------
    int
        The limit until now, 0 for none.

    Examples
    --------
    >>> before = limit_this_thread(1)
    >>> get_num_threads()
    1
    >>> limit_this_thread(before)
    1
    """
    global tensorops_thread_limit
    cdef int before = tensorops_thread_limit
    if threads >= 0:
        tensorops_thread_limit = threads
    return before
