"""Streaming loops that measure what the caches and the memory deliver.

Each loop exists once for every width of vectors that the build can make; `isas` says which of them the
processor can run. The functions of the wider ones carry the name of their instruction set at the end and
are the only ones of this module with instructions beyond the baseline.
"""

import time

from libc.stdint cimport uint64_t

from tensorops.runtime.openmp cimport run_parallel

from tensorops.runtime import cpu

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>

    #if defined(__GNUC__)
    #define TENSOROPS_AFTER_PASS __asm__ volatile("" ::: "memory")
    #else
    #define TENSOROPS_AFTER_PASS
    #endif

    /* Eight vectors at a time: enough loads in flight, and chains of the sum far apart. */
    #define TENSOROPS_STREAMS(SUFFIX, TARGET, BYTES) \\
    typedef uint64_t whole_##SUFFIX __attribute__((vector_size(BYTES), may_alias)); \\
    typedef double real_##SUFFIX __attribute__((vector_size(BYTES), may_alias)); \\
    TARGET static uint64_t read_##SUFFIX(char *data, size_t length, size_t pitch, size_t passes) \\
    { \\
        whole_##SUFFIX s0 = {0}, s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0; \\
        const char *end = data + length; \\
        for (size_t pass = 0; pass < passes; ++pass) { \\
            for (const char *p = data; p < end; p += 8 * BYTES) { \\
                const whole_##SUFFIX *v = (const whole_##SUFFIX *) p; \\
                s0 ^= v[0]; s1 ^= v[1]; s2 ^= v[2]; s3 ^= v[3]; \\
                s4 ^= v[4]; s5 ^= v[5]; s6 ^= v[6]; s7 ^= v[7]; \\
            } \\
            TENSOROPS_AFTER_PASS; \\
        } \\
        s0 ^= s1 ^ s2 ^ s3 ^ s4 ^ s5 ^ s6 ^ s7; \\
        return s0[0] ^ s0[1] ^ pitch; \\
    } \\
    TARGET static uint64_t copy_##SUFFIX(char *data, size_t length, size_t pitch, size_t passes) \\
    { \\
        for (size_t pass = 0; pass < passes; ++pass) { \\
            for (size_t p = 0; p < length; p += 4 * BYTES) { \\
                real_##SUFFIX *to = (real_##SUFFIX *) (data + p); \\
                const real_##SUFFIX *from = (const real_##SUFFIX *) (data + pitch + p); \\
                real_##SUFFIX v0 = from[0], v1 = from[1], v2 = from[2], v3 = from[3]; \\
                to[0] = v0; to[1] = v1; to[2] = v2; to[3] = v3; \\
            } \\
            TENSOROPS_AFTER_PASS; \\
        } \\
        return 0; \\
    } \\
    TARGET static uint64_t triad_##SUFFIX(char *data, size_t length, size_t pitch, size_t passes) \\
    { \\
        const real_##SUFFIX factor = (real_##SUFFIX) {0} + 0.5; \\
        for (size_t pass = 0; pass < passes; ++pass) { \\
            for (size_t p = 0; p < length; p += 4 * BYTES) { \\
                real_##SUFFIX *to = (real_##SUFFIX *) (data + p); \\
                const real_##SUFFIX *x = (const real_##SUFFIX *) (data + pitch + p); \\
                const real_##SUFFIX *y = (const real_##SUFFIX *) (data + 2 * pitch + p); \\
                real_##SUFFIX v0 = x[0] + factor * y[0], v1 = x[1] + factor * y[1]; \\
                real_##SUFFIX v2 = x[2] + factor * y[2], v3 = x[3] + factor * y[3]; \\
                to[0] = v0; to[1] = v1; to[2] = v2; to[3] = v3; \\
            } \\
            TENSOROPS_AFTER_PASS; \\
        } \\
        return 0; \\
    }

    typedef uint64_t (*tensorops_stream_t)(char *, size_t, size_t, size_t);

    TENSOROPS_STREAMS(baseline, , 16)
    #if defined(__x86_64__) && defined(__GNUC__)
    TENSOROPS_STREAMS(v3, __attribute__((target("avx2,fma"))), 32)
    TENSOROPS_STREAMS(v4, __attribute__((target("avx512f,fma"))), 64)
    #define TENSOROPS_WIDE 1
    static tensorops_stream_t tensorops_streams[3][3] = {
        {read_baseline, copy_baseline, triad_baseline},
        {read_v3, copy_v3, triad_v3},
        {read_v4, copy_v4, triad_v4},
    };
    #else
    #define TENSOROPS_WIDE 0
    static tensorops_stream_t tensorops_streams[1][3] = {{read_baseline, copy_baseline, triad_baseline}};
    #endif
    """
    ctypedef uint64_t (*tensorops_stream_t)(char *, size_t, size_t, size_t) noexcept nogil
    enum: TENSOROPS_WIDE
    tensorops_stream_t[3][3] tensorops_streams

KERNELS = ("read", "copy", "triad")
"""Add up one array; copy one to another; ``a = b + 0.5 * c`` on three, as in McCalpin's STREAM."""

