"""Elementwise kernels in use, and the loops that bring arrays of any strides before them.

A kernel works on contiguous runs. Axes that lie one after the other in every array are joined; what is
then still strided or repeated passes through a small buffer, a block at a time.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.string cimport memcpy

from tensorops.kernels.elementwise.kernels cimport FORMULAS_VERSION, Formulas
from tensorops.runtime.openmp cimport run_parallel, thread_limit

from tensorops.kernels import table
from tensorops.runtime import loader

cdef const Formulas *float32_formulas = NULL
cdef const Formulas *float64_formulas = NULL
cdef bint ready = False
_modules = {}

cdef enum:
    BLOCK_BYTES = 4096
    # Elements for each thread: below, starting it takes longer than it saves.
    THREAD_ELEMENTS = 1 << 15


cdef const Formulas *load_family(str family, str dtype) except NULL:
    """Import the modules of a family whose functions have the form of formulas."""
    module = loader.import_kernels(table.family_rows(family), dtype)
    formulas = <const Formulas *> PyCapsule_GetPointer(
        module.capsule, b"tensorops.kernels.elementwise.Formulas"
    )
    if formulas.version != FORMULAS_VERSION:
        raise ImportError(f"{module.__name__} is of another version: rebuild the compiled modules")
    _modules[dtype] = module
    return formulas


cdef int prepare() except -1:
    """Import the kernels, once."""
    global ready, float32_formulas, float64_formulas
    if not ready:
        float32_formulas = load_family("elementwise", "float32")
        float64_formulas = load_family("elementwise", "float64")
        ready = True
    return 0


cdef sweep_t sweep_of(int formula, int itemsize) noexcept nogil:
    return float32_formulas.sweeps[formula] if itemsize == 4 else float64_formulas.sweeps[formula]


cdef int threads_for(Py_ssize_t elements, int limit) noexcept nogil:
    return <int> max(1, min(<Py_ssize_t> limit, elements // THREAD_ELEMENTS))


cdef struct Flat:
    sweep_t function
    Py_ssize_t n
    Py_ssize_t size
    const char *x
    const char *y
    const char *z
    char *out
    const double *parameters


cdef void run_flat_part(void *context, int thread, int threads) noexcept nogil:
    cdef const Flat *flat = <const Flat *> context
    # Whole cache lines, so that no two threads write one.
    cdef Py_ssize_t share = (flat.n // threads + 63) // 64 * 64
    cdef Py_ssize_t start = min(thread * share, flat.n)
    cdef Py_ssize_t stop = flat.n if thread == threads - 1 else min(start + share, flat.n)
    cdef Py_ssize_t at = start * flat.size
    if start < stop:
        flat.function(
            stop - start, flat.x + at, flat.y + at, flat.z + at, flat.out + at, flat.parameters
        )


cdef void run_flat(
    int formula, int itemsize, Py_ssize_t n, const void *x, const void *y, const void *z, void *out,
    const double *parameters, int threads,
) noexcept nogil:
    """Compute contiguous arrays of one shape."""
    cdef Flat flat
    flat.function = sweep_of(formula, itemsize)
    if threads <= 1:
        flat.function(n, x, y, z, out, parameters)
        return
    flat.n = n
    flat.size = itemsize
    flat.x = <const char *> x
    flat.y = <const char *> y
    flat.z = <const char *> z
    flat.out = <char *> out
    flat.parameters = parameters
    run_parallel(run_flat_part, &flat, threads)


cdef inline void copy_strided(
    Py_ssize_t n, int size, const char *source, Py_ssize_t from_step, char *target, Py_ssize_t to_step,
) noexcept nogil:
    cdef Py_ssize_t i
    if size == 4:
        for i in range(n):
            memcpy(target + i * to_step, source + i * from_step, 4)
    else:
        for i in range(n):
            memcpy(target + i * to_step, source + i * from_step, 8)


cdef void run_line(
    sweep_t function, int size, Py_ssize_t n, char **data, const Py_ssize_t *steps, const double *parameters,
    bint several,
) noexcept nogil:
    """Compute one run of elements, each array with its own step."""
    cdef char buffers[OPERANDS][BLOCK_BYTES]
    cdef char *part[OPERANDS]
    cdef Py_ssize_t start, count
    cdef Py_ssize_t block = BLOCK_BYTES // size
    cdef int k
    if steps[0] == size and steps[1] == size and steps[2] == size and steps[3] == size:
        function(n, data[0], data[1], data[2], data[3], parameters)
        return
    start = 0
    while start < n:
        count = min(block, n - start)
        for k in range(OPERANDS):
            part[k] = data[k] + start * steps[k]
            if steps[k] != size:
                # A repeated element fills its buffer once.
                if several or k < OPERANDS - 1 and (steps[k] != 0 or start == 0):
                    copy_strided(count, size, part[k], steps[k], buffers[k], size)
                part[k] = buffers[k]
        function(count, part[0], part[1], part[2], part[3], parameters)
        for k in range(1 if several else OPERANDS - 1, OPERANDS):
            if steps[k] != size:
                copy_strided(count, size, buffers[k], size, data[k] + start * steps[k], steps[k])
        start += count


cdef Py_ssize_t span(Py_ssize_t stride) noexcept nogil:
    return stride if stride >= 0 else -stride


cdef void join_axes(Sweep *sweep) noexcept nogil:
    """Order the axes by the result's strides and join those that follow each other everywhere."""
    cdef int dims = 0
    cdef int d, e, k
    cdef bint joined
    for d in range(sweep.dims):
        if sweep.shape[d] != 1:
            sweep.shape[dims] = sweep.shape[d]
            for k in range(OPERANDS):
                sweep.strides[k][dims] = sweep.strides[k][d]
            dims += 1
    for d in range(1, dims):
        e = d
        while e > 0 and span(sweep.strides[OPERANDS - 1][e - 1]) < span(sweep.strides[OPERANDS - 1][e]):
            sweep.shape[e - 1], sweep.shape[e] = sweep.shape[e], sweep.shape[e - 1]
            for k in range(OPERANDS):
                sweep.strides[k][e - 1], sweep.strides[k][e] = sweep.strides[k][e], sweep.strides[k][e - 1]
            e -= 1
    e = 0
    for d in range(1, dims):
        joined = True
        for k in range(OPERANDS):
            if sweep.strides[k][e] != sweep.strides[k][d] * sweep.shape[d]:
                joined = False
        if joined:
            sweep.shape[e] *= sweep.shape[d]
        else:
            e += 1
            sweep.shape[e] = sweep.shape[d]
        for k in range(OPERANDS):
            sweep.strides[k][e] = sweep.strides[k][d]
    sweep.dims = e + 1 if dims > 0 else 0
    if sweep.dims == 0:
        sweep.dims = 1
        sweep.shape[0] = 1
        for k in range(OPERANDS):
            sweep.strides[k][0] = sweep.itemsize


