"""The kernels and block sizes in use, one family for each dtype.

The micro-kernel modules of the selected instruction set are imported at the first product.
"""

import time

from cpython.pycapsule cimport PyCapsule_GetPointer

from tensorops.kernels.gemm.kernels cimport KERNELS_VERSION, Kernels

from tensorops.kernels import table
from tensorops.kernels.gemm.blocking import block_sizes
from tensorops.runtime import cpu, loader

cdef Family float32_family
cdef Family float64_family
cdef Family narrow_float32_family
cdef Family narrow_float64_family
cdef bint ready = False
# The tables of functions live in these modules.
_modules = []


cdef int prepare() except -1:
    """Import the kernels and size the blocks, once."""
    global ready
    if ready:
        return 0
    prepare_family(&float32_family, &narrow_float32_family, "float32")
    prepare_family(&float64_family, &narrow_float64_family, "float64")
    ready = True
    return 0


cdef int prepare_family(Family *family, Family *narrow, str dtype) except -1:
    rows = table.family_rows("products")
    module = loader.import_kernels(rows, dtype)
    fill(family, module)
    (shorter,) = {row.narrow for row in rows if row.module == module.__name__}
    if shorter:
        fill(narrow, loader.import_kernels(rows, dtype, shorter))
        family.narrow = narrow
    return 0


cdef int fill(Family *family, module) except -1:
    kernels = <const Kernels *> PyCapsule_GetPointer(module.capsule, b"tensorops.kernels.gemm.Kernels")
    if kernels.version != KERNELS_VERSION:
        raise ImportError(f"{module.__name__} is of another version: rebuild the compiled modules")
    caches = cpu.caches()
    sizes = block_sizes(kernels.mr, kernels.nr, kernels.itemsize, caches["L1d"], caches["L2"])
    family.kernels = kernels
    family.mc = sizes.mc
    family.kc = sizes.kc
    family.nc = sizes.nc
    family.narrow = NULL
    _modules.append(module)
    return 0


cdef const Family *family_of(int itemsize) noexcept nogil:
    return &float32_family if itemsize == 4 else &float64_family


cdef Family *chosen_family(str dtype) except NULL:
    if dtype not in ("float32", "float64"):
        raise TypeError(f"there are kernels for float32 and float64, not for {dtype!r}")
    prepare()
    return &float32_family if dtype == "float32" else &float64_family


def kernel_name(str dtype) -> str:
    """Return the name of the micro-kernel that computes products of a dtype.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        The operands' dtype.

    Returns
    -------
    str
        ``ukr_`` with instruction set and dtype, as in the build table.

    Examples
    --------
    >>> kernel_name("float32").endswith("_float32")
    True
    """
    return chosen_family(dtype).kernels.name.decode()


def tile_shape(str dtype) -> tuple[int, int]:
    """Return the register tile that the micro-kernel was built with.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        The operands' dtype.

    Returns
    -------
    tuple of int
        MR and NR, in elements.

    Examples
    --------
    >>> mr, nr = tile_shape("float32")
    >>> mr >= 1 and nr >= mr
    True
    """
    family = chosen_family(dtype)
    return family.kernels.mr, family.kernels.nr


def block_sizes_in_use(str dtype) -> tuple[int, int, int]:
    """Return the largest blocks that the loops work on.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        The operands' dtype.

    Returns
    -------
    tuple of int
        MC, KC and NC, in elements.

    Examples
    --------
    >>> all(size > 0 for size in block_sizes_in_use("float64"))
    True
    """
    family = chosen_family(dtype)
    return family.mc, family.kc, family.nc


def set_block_sizes(str dtype, Py_ssize_t mc, Py_ssize_t kc, Py_ssize_t nc) -> None:
    """Set the largest blocks that the loops work on, to study their effect.

    Not to be called while another thread computes.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        The operands' dtype.
    mc, kc, nc : int
        Rows of a block of A, depth, and columns of a panel of B; MC and NC are multiples of the tile.

    Raises
    ------
    ValueError
        If a size is less than 1, MC is no multiple of MR, or NC no multiple of NR.

    Examples
    --------
    >>> set_block_sizes("float32", *block_sizes_in_use("float32"))
    """
    family = chosen_family(dtype)
    mr, nr = tile_shape(dtype)
    if mc < 1 or kc < 1 or nc < 1 or mc % mr or nc % nr:
        raise ValueError(
            f"block sizes must be positive, MC a multiple of {mr} and NC of {nr}: got {mc}, {kc}, {nc}"
        )
    family.mc = mc
    family.kc = kc
    family.nc = nc


def measure_peak(str dtype="float32", double seconds=0.05) -> float:
    """Measure the arithmetic peak of one core: multiply-adds on registers, without memory.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        The dtype computed in.
    seconds : float, default 0.05
        How long to measure; the best of many short runs counts.

    Returns
    -------
    float
        GFLOP/s of the selected instruction set.

    Examples
    --------
    >>> measure_peak("float32", 0.001) > 0
    True
    """
    cdef const Family *family = chosen_family(dtype)
    cdef double flops
    cdef double best = 0
    stop = time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        with nogil:
            flops = family.kernels.peak(100_000)
        end = time.perf_counter()
        best = max(best, flops / (end - start) * 1e-9)
        if end > stop:
            return best
