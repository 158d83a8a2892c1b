"""Loops around a fused kernel, which itself knows contiguous runs of its own type only.

The elements are walked in the result's order, a block at a time. An operand that does not lie as the
kernel reads it is brought into a buffer that stays in the first-level cache; a result that is reduced or
of another type leaves through one.
"""

from libc.string cimport memcpy

from tensorops.kernels.fused.accumulate cimport accumulator, merge_partial, start_partial
from tensorops.kernels.fused.convert cimport converter, receiver
from tensorops.runtime.openmp cimport run_parallel

cdef enum:
    BUFFER_BYTES = 32768
    MAX_BLOCK = 1024
    # Lines at least this long are worth a block of their own, in which operands may be read in place.
    LONG_LINE = 256


cdef load_t loader(char kind, int size, int real_size) noexcept nogil:
    """Return what reads elements of a NumPy kind and size; NULL if nothing does."""
    return converter(kind, size, real_size)


cdef store_t storer(char kind, int size, int real_size, Reduction reduction) noexcept nogil:
    """Return what writes results, or adds them to float64 accumulators; NULL if nothing does."""
    return receiver(kind, size, real_size) if reduction == NONE else accumulator(real_size, reduction)


cdef inline char *locate(
    const Job *job, const Operand *operand, Py_ssize_t start, Py_ssize_t *index,
) noexcept nogil:
    cdef char *at = operand.data
    cdef int d
    for d in range(job.dims - 1, -1, -1):
        index[d] = start % job.shape[d]
        start = start // job.shape[d]
        at += index[d] * operand.strides[d]
    return at


cdef inline char *next_line(
    const Job *job, const Operand *operand, char *at, Py_ssize_t *index,
) noexcept nogil:
    """Go from some element of a line to the first of the next."""
    cdef int d = job.dims - 1
    at -= index[d] * operand.strides[d]
    index[d] = 0
    while d > 0:
        d -= 1
        index[d] += 1
        at += operand.strides[d]
        if index[d] < job.shape[d]:
            break
        at -= index[d] * operand.strides[d]
        index[d] = 0
    return at


cdef void gather(
    const Job *job, const Operand *operand, Py_ssize_t start, Py_ssize_t count, char *buffer,
) noexcept nogil:
    cdef Py_ssize_t index[MAX_DIMS]
    cdef int inner = job.dims - 1
    cdef char *at = locate(job, operand, start, index)
    cdef Py_ssize_t done = 0
    cdef Py_ssize_t part
    while True:
        part = min(job.shape[inner] - index[inner], count - done)
        operand.load(at, operand.strides[inner], part, buffer + done * job.real_size)
        done += part
        if done == count:
            return
        at = next_line(job, operand, at, index)


cdef void deliver(
    const Job *job, const Operand *out, Py_ssize_t start, Py_ssize_t count, const char *buffer,
) noexcept nogil:
    cdef Py_ssize_t index[MAX_DIMS]
    cdef int inner = job.dims - 1
    cdef char *at = locate(job, out, start, index)
    cdef Py_ssize_t done = 0
    cdef Py_ssize_t part
    while True:
        part = min(job.shape[inner] - index[inner], count - done)
        job.store(buffer + done * job.real_size, part, at, out.strides[inner])
        done += part
        if done == count:
            return
        at = next_line(job, out, at, index)


cdef bint lies_flat(const Job *job, const Operand *operand) noexcept nogil:
    """Tell whether the walk meets an operand's elements one behind the other in memory."""
    cdef Py_ssize_t expected = operand.size
    cdef int d
    for d in range(job.dims - 1, -1, -1):
        if job.shape[d] != 1 and operand.strides[d] != expected:
            return False
        expected *= job.shape[d]
    return True


cdef bint stands_still(const Job *job, const Operand *operand) noexcept nogil:
    cdef int d
    for d in range(job.dims):
        if job.shape[d] != 1 and operand.strides[d] != 0:
            return False
    return True


