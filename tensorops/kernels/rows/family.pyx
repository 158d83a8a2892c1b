"""Row kernels in use, and the loops that bring arrays of any shape and strides before them.

Rows whose elements are contiguous are computed where they lie. Where another axis is the contiguous one,
kernels for columns take a block of them at a time; all else passes through a small buffer.
"""

cimport numpy as np
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stddef cimport size_t
from libc.string cimport memcpy, memset

import numpy

from tensorops.kernels.elementwise.family cimport OPERANDS, join_axes, span, threads_for
from tensorops.kernels.rows.kernels cimport (
    CROSS_ENTROPY, CROSS_ENTROPY_BACKWARD, NORM_BACKWARD, ROWS_VERSION, SOFTMAX, RowKernels,
)
from tensorops.runtime.openmp cimport run_parallel, thread_limit
from tensorops.runtime.workspace cimport borrow

from tensorops.kernels import table
from tensorops.runtime import loader

np.import_array()

cdef const RowKernels *float32_rows = NULL
cdef const RowKernels *float64_rows = NULL
cdef bint ready = False

cdef enum:
    BLOCK_BYTES = 1 << 16       # of each array that passes through a buffer, unless one row is longer
    KEPT_BYTES = 1 << 22        # more work memory than this is given back after the call
    COLUMNS = 64                # no thread starts inside of a block of so many columns
    MAX_THREADS = 64

cdef Py_ssize_t STREAM_BYTES = 1 << 24
cdef Py_ssize_t STREAM_LENGTH = 512


cdef const RowKernels *load(str dtype) except NULL:
    module = loader.import_kernels(table.family_rows("rows"), dtype)
    kernels = <const RowKernels *> PyCapsule_GetPointer(module.capsule, b"tensorops.kernels.rows.RowKernels")
    if kernels.version != ROWS_VERSION:
        raise ImportError(f"{module.__name__} is of another version: rebuild the compiled modules")
    return kernels


cdef int prepare() except -1:
    """Import the kernels, once."""
    global ready, float32_rows, float64_rows
    if not ready:
        float32_rows = load("float32")
        float64_rows = load("float64")
        ready = True
    return 0


cdef const RowKernels *kernels_of(int itemsize) noexcept nogil:
    return float32_rows if itemsize == 4 else float64_rows


cdef lines_t rows_function(int kind, int itemsize) noexcept nogil:
    return kernels_of(itemsize).rows[kind]


cdef bint to_be_streamed(Py_ssize_t bytes_written, Py_ssize_t length) noexcept nogil:
    """Tell whether a result of so many bytes, in rows of this length, is written past the caches."""
    return bytes_written >= STREAM_BYTES and length >= STREAM_LENGTH


cdef void copy_block(
    Py_ssize_t rows, Py_ssize_t length, int size, const char *source, Py_ssize_t from_row,
    Py_ssize_t from_step, char *target, Py_ssize_t to_row, Py_ssize_t to_step,
) noexcept nogil:
    # The inner loop runs where the strided side has its neighbours.
    cdef Py_ssize_t i, j
    if span(from_row) + span(to_row) < span(from_step) + span(to_step):
        rows, length = length, rows
        from_row, from_step = from_step, from_row
        to_row, to_step = to_step, to_row
    for i in range(rows):
        if size == 4:
            for j in range(length):
                memcpy(target + i * to_row + j * to_step, source + i * from_row + j * from_step, 4)
        else:
            for j in range(length):
                memcpy(target + i * to_row + j * to_step, source + i * from_row + j * from_step, 8)


cdef void run_gathered(const Rows *rows, Lines *lines, char *buffer) noexcept nogil:
    """Compute rows one block after the other, through the buffer."""
    cdef int size = rows.outer.itemsize
    cdef Py_ssize_t row_bytes = rows.length * size
    cdef Py_ssize_t total = lines.count
    cdef Py_ssize_t start = 0
    cdef Lines given = lines[0]
    while start < total:
        lines.count = min(rows.block, total - start)
        lines.x = buffer
        lines.x_stride = row_bytes
        copy_block(
            lines.count, rows.length, size, given.x + start * given.x_stride, given.x_stride,
            rows.steps[X], buffer, row_bytes, size,
        )
        if rows.labelled:
            lines.y = given.y + start * given.y_stride
        elif given.y != given.x:
            lines.y = buffer + rows.block * row_bytes
            lines.y_stride = row_bytes
            copy_block(
                lines.count, rows.length, size, given.y + start * given.y_stride, given.y_stride,
                rows.steps[Y], buffer + rows.block * row_bytes, row_bytes, size,
            )
        else:
            lines.y = lines.x
            lines.y_stride = row_bytes
        # A backward function may write over its operand: what it has read of a row it needs no more.
        lines.out = buffer
        lines.out_stride = row_bytes
        rows.function(lines)
        if rows.kind != CROSS_ENTROPY:
            copy_block(
                lines.count, rows.length, size, buffer, row_bytes, size,
                given.out + start * given.out_stride, given.out_stride, rows.steps[RESULT],
            )
        start += lines.count


