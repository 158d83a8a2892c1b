# cython: boundscheck=False, wraparound=False
"""The loop of the box, in C: between a request and the kernel there is nothing that a submission could save.

A loop in Python costs some ten microseconds here, because the judge's work has driven it out of the caches. A
submission that answered by itself, in C, would have gained them.
"""

from libc.string cimport memset

cdef extern from "<unistd.h>" nogil:
    Py_ssize_t read(int handle, void *to, size_t count)
    Py_ssize_t write(int handle, const void *content, size_t count)

cdef extern from "<sched.h>" nogil:
    ctypedef struct cpu_set_t:
        pass
    int sched_setaffinity(int thread, size_t size, const cpu_set_t *mask)

cdef enum:
    HEAD = 24
    TOKEN = 8


def run(int requests, int answers, kernel, tuple arguments, bytes processors, unsigned char call,
        unsigned char nothing, unsigned char done):
    """Answer the requests to call the kernel until there is another one, or the kernel raises.

    Parameters
    ----------
    requests, answers : int
        Descriptors of the pipes.
    kernel : callable
        The submission's function.
    arguments : tuple
        Of the kernel.
    processors : bytes
        Mask of those that the kernel may use: the judge wakes this thread on its own, where that takes
        the shortest time. Empty where there is one only.
    call, nothing, done : int
        Kinds of messages: to call the kernel, to do nothing, and the answer to both.

    Returns
    -------
    head : bytes
        What was read of a request of another kind; of the kernel's, where it raised.
    error : BaseException or None
        What the kernel raised.
    """
    cdef unsigned char head[HEAD]
    cdef Py_ssize_t count
    cdef size_t size = len(processors)
    cdef const char *mask = processors
    memset(head, 0, HEAD)
    while True:
        with nogil:
            count = read(requests, head, HEAD)
        if count != HEAD or (head[0] != call and head[0] != nothing):
            return head[:max(count, 0)], None
        if size:
            sched_setaffinity(0, size, <const cpu_set_t *>mask)
        if head[0] == call:
            try:
                kernel(*arguments)
            except BaseException as error:
                return head[:HEAD], error
        head[0] = done
        memset(head + 1, 0, TOKEN - 1)
        with nogil:
            write(answers, head, HEAD)