cdef bint repeats_short_lines(const Sweep *sweep) noexcept nogil:
    """Whether it is a matrix of short rows with operands that are one row for all, such as a bias."""
    cdef Py_ssize_t width = sweep.shape[1] * sweep.itemsize
    cdef Py_ssize_t step
    cdef int k
    if sweep.dims != 2 or sweep.several or 2 * width > BLOCK_BYTES:
        return False
    for k in range(OPERANDS):
        step = sweep.strides[k][0]
        if sweep.strides[k][1] != sweep.itemsize or step != width and (step != 0 or k == OPERANDS - 1):
            return False
    return True


cdef void run_repeated(const Sweep *sweep, Py_ssize_t line, Py_ssize_t stop) noexcept nogil:
    """Compute several short rows in one run, beside as many copies of the row that they share."""
    cdef char buffers[OPERANDS][BLOCK_BYTES]
    cdef char *part[OPERANDS]
    cdef Py_ssize_t width = sweep.shape[1] * sweep.itemsize
    cdef Py_ssize_t count = min(BLOCK_BYTES // width, stop - line)
    cdef Py_ssize_t i
    cdef int k
    for k in range(OPERANDS):
        if sweep.strides[k][0] == 0:
            for i in range(count):
                memcpy(buffers[k] + i * width, sweep.data[k], width)
    while line < stop:
        count = min(count, stop - line)
        for k in range(OPERANDS):
            part[k] = &buffers[k][0] if sweep.strides[k][0] == 0 else sweep.data[k] + line * width
        sweep.function(count * sweep.shape[1], part[0], part[1], part[2], part[3], sweep.parameters)
        line += count


cdef void run_part(void *context, int thread, int threads) noexcept nogil:
    cdef const Sweep *sweep = <const Sweep *> context
    cdef sweep_t function = sweep.function
    cdef int inner = sweep.dims - 1
    cdef Py_ssize_t lines = 1
    cdef Py_ssize_t n = sweep.shape[inner]
    cdef Py_ssize_t start, stop, line, index, share
    cdef Py_ssize_t first = 0
    cdef Py_ssize_t steps[OPERANDS]
    cdef char *data[OPERANDS]
    cdef int d, k
    for d in range(inner):
        lines *= sweep.shape[d]
    if lines >= threads:
        start, stop = lines * thread // threads, lines * (thread + 1) // threads
        if repeats_short_lines(sweep):
            run_repeated(sweep, start, stop)
            return
    else:
        # Few long lines: each thread takes a part of every one.
        start, stop = 0, lines
        share = (n // threads + 63) // 64 * 64
        first = min(thread * share, n)
        n = (n if thread == threads - 1 else min(first + share, n)) - first
    for k in range(OPERANDS):
        steps[k] = sweep.strides[k][inner]
    if n <= 0:
        return
    for line in range(start, stop):
        for k in range(OPERANDS):
            data[k] = sweep.data[k] + first * steps[k]
        index = line
        for d in range(inner - 1, -1, -1):
            for k in range(OPERANDS):
                data[k] += (index % sweep.shape[d]) * sweep.strides[k][d]
            index = index // sweep.shape[d]
        run_line(function, sweep.itemsize, n, data, steps, sweep.parameters, sweep.several)


cdef void run_sweep(Sweep *sweep, int threads) noexcept nogil:
    """Compute arrays of any strides, broadcast ones among the operands; none may be empty."""
    if sweep.function == NULL:
        sweep.function = sweep_of(sweep.formula, sweep.itemsize)
    join_axes(sweep)
    run_parallel(run_part, sweep, threads)


def kernel_name(str dtype) -> str:
    """Return the name of the elementwise module that computes a dtype.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        The operands' dtype.

    Returns
    -------
    str
        ``formulas_`` with instruction set and dtype, as in the build table.

    Examples
    --------
    >>> kernel_name("float64").endswith("_float64")
    True
    """
    if dtype not in ("float32", "float64"):
        raise TypeError(f"there are kernels for float32 and float64, not for {dtype!r}")
    prepare()
    return (float32_formulas if dtype == "float32" else float64_formulas).name.decode()


def compute(int formula, arrays, out, double first=0, double second=0, int threads=0) -> None:
    """Compute a formula on arrays of one dtype into `out`; nothing is checked but shapes.

    Parameters
    ----------
    formula : int
        Its place in ``elementwise_table.FORMULAS``.
    arrays : sequence of ndarray
        One to three operands of the shape of `out`; broadcast ones have strides of 0.
    out : ndarray
        float32 or float64; may be one of the operands, must not overlap another.
    first, second : float
        The formula's parameters.
    threads : int
        At most so many; 0 for as many as the library may use.

    Raises
    ------
    ValueError
        If the shapes differ, or there are too many axes or operands.

    Examples
    --------
    >>> import numpy as np
    >>> from tensorops.elementwise_table import FORMULAS
    >>> out = np.empty(2)
    >>> compute(FORMULAS.index("relu"), [np.array([-1.0, 2.0])], out)
    >>> out
    array([0., 2.])
    """
    cdef Sweep sweep
    cdef int k, d
    cdef size_t address
    operands = [*arrays]
    operands += operands[:1] * (OPERANDS - 1 - len(operands)) + [out]
    if len(operands) != OPERANDS or out.ndim > MAX_DIMS or any(x.shape != out.shape for x in operands):
        raise ValueError(f"operands of shapes {[x.shape for x in operands]} for a result of {out.shape}")
    if out.size == 0:
        return
    prepare()
    sweep.formula = formula
    sweep.function = NULL
    sweep.several = False
    sweep.itemsize = out.itemsize
    sweep.dims = out.ndim
    sweep.parameters[0] = first
    sweep.parameters[1] = second
    for k in range(OPERANDS):
        address = operands[k].__array_interface__["data"][0]
        sweep.data[k] = <char *> address
        for d in range(sweep.dims):
            sweep.shape[d] = operands[k].shape[d]
            sweep.strides[k][d] = operands[k].strides[d]
    threads = threads_for(out.size, threads or thread_limit())
    with nogil:
        run_sweep(&sweep, threads)