cdef void run_part(void *context, int thread, int threads) noexcept nogil:
    cdef const Rows *rows = <const Rows *> context
    cdef int inner = rows.outer.dims - 1
    cdef int size = rows.outer.itemsize
    cdef Py_ssize_t width = rows.outer.shape[inner]
    cdef Py_ssize_t number = 1
    cdef Py_ssize_t start, stop, index, rest, first, last, share
    cdef char *memory = rows.memory + thread * rows.memory_each
    cdef char *data[OPERANDS]
    cdef Lines lines = rows.lines
    cdef int d, k
    for d in range(inner):
        number *= rows.outer.shape[d]
    first, last = 0, width
    if number >= 4 * threads or (number >= threads and number % threads == 0):
        start, stop = number * thread // threads, number * (thread + 1) // threads
    else:
        # Few long axes: each thread takes a part of every one.
        start, stop = 0, number
        share = (width + threads - 1) // threads
        if rows.columns:
            share = (share + COLUMNS - 1) // COLUMNS * COLUMNS
        first = min(thread * share, width)
        last = min(first + share, width)
    if rows.kind == NORM_BACKWARD:
        lines.weight_sum = <double *> memory
        lines.bias_sum = lines.weight_sum + rows.length
        lines.weight_part = lines.bias_sum + rows.length
        lines.bias_part = <char *> lines.weight_part + rows.length * size
        memory += (2 * rows.length * (sizeof(double) + size) + 63) // 64 * 64
    lines.total = rows.totals + thread
    lines.buffer = memory
    lines.x_stride = rows.steps[X] if rows.columns else rows.outer.strides[X][inner]
    lines.y_stride = rows.steps[Y] if rows.columns else rows.outer.strides[Y][inner]
    lines.out_stride = rows.steps[RESULT] if rows.columns else rows.outer.strides[RESULT][inner]
    if first >= last:
        return
    for index in range(start, stop):
        rest = index
        for k in range(OPERANDS):
            data[k] = rows.outer.data[k] + first * rows.outer.strides[k][inner]
        for d in range(inner - 1, -1, -1):
            for k in range(OPERANDS):
                data[k] += (rest % rows.outer.shape[d]) * rows.outer.strides[k][d]
            rest = rest // rows.outer.shape[d]
        lines.count = last - first
        lines.x, lines.y, lines.out = data[X], data[Y], data[RESULT]
        if rows.gathered:
            lines.x_stride = rows.outer.strides[X][inner]
            lines.y_stride = rows.outer.strides[Y][inner]
            lines.out_stride = rows.outer.strides[RESULT][inner]
            run_gathered(rows, &lines, memory)
        else:
            rows.function(&lines)


cdef void describe(Rows *rows, int place, np.ndarray array, int axis) noexcept:
    # An array without the axis holds one value for each row.
    cdef int d, e = 0
    cdef bint whole = np.PyArray_NDIM(array) > rows.outer.dims
    rows.outer.data[place] = <char *> np.PyArray_DATA(array)
    rows.steps[place] = np.PyArray_ITEMSIZE(array)
    for d in range(np.PyArray_NDIM(array)):
        if whole and d == axis:
            rows.steps[place] = np.PyArray_STRIDES(array)[d]
        else:
            rows.outer.strides[place][e] = np.PyArray_STRIDES(array)[d]
            e += 1


