"""The loops around the micro-kernel: five of them, packing, and the split among threads.

For C += A B the loops are, from the outside: jc over panels of NC columns, pc over KC of the
depth, ic over blocks of MC rows, jr over strips of NR columns, ir over tiles of MR rows. A packed
panel of B (KC x NC) and a packed block of A (MC x KC) are read by all loops inside. Where packing
does not pay, the operand is read in place.

References: Goto, van de Geijn, ACM TOMS 34(3), 2008; Van Zee, van de Geijn, ACM TOMS 41(3), 2015.
"""

import time

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stddef cimport size_t
from libc.string cimport memcpy, memset

from tensorops.kernels.gemm.kernels cimport KERNELS_VERSION, Kernels
from tensorops.runtime.openmp cimport run_parallel
from tensorops.runtime.workspace cimport borrow

from tensorops.kernels import table
from tensorops.kernels.gemm.blocking import block_sizes
from tensorops.runtime import cpu, loader

cdef Family float32_family
cdef Family float64_family
cdef bint ready = False
# The tables of functions live in these modules.
_modules = {}


cdef int prepare() except -1:
    """Import the kernels and size the blocks, once."""
    global ready
    if ready:
        return 0
    prepare_family(&float32_family, "float32")
    prepare_family(&float64_family, "float64")
    ready = True
    return 0


cdef int prepare_family(Family *family, str dtype) except -1:
    module = loader.import_kernels(table.buildable_rows(), dtype)
    kernels = <const Kernels *> PyCapsule_GetPointer(module.capsule, b"tensorops.kernels.gemm.Kernels")
    if kernels.version != KERNELS_VERSION:
        raise ImportError(f"{module.__name__} is of another version: rebuild the compiled modules")
    caches = cpu.caches()
    sizes = block_sizes(kernels.mr, kernels.nr, kernels.itemsize, caches["L1d"], caches["L2"])
    family.kernels = kernels
    family.mc = sizes.mc
    family.kc = sizes.kc
    family.nc = sizes.nc
    _modules[dtype] = module
    return 0


cdef const Family *family_of(int itemsize) noexcept nogil:
    return &float32_family if itemsize == 4 else &float64_family


