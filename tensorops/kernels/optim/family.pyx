"""Optimizer steps in use; the loops that bring arrays of any strides before them are the elementwise ones."""

cimport numpy as np

from tensorops.kernels.elementwise.family cimport OPERANDS, Sweep, load_family, run_sweep, threads_for
from tensorops.kernels.elementwise.kernels cimport Formulas

np.import_array()

cdef const Formulas *float32_steps = NULL
cdef const Formulas *float64_steps = NULL


cdef int prepare() except -1:
    global float32_steps, float64_steps
    if float64_steps == NULL:
        float32_steps = load_family("optim", "float32")
        float64_steps = load_family("optim", "float64")
    return 0


cdef int run_step(int step, tuple arrays, const double *numbers, int threads) except -1:
    """Change gradient (not at all), state and parameters: four arrays of one dtype and shape, checked."""
    cdef Sweep sweep
    cdef np.ndarray array = arrays[0]
    cdef int k, d
    if np.PyArray_SIZE(array) == 0:
        return 0
    prepare()
    sweep.itemsize = np.PyArray_ITEMSIZE(array)
    sweep.function = (float32_steps if sweep.itemsize == 4 else float64_steps).sweeps[step]
    sweep.several = True
    sweep.formula = step
    sweep.dims = np.PyArray_NDIM(array)
    for k in range(NUMBERS):
        sweep.parameters[k] = numbers[k]
    for k in range(OPERANDS):
        array = arrays[k]
        sweep.data[k] = <char *> np.PyArray_DATA(array)
        for d in range(sweep.dims):
            sweep.shape[d] = np.PyArray_DIMS(array)[d]
            sweep.strides[k][d] = np.PyArray_STRIDES(array)[d]
    threads = threads_for(np.PyArray_SIZE(array), threads)
    with nogil:
        run_sweep(&sweep, threads)
    return 0


def kernel_name(str dtype) -> str:
    """Return the name of the optimizer module that computes a dtype.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        The operands' dtype.

    Returns
    -------
    str
        ``steps_`` with instruction set and dtype, as in the build table.

    Examples
    --------
    >>> kernel_name("float64").endswith("_float64")
    True
    """
    if dtype not in ("float32", "float64"):
        raise TypeError(f"there are kernels for float32 and float64, not for {dtype!r}")
    prepare()
    return (float32_steps if dtype == "float32" else float64_steps).name.decode()