cdef int run_rows(
    int kind, np.ndarray x, np.ndarray y, np.ndarray out, int axis, Lines *lines, int threads,
    np.ndarray weight_grad=None, np.ndarray bias_grad=None,
) except -1:
    """Compute the rows along one axis of arrays of one dtype, shape and any strides.

    `y` has the shape of `x`, or holds an int64 label for each row. Nothing is checked. `lines` brings what
    all rows have in common; its sum of losses is added up.
    """
    cdef Rows rows
    cdef int d, k
    cdef int e = 0
    cdef int itemsize = np.PyArray_ITEMSIZE(x)
    cdef double totals[MAX_THREADS]
    cdef size_t row_bytes
    cdef Py_ssize_t count
    cdef bint contiguous, columns
    count = np.PyArray_SIZE(x)
    rows.length = np.PyArray_DIMS(x)[axis]
    if count == 0:
        return 0
    prepare()
    rows.kind = kind
    rows.lines = lines[0]
    rows.lines.length = rows.length
    rows.labelled = np.PyArray_NDIM(y) < np.PyArray_NDIM(x)
    rows.outer.itemsize = itemsize
    rows.outer.dims = np.PyArray_NDIM(x) - 1
    for d in range(np.PyArray_NDIM(x)):
        if d != axis:
            rows.outer.shape[e] = np.PyArray_DIMS(x)[d]
            e += 1
    describe(&rows, X, x, axis)
    describe(&rows, Y, y, axis)
    for k in range(2, OPERANDS):
        describe(&rows, k, out, axis)
    join_axes(&rows.outer)
    contiguous = columns = True
    for k in range(OPERANDS):
        if k == Y and rows.labelled:
            columns = False
            continue
        if rows.steps[k] != itemsize and rows.length > 1:
            contiguous = False
        if rows.outer.strides[k][rows.outer.dims - 1] != itemsize:
            columns = False
    rows.function = kernels_of(itemsize).rows[kind]
    rows.columns = not contiguous and columns and kernels_of(itemsize).columns[kind] != NULL
    rows.gathered = not contiguous and not rows.columns
    if rows.columns:
        rows.function = kernels_of(itemsize).columns[kind]
    row_bytes = rows.length * itemsize
    rows.block = max(1, BLOCK_BYTES // <Py_ssize_t> row_bytes)
    rows.lines.stream = (
        contiguous and kind != CROSS_ENTROPY and np.PyArray_DATA(x) != np.PyArray_DATA(out)
        and to_be_streamed(count * itemsize, rows.length)
    )
    threads = min(threads_for(count, threads or thread_limit()), MAX_THREADS)
    rows.memory_each = 0
    if rows.gathered:
        rows.memory_each = 2 * rows.block * row_bytes
    elif rows.lines.stream and (kind == SOFTMAX or kind == CROSS_ENTROPY_BACKWARD):
        rows.memory_each = row_bytes
    if kind == NORM_BACKWARD:
        rows.memory_each += 2 * rows.length * (sizeof(double) + itemsize) + 64
    rows.memory_each = (rows.memory_each + 127) // 64 * 64
    rows.totals = totals
    memset(totals, 0, sizeof(totals))
    kept = None
    if rows.memory_each * threads > KEPT_BYTES:
        kept = numpy.empty(rows.memory_each * threads + 64, numpy.uint8)
        rows.memory = <char *> np.PyArray_DATA(<np.ndarray> kept)
        rows.memory += -<size_t> rows.memory & 63
    elif rows.memory_each > 64:
        rows.memory = <char *> borrow(rows.memory_each * threads)
        if rows.memory == NULL:
            raise MemoryError(f"no memory for {rows.memory_each * threads} bytes of work")
    else:
        rows.memory = NULL
    with nogil:
        if kind == NORM_BACKWARD:
            # Of all threads: there may be fewer than asked for.
            memset(rows.memory, 0, rows.memory_each * threads)
        run_parallel(run_part, &rows, threads)
    if kind == NORM_BACKWARD:
        add_gradients(&rows, threads, weight_grad, bias_grad)
    if kind == CROSS_ENTROPY:
        for d in range(threads):
            lines.total[0] += totals[d]
    return 0


cdef void add_gradients(const Rows *rows, int threads, np.ndarray weight_grad, np.ndarray bias_grad) noexcept:
    """Add the threads' sums up into the gradients of weight and bias, contiguous arrays."""
    cdef Py_ssize_t i
    cdef int which, thread
    cdef double total
    cdef char *target
    for which in range(2):
        if which == 1 and bias_grad is None:
            continue
        target = <char *> np.PyArray_DATA(bias_grad if which == 1 else weight_grad)
        for i in range(rows.length):
            total = 0
            for thread in range(threads):
                total += (<double *> (rows.memory + thread * rows.memory_each))[which * rows.length + i]
            if rows.outer.itemsize == 4:
                (<float *> target)[i] = <float> total
            else:
                (<double *> target)[i] = total


def kernel_name(str dtype) -> str:
    """Return the name of the row module that computes a dtype.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        The operands' dtype.

    Returns
    -------
    str
        ``rows_`` with instruction set and dtype, as in the build table.

    Examples
    --------
    >>> kernel_name("float64").endswith("_float64")
    True
    """
    if dtype not in ("float32", "float64"):
        raise TypeError(f"there are kernels for float32 and float64, not for {dtype!r}")
    prepare()
    return (float32_rows if dtype == "float32" else float64_rows).name.decode()