cdef inline Py_ssize_t divided(Py_ssize_t total, Py_ssize_t largest, Py_ssize_t step) noexcept nogil:
    """Return the size of equal blocks of at most `largest`, rounded up to a multiple of `step`."""
    cdef Py_ssize_t blocks = (total + largest - 1) // largest
    return ((total + blocks - 1) // blocks + step - 1) // step * step


cdef struct Plan:
    const Family *family
    Product product
    bint pack_a
    bint pack_b
    Py_ssize_t mc
    Py_ssize_t kc
    Py_ssize_t nc
    size_t panel_bytes
    size_t work_bytes
    int grid_m
    int grid_n
    char *work


cdef void inner_loops(
    const Plan *plan, Py_ssize_t mc, Py_ssize_t nc, Py_ssize_t kc,
    const char *a, const char *b, const char *b_ragged, char *c, bint accumulate,
) noexcept nogil:
    """Multiply one block of A with one panel of B: the loops jr and ir."""
    cdef const Kernels *kernels = plan.family.kernels
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t mr = kernels.mr
    cdef Py_ssize_t nr = kernels.nr
    cdef Py_ssize_t rs_c = plan.product.rs_c
    cdef Py_ssize_t cs_c = plan.product.cs_c
    cdef bint both = plan.pack_a and plan.pack_b
    cdef Py_ssize_t rs_a = 1 if plan.pack_a else plan.product.rs_a
    cdef Py_ssize_t cs_a = mr if plan.pack_a else plan.product.cs_a
    cdef Py_ssize_t step_a = mr * kc if plan.pack_a else mr * plan.product.rs_a
    cdef Py_ssize_t rs_b, jr, ir, n, m
    cdef const char *strip
    cdef const char *sliver
    cdef char *corner
    jr = 0
    while jr < nc:
        n = min(nr, nc - jr)
        rs_b = nr
        if plan.pack_b:
            strip = b + jr * kc * size
        elif b_ragged != NULL and n < nr:
            strip = b_ragged
        else:
            strip = b + jr * size
            rs_b = plan.product.rs_b
        sliver = a
        corner = c + jr * cs_c * size
        ir = 0
        while ir < mc:
            m = min(mr, mc - ir)
            if both:
                kernels.tile_packed(kc, sliver, strip, corner, rs_c, cs_c, m, n, accumulate)
            else:
                kernels.tile_strided(
                    kc, sliver, rs_a, cs_a, strip, rs_b, corner, rs_c, cs_c, m, n, accumulate
                )
            sliver += step_a * size
            corner += mr * rs_c * size
            ir += mr
        jr += nr


cdef enum:
    PACK_ROWS = 8


cdef void outer_loops(const Plan *plan, char *work) noexcept nogil:
    """Run the loops jc, pc and ic of one thread's part of the product."""
    cdef const Kernels *kernels = plan.family.kernels
    cdef const Product *p = &plan.product
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t mr = kernels.mr
    cdef Py_ssize_t nr = kernels.nr
    cdef char *panel = work
    cdef char *block = work + plan.panel_bytes
    cdef Py_ssize_t jc, pc, ic, mc, nc, kc, strip, depth, step
    cdef const char *a
    cdef const char *b
    cdef const char *ragged
    cdef bint accumulate
    jc = 0
    while jc < p.n:
        nc = min(plan.nc, p.n - jc)
        pc = 0
        while pc < p.k:
            kc = min(plan.kc, p.k - pc)
            accumulate = p.accumulate or pc > 0
            b = p.b + (pc * p.rs_b + jc * p.cs_b) * size
            ragged = NULL
            if plan.pack_b:
                step = PACK_ROWS if p.cs_b == 1 else kc
                # Contiguous rows are read a few at a time across the panel, as the prefetchers like it.
                for depth from 0 <= depth < kc by step:
                    for strip from 0 <= strip < nc by nr:
                        kernels.pack_b(
                            min(nr, nc - strip), min(step, kc - depth),
                            b + (depth * p.rs_b + strip * p.cs_b) * size, p.cs_b, p.rs_b,
                            panel + (strip * kc + depth * nr) * size,
                        )
                b = panel
            elif nc % kernels.lanes:
                strip = nc // nr * nr
                kernels.pack_b(nc - strip, kc, b + strip * size, 1, p.rs_b, panel)
                ragged = panel
            ic = 0
            while ic < p.m:
                mc = min(plan.mc, p.m - ic)
                a = p.a + (ic * p.rs_a + pc * p.cs_a) * size
                if plan.pack_a:
                    for strip from 0 <= strip < mc by mr:
                        kernels.pack_a(
                            min(mr, mc - strip), kc, a + strip * p.rs_a * size, p.rs_a, p.cs_a,
                            block + strip * kc * size,
                        )
                    a = block
                inner_loops(
                    plan, mc, nc, kc, a, b, ragged, p.c + (ic * p.rs_c + jc * p.cs_c) * size, accumulate
                )
                ic += plan.mc
            pc += plan.kc
        jc += plan.nc


cdef void thread_part(void *context, int thread, int threads) noexcept nogil:
    """Compute the cells of the grid that belong to one thread: a rectangle of C each."""
    cdef const Plan *plan = <const Plan *> context
    cdef Plan part
    cdef Py_ssize_t size = plan.family.kernels.itemsize
    cdef Py_ssize_t rows = divided(plan.product.m, (plan.product.m + plan.grid_m - 1) // plan.grid_m,
                                   plan.family.kernels.mr)
    cdef Py_ssize_t columns = divided(plan.product.n, (plan.product.n + plan.grid_n - 1) // plan.grid_n,
                                      plan.family.kernels.nr)
    cdef Py_ssize_t i, j
    cdef int cell = thread
    while cell < plan.grid_m * plan.grid_n:
        part = plan[0]
        i = (cell // plan.grid_n) * rows
        j = (cell % plan.grid_n) * columns
        part.product.m = min(rows, plan.product.m - i)
        part.product.n = min(columns, plan.product.n - j)
        part.product.a += i * plan.product.rs_a * size
        part.product.b += j * plan.product.cs_b * size
        part.product.c += (i * plan.product.rs_c + j * plan.product.cs_c) * size
        if part.product.m > 0 and part.product.n > 0:
            outer_loops(&part, plan.work + thread * plan.work_bytes)
        cell += threads


cdef void make_grid(Plan *plan, int threads) noexcept nogil:
    """Choose how many parts the rows and the columns of C are cut into."""
    cdef Py_ssize_t row_tiles = (plan.product.m + plan.family.kernels.mr - 1) // plan.family.kernels.mr
    cdef Py_ssize_t column_tiles = (plan.product.n + plan.family.kernels.nr - 1) // plan.family.kernels.nr
    cdef Py_ssize_t rows, columns, height, width
    cdef double cost, lowest = -1
    plan.grid_m = 1
    plan.grid_n = 1
    for rows in range(1, threads + 1):
        columns = threads // rows
        height = (row_tiles + rows - 1) // rows
        width = (column_tiles + columns - 1) // columns
        # The largest part decides; each part also packs its own rows of A and columns of B.
        cost = (<double> height * width + 0.25 * (height + width))
        if lowest < 0 or cost < lowest:
            lowest = cost
            plan.grid_m = rows
            plan.grid_n = columns


cdef int multiply_blocks(
    const Family *family, const Product *product, Packing packing, int threads,
) noexcept nogil:
    cdef Plan plan
    cdef const Kernels *kernels = family.kernels
    cdef Py_ssize_t size = kernels.itemsize
    cdef double work = <double> product.m * product.n * product.k
    plan.family = family
    plan.product = product[0]
    plan.pack_b = packing == PACK_ALWAYS or product.cs_b != 1
    plan.pack_a = packing == PACK_ALWAYS
    if packing == PACK_AUTO:
        plan.pack_b = plan.pack_b or product.m > 8 * kernels.mr
        plan.pack_a = product.n > 4 * kernels.nr
    make_grid(&plan, worthwhile(threads, work))
    threads = plan.grid_m * plan.grid_n
    plan.kc = divided(product.k, family.kc, 1)
    plan.mc = divided((product.m + plan.grid_m - 1) // plan.grid_m, family.mc, kernels.mr)
    plan.nc = divided(
        (product.n + plan.grid_n - 1) // plan.grid_n, max(kernels.nr, family.nc // plan.grid_n), kernels.nr
    )
    plan.panel_bytes = 0
    if plan.pack_b:
        plan.panel_bytes = plan.nc * plan.kc * size
    elif product.n % kernels.lanes:
        plan.panel_bytes = kernels.nr * plan.kc * size
    plan.panel_bytes = (plan.panel_bytes + 4095) // 4096 * 4096
    plan.work_bytes = plan.panel_bytes
    if plan.pack_a:
        plan.work_bytes += (plan.mc * plan.kc * size + 4095) // 4096 * 4096
    plan.work = NULL
    if plan.work_bytes:
        plan.work = <char *> borrow(plan.work_bytes * threads)
        if plan.work == NULL:
            return -1
    if threads == 1:
        outer_loops(&plan, plan.work)
    else:
        run_parallel(thread_part, &plan, threads)
    return 0


cdef struct Stripe:
    # A product bound by memory: each thread computes a stripe of C, without packing.
    const Kernels *kernels
    Product product
    const char *x


cdef void dots_stripe(void *context, int thread, int threads) noexcept nogil:
    """Compute some elements of a matrix-vector product, each a dot product with a row of A."""
    cdef const Stripe *stripe = <const Stripe *> context
    cdef const Product *p = &stripe.product
    cdef Py_ssize_t size = stripe.kernels.itemsize
    cdef Py_ssize_t rows = divided(p.m, (p.m + threads - 1) // threads, 16)
    cdef Py_ssize_t first = thread * rows
    if first < p.m:
        stripe.kernels.gemv_rows(
            min(rows, p.m - first), p.k, p.a + first * p.rs_a * size, p.rs_a,
            stripe.x, p.c + first * size, p.accumulate,
        )


cdef void thin_stripe(void *context, int thread, int threads) noexcept nogil:
    """Compute some columns of a product with few rows, or some rows of one with little depth."""
    cdef const Stripe *stripe = <const Stripe *> context
    cdef const Product *p = &stripe.product
    cdef Py_ssize_t size = stripe.kernels.itemsize
    cdef Py_ssize_t rows = p.m
    cdef Py_ssize_t columns = p.n
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t j = 0
    if p.n > p.m:
        columns = divided(p.n, (p.n + threads - 1) // threads, 64)
        j = thread * columns
    else:
        rows = divided(p.m, (p.m + threads - 1) // threads, 4)
        i = thread * rows
    if i < p.m and j < p.n:
        stripe.kernels.thin(
            min(rows, p.m - i), min(columns, p.n - j), p.k, p.a + i * p.rs_a * size, p.rs_a, p.cs_a,
            p.b + j * size, p.rs_b, p.c + (i * p.rs_c + j) * size, p.rs_c, p.accumulate,
        )


cdef enum:
    # Bytes of a strided vector that are copied, to be read in one run.
    VECTOR_COPY = 1 << 16
    # Rows of C up to which B is better streamed once than cut into strips; more if B is large.
    THIN_ROWS = 8
    THIN_ROWS_LARGE = 16
    LARGE_BYTES = 1 << 20
    # Depth up to which a product is an update of C by a few outer products.
    THIN_K = 1


cdef int multiply_dots(const Family *family, const Product *product, int threads) noexcept nogil:
    """Compute a product with one column, the rows of A and the column of C contiguous."""
    cdef Stripe stripe
    cdef Py_ssize_t size = family.kernels.itemsize
    cdef Py_ssize_t i
    cdef char *copy
    stripe.kernels = family.kernels
    stripe.product = product[0]
    stripe.x = product.b
    if product.rs_b != 1 and product.k != 1:
        copy = <char *> borrow(product.k * size)
        if copy == NULL:
            return -1
        for i in range(product.k):
            memcpy(copy + i * size, product.b + i * product.rs_b * size, size)
        stripe.x = copy
    run_parallel(dots_stripe, &stripe, worthwhile(threads, <double> product.m * product.k))
    return 0


cdef int multiply_thin(const Family *family, const Product *product, int threads) noexcept nogil:
    """Compute a product with few rows or little depth, the rows of B and of C contiguous."""
    cdef Stripe stripe
    stripe.kernels = family.kernels
    stripe.product = product[0]
    run_parallel(
        thin_stripe, &stripe, worthwhile(threads, <double> product.m * product.n * product.k)
    )
    return 0


cdef inline bint is_dots(const Family *family, const Product *p) noexcept nogil:
    return (
        p.n == 1 and p.cs_a == 1 and (p.rs_c == 1 or p.m == 1)
        and (p.rs_b == 1 or p.k * family.kernels.itemsize <= VECTOR_COPY)
    )


cdef inline bint is_thin(const Family *family, const Product *p) noexcept nogil:
    if p.cs_b != 1 or p.cs_c != 1 or p.n < 64:
        return False
    if p.m <= THIN_ROWS or p.k <= THIN_K:
        return True
    return p.m <= THIN_ROWS_LARGE and p.k * p.n * family.kernels.itemsize > LARGE_BYTES


cdef inline int worthwhile(int threads, double work) noexcept nogil:
    """Return how many of `threads` have enough multiply-adds to do."""
    return <int> max(1.0, min(<double> threads, work / THREAD_WORK))


cdef inline Product turned(const Product *product) noexcept nogil:
    """Return the same product with rows and columns exchanged: C^T = B^T A^T."""
    cdef Product result = product[0]
    result.m, result.n = product.n, product.m
    result.a, result.rs_a, result.cs_a = product.b, product.cs_b, product.rs_b
    result.b, result.rs_b, result.cs_b = product.a, product.cs_a, product.rs_a
    result.rs_c, result.cs_c = product.cs_c, product.rs_c
    return result


cdef int multiply(const Family *family, const Product *product, Packing packing, int threads) noexcept nogil:
    """Compute one product; return -1, with nothing written, if there is no work memory."""
    cdef Product other
    cdef Py_ssize_t size = family.kernels.itemsize
    cdef Py_ssize_t i, j
    if product.m == 0 or product.n == 0:
        return 0
    if product.k == 0:
        if not product.accumulate:
            for i in range(product.m):
                for j in range(product.n):
                    memset(product.c + (i * product.rs_c + j * product.cs_c) * size, 0, size)
        return 0
    other = turned(product)
    if is_dots(family, product):
        return multiply_dots(family, product, threads)
    if is_dots(family, &other):
        return multiply_dots(family, &other, threads)
    if is_thin(family, product):
        return multiply_thin(family, product, threads)
    if is_thin(family, &other):
        return multiply_thin(family, &other, threads)
    if product.cs_c != 1 and product.rs_c == 1:
        # The kernels write rows.
        return multiply_blocks(family, &other, packing, threads)
    return multiply_blocks(family, product, packing, threads)


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