cdef void run_range(const Job *job, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Compute the elements from `first` to before `last`, counted in the order of the walk."""
    cdef char buffers[BUFFER_BYTES]
    cdef const char *data[MAX_INPUTS]
    cdef char *own[MAX_INPUTS + 1]
    cdef bint flat[MAX_INPUTS + 1]
    cdef bint fixed[MAX_INPUTS]
    cdef const Operand *operand
    cdef const Operand *out = &job.operands[job.inputs]
    cdef int inner = job.dims - 1
    cdef Py_ssize_t n = job.shape[inner]
    cdef Py_ssize_t start = first
    cdef Py_ssize_t count, block
    cdef bint direct = job.reduction == NONE and out.native
    cdef bint one_line
    cdef int k
    cdef char *result
    for k in range(job.inputs + 1):
        flat[k] = job.operands[k].native and lies_flat(job, &job.operands[k])
        direct = direct and flat[k]
    if direct:
        for k in range(job.inputs):
            data[k] = job.operands[k].data + first * job.real_size
        job.kernel(last - first, data, out.data + first * job.real_size, job.scalars)
        return
    block = min(<Py_ssize_t> MAX_BLOCK, BUFFER_BYTES // ((job.inputs + 1) * job.real_size) // 64 * 64)
    for k in range(job.inputs + 1):
        own[k] = buffers + k * block * job.real_size
    for k in range(job.inputs):
        fixed[k] = stands_still(job, &job.operands[k])
        if fixed[k]:
            data[k] = own[k]
            job.operands[k].load(job.operands[k].data, 0, min(block, last - first), own[k])
    while start < last:
        count = min(block, last - start)
        if n >= LONG_LINE:
            count = min(count, n - start % n)
        one_line = start % n + count <= n
        for k in range(job.inputs):
            operand = &job.operands[k]
            if fixed[k]:
                continue
            if flat[k]:
                data[k] = operand.data + start * job.real_size
            elif one_line and operand.native and operand.strides[inner] == operand.size:
                data[k] = place(job, operand, start)
            else:
                gather(job, operand, start, count, own[k])
                data[k] = own[k]
        result = own[job.inputs]
        if job.reduction == NONE and out.native:
            if flat[job.inputs]:
                result = out.data + start * job.real_size
            elif one_line and out.strides[inner] == out.size:
                result = place(job, out, start)
        job.kernel(count, data, result, job.scalars)
        if result == own[job.inputs]:
            deliver(job, out, start, count, result)
        start += count


cdef inline char *place(const Job *job, const Operand *operand, Py_ssize_t start) noexcept nogil:
    cdef Py_ssize_t index[MAX_DIMS]
    return locate(job, operand, start, index)


cdef inline Py_ssize_t span(Py_ssize_t stride) noexcept nogil:
    return stride if stride >= 0 else -stride


cdef void swap_axes(Job *job, int d, int e) noexcept nogil:
    cdef int k
    job.shape[d], job.shape[e] = job.shape[e], job.shape[d]
    for k in range(job.inputs + 1):
        job.operands[k].strides[d], job.operands[k].strides[e] = (
            job.operands[k].strides[e], job.operands[k].strides[d]
        )


cdef bint outside(const Job *job, int d, int e) noexcept nogil:
    """Tell whether axis d should be walked outside of axis e: the first operand with a preference decides."""
    cdef int k
    cdef Py_ssize_t left, right
    for k in range(job.inputs, -1, -1):
        left = span(job.operands[k].strides[d])
        right = span(job.operands[k].strides[e])
        if left != 0 and right != 0 and left != right:
            return left > right
    return d < e


cdef void join_axes(Job *job) noexcept nogil:
    """Order the axes as the arrays lie in memory and join those that follow each other in all of them."""
    cdef int dims = 0
    cdef int d, e, k
    cdef bint joined
    for d in range(job.dims):
        if job.shape[d] != 1:
            job.shape[dims] = job.shape[d]
            for k in range(job.inputs + 1):
                job.operands[k].strides[dims] = job.operands[k].strides[d]
            dims += 1
    for d in range(1, dims):
        e = d
        while e > 0 and outside(job, e, e - 1):
            swap_axes(job, e - 1, e)
            e -= 1
    e = 0
    for d in range(1, dims):
        joined = True
        for k in range(job.inputs + 1):
            if job.operands[k].strides[e] != job.operands[k].strides[d] * job.shape[d]:
                joined = False
        if joined:
            job.shape[e] *= job.shape[d]
        else:
            e += 1
            job.shape[e] = job.shape[d]
        for k in range(job.inputs + 1):
            job.operands[k].strides[e] = job.operands[k].strides[d]
    job.dims = e + 1 if dims > 0 else 1
    if dims == 0:
        job.shape[0] = 1
        for k in range(job.inputs + 1):
            job.operands[k].strides[0] = 0


cdef struct Team:
    const Job *job
    int axis                        # along which the threads share a reduction's results; -1 for none
    double partial[MAX_THREADS]


cdef void run_part(void *context, int thread, int threads) noexcept nogil:
    cdef Team *team = <Team *> context
    cdef const Job *job = team.job
    cdef Job mine
    cdef Py_ssize_t total = 1
    cdef Py_ssize_t first, last, share
    cdef int d, k
    if job.reduction != NONE:
        memcpy(&mine, job, sizeof(Job))
        job = &mine
        if team.axis >= 0:
            first = mine.shape[team.axis] * thread // threads
            last = mine.shape[team.axis] * (thread + 1) // threads
            mine.shape[team.axis] = last - first
            for k in range(mine.inputs + 1):
                mine.operands[k].data += first * mine.operands[k].strides[team.axis]
        else:
            team.partial[thread] = start_partial(mine.reduction)
            mine.operands[mine.inputs].data = <char *> &team.partial[thread]
    for d in range(job.dims):
        total *= job.shape[d]
    first, last = 0, total
    if job.reduction == NONE or team.axis < 0:
        # Whole cache lines, so that no two threads write one.
        share = (total // threads + 63) // 64 * 64
        first = min(thread * share, total)
        last = total if thread == threads - 1 else min(first + share, total)
    if first < last:
        run_range(job, first, last)


cdef void run_job(Job *job, int threads) noexcept nogil:
    """Compute a job, none of whose axes is empty; its axes are reordered."""
    cdef Team team
    cdef Operand *out = &job.operands[job.inputs]
    cdef int d, longest
    cdef int thread
    join_axes(job)
    team.job = job
    team.axis = -1
    if job.reduction != NONE:
        longest = 0
        for d in range(1, job.dims):
            if job.shape[d] > job.shape[longest]:
                longest = d
        # Short lines cost more to begin than strided elements cost to fetch.
        if job.shape[job.dims - 1] < 32 and out.strides[job.dims - 1] != 0:
            swap_axes(job, longest, job.dims - 1)
        for d in range(job.dims):
            if out.strides[d] != 0 and (team.axis < 0 or job.shape[d] > job.shape[team.axis]):
                team.axis = d
        if team.axis >= 0:
            threads = <int> min(<Py_ssize_t> threads, job.shape[team.axis])
    threads = min(threads, <int> MAX_THREADS)
    for thread in range(threads):
        team.partial[thread] = start_partial(job.reduction)
    run_parallel(run_part, &team, threads)
    if job.reduction != NONE and team.axis < 0:
        for thread in range(threads):
            merge_partial(job.reduction, <double *> out.data, team.partial[thread])


cdef struct Flat:
    kernel_t kernel
    int real_size
    int inputs
    Py_ssize_t n
    const char *const *data
    char *out
    const double *scalars


cdef void run_flat_part(void *context, int thread, int threads) noexcept nogil:
    cdef const Flat *flat = <const Flat *> context
    cdef const char *data[MAX_INPUTS]
    cdef Py_ssize_t share = (flat.n // threads + 63) // 64 * 64
    cdef Py_ssize_t start = min(thread * share, flat.n)
    cdef Py_ssize_t stop = flat.n if thread == threads - 1 else min(start + share, flat.n)
    cdef int k
    if start < stop:
        for k in range(flat.inputs):
            data[k] = flat.data[k] + start * flat.real_size
        flat.kernel(stop - start, data, flat.out + start * flat.real_size, flat.scalars)


cdef void run_flat(
    kernel_t kernel, int real_size, Py_ssize_t n, int inputs, const char *const *data, char *out,
    const double *scalars, int threads,
) noexcept nogil:
    """Compute contiguous arrays of one shape and of the kernel's type."""
    cdef Flat flat
    if threads <= 1:
        kernel(n, data, out, scalars)
        return
    flat.kernel = kernel
    flat.real_size = real_size
    flat.inputs = inputs
    flat.n = n
    flat.data = data
    flat.out = out
    flat.scalars = scalars
    run_parallel(run_flat_part, &flat, threads)
