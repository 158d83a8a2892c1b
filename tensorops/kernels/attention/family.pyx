"""The functions on blocks of scores in use, one table for each dtype."""

from cpython.pycapsule cimport PyCapsule_GetPointer

from tensorops.kernels.attention.kernels cimport COLUMNS_VERSION, Columns

from tensorops.kernels import table
from tensorops.runtime import loader

cdef const Columns *float32_columns = NULL
cdef const Columns *float64_columns = NULL
cdef bint ready = False
# The tables of functions live in these modules.
_modules = {}


cdef const Columns *load(str dtype) except NULL:
    module = loader.import_kernels(table.family_rows("attention"), dtype)
    columns = <const Columns *> PyCapsule_GetPointer(module.capsule, b"tensorops.kernels.attention.Columns")
    if columns.version != COLUMNS_VERSION:
        raise ImportError(f"{module.__name__} is of another version: rebuild the compiled modules")
    _modules[dtype] = module
    return columns


cdef int prepare() except -1:
    """Import the modules, once."""
    global ready, float32_columns, float64_columns
    if not ready:
        float32_columns = load("float32")
        float64_columns = load("float64")
        ready = True
    return 0


cdef const Columns *columns_of(int itemsize) noexcept nogil:
    return float32_columns if itemsize == 4 else float64_columns


def kernel_name(str dtype) -> str:
    """Return the name of the module that computes a dtype.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        The operands' dtype.

    Returns
    -------
    str
        ``columns_`` with instruction set and dtype, as in the build table.

    Examples
    --------
    >>> kernel_name("float64").endswith("_float64")
    True
    """
    if dtype not in ("float32", "float64"):
        raise TypeError(f"there are kernels for float32 and float64, not for {dtype!r}")
    prepare()
    return (float32_columns if dtype == "float32" else float64_columns).name.decode()