cdef enum:
    # Whole passes of the widest loop: 8 vectors of 64 bytes.
    UNIT = 512
    # So that equal places of two arrays never agree in their last twelve bits: a store would hold up the
    # loads from such addresses on some processors.
    PADDING = 576

_ARRAYS = {"read": 1, "copy": 2, "triad": 3}
_WIDE = ("baseline", "v3", "v4")


cdef struct Work:
    tensorops_stream_t stream
    char *memory
    Py_ssize_t span
    Py_ssize_t length
    Py_ssize_t pitch
    Py_ssize_t passes
    int members
    uint64_t seen


cdef void run_member(void *context, int thread, int threads) noexcept nogil:
    cdef Work *work = <Work *> context
    cdef uint64_t value = work.stream(
        work.memory + thread * work.span, work.length, work.pitch, work.passes
    )
    if thread == 0:
        # A result that is used cannot be optimised away.
        work.seen = value
        work.members = threads


def isas() -> tuple:
    """Return the vector widths that can run here, weakest first.

    Returns
    -------
    tuple of str
        "baseline", and "v3" and "v4" of the build table where processor and compiler have them.

    Examples
    --------
    >>> isas()[0]
    'baseline'
    """
    supported = cpu.supported_isas()
    return tuple(name for name in _WIDE if name == "baseline" or (TENSOROPS_WIDE and name in supported))


def span(footprint: int) -> int:
    """Return the memory that one thread needs to stream over a footprint.

    Parameters
    ----------
    footprint : int
        Bytes that are read and written in one pass, by one thread.

    Returns
    -------
    int
        Bytes, with the space between the arrays.

    Examples
    --------
    >>> span(16384) >= 16384
    True
    """
    return (footprint + 4 * PADDING + 4095) // 4096 * 4096


def moved(kernel: str, footprint: int) -> int:
    """Return the bytes that one thread reads and writes in one pass.

    Parameters
    ----------
    kernel : str
        One of `KERNELS`.
    footprint : int
        As for `run`.

    Returns
    -------
    int
        Bytes; the lines that a store has to fetch first are not counted, as in STREAM.

    Examples
    --------
    >>> moved("read", 16384), moved("triad", 16384)
    (16384, 15360)
    """
    return footprint // _ARRAYS[kernel] // UNIT * UNIT * _ARRAYS[kernel]


def run(str kernel, str isa, unsigned char[::1] memory, Py_ssize_t footprint, int threads, Py_ssize_t passes):
    """Stream over memory, each thread over its own part, and return how long it took.

    Parameters
    ----------
    kernel : {"read", "copy", "triad"}
        What is done.
    isa : str
        One of `isas`.
    memory : ndarray of uint8
        At least ``threads * span(footprint) + 4096`` bytes, overwritten by "copy" and "triad".
    footprint : int
        Bytes of all arrays of one thread together.
    threads : int
        Threads that work at the same time.
    passes : int
        Times that each thread goes over its arrays.

    Returns
    -------
    float
        Seconds until the last thread was done.

    Raises
    ------
    ValueError
        For an unknown kernel, an instruction set that cannot run here, a footprint below one unit of
        512 bytes for each array, or too little memory.
    RuntimeError
        If fewer threads than asked for took part, as in a serial build.

    Examples
    --------
    >>> import numpy as np
    >>> run("triad", "baseline", np.zeros(32768, np.uint8), 16384, 1, 10) > 0
    True
    """
    if kernel not in KERNELS:
        raise ValueError(f"unknown kernel {kernel!r}; known: {', '.join(KERNELS)}")
    if isa not in isas():
        raise ValueError(f"{isa!r} cannot run here; these can: {', '.join(isas())}")
    cdef Work work
    cdef Py_ssize_t arrays = _ARRAYS[kernel]
    work.length = footprint // arrays // UNIT * UNIT
    work.pitch = work.length + PADDING
    work.span = span(footprint)
    work.passes = passes
    work.members = 0
    if work.length < UNIT or passes < 1 or threads < 1:
        raise ValueError(
            f"nothing to stream over: footprint {footprint}, {passes} passes, {threads} threads"
        )
    cdef Py_ssize_t start = -(<Py_ssize_t> &memory[0]) & 4095
    if memory.shape[0] < start + threads * work.span:
        raise ValueError(f"{memory.shape[0]} bytes are too few: expected {threads * work.span + 4096}")
    work.memory = <char *> &memory[start]
    work.stream = tensorops_streams[<int> _WIDE.index(isa)][<int> KERNELS.index(kernel)]
    begun = time.perf_counter()
    with nogil:
        run_parallel(run_member, &work, threads)
    seconds = time.perf_counter() - begun
    if work.members != threads:
        raise RuntimeError(f"{work.members} of {threads} threads took part")
    return seconds
