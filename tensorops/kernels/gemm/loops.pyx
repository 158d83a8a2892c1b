"""The loops around the micro-kernel: five of them, packing, and the split among threads.

For C += A B the loops are, from the outside: jc over panels of NC columns, pc over KC of the
depth, ic over blocks of MC rows, jr over strips of NR columns, ir over tiles of MR rows. A packed
panel of B (KC x NC) and a packed block of A (MC x KC) are read by all loops inside. Where packing
does not pay, the operand is read in place.

References: Goto, van de Geijn, ACM TOMS 34(3), 2008; Van Zee, van de Geijn, ACM TOMS 41(3), 2015.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stddef cimport size_t
from libc.string cimport memset

from tensorops.kernels.gemm.kernels cimport KERNELS_VERSION, Kernels
from tensorops.runtime.openmp cimport run_parallel, thread_limit
from tensorops.runtime.workspace cimport borrow

from tensorops.kernels import table
from tensorops.kernels.gemm.blocking import block_sizes
from tensorops.runtime import cpu, loader

cdef Family float32_family
cdef Family float64_family
cdef bint ready = False
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


cdef void outer_loops(const Plan *plan, char *work) noexcept nogil:
    """Run the loops jc, pc and ic of one thread's part of the product."""
    cdef const Kernels *kernels = plan.family.kernels
    cdef const Product *p = &plan.product
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t mr = kernels.mr
    cdef Py_ssize_t nr = kernels.nr
    cdef char *panel = work
    cdef char *block = work + plan.panel_bytes
    cdef Py_ssize_t jc, pc, ic, mc, nc, kc, strip
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
                for strip from 0 <= strip < nc by nr:
                    kernels.pack_b(
                        min(nr, nc - strip), kc, b + strip * p.cs_b * size, p.cs_b, p.rs_b,
                        panel + strip * kc * size,
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
        plan.pack_b = plan.pack_b or product.m > 16 * kernels.mr
        plan.pack_a = product.n > 4 * kernels.nr
    if threads > 1 and work / THREAD_WORK < threads:
        threads = max(1, <int> (work / THREAD_WORK))
    make_grid(&plan, threads)
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


cdef int multiply(const Family *family, const Product *product, Packing packing, int threads) noexcept nogil:
    """Compute one product; return -1, with nothing written, if there is no work memory."""
    cdef Product turned
    cdef const Kernels *kernels = family.kernels
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t i, j
    if product.m == 0 or product.n == 0:
        return 0
    if product.k == 0:
        if not product.accumulate:
            for i in range(product.m):
                for j in range(product.n):
                    memset(product.c + (i * product.rs_c + j * product.cs_c) * size, 0, size)
        return 0
    if product.cs_c != 1 and product.rs_c == 1:
        # The kernels write rows: C^T = B^T A^T.
        turned = product[0]
        turned.m, turned.n = product.n, product.m
        turned.a, turned.rs_a, turned.cs_a = product.b, product.cs_b, product.rs_b
        turned.b, turned.rs_b, turned.cs_b = product.a, product.cs_a, product.rs_a
        turned.rs_c, turned.cs_c = product.cs_c, product.rs_c
        return multiply_blocks(family, &turned, packing, threads)
    return multiply_blocks(family, product, packing, threads)


def measure_peak(dtype: str = "float32", seconds: float = 0.05) -> float:
    import time

    prepare()
    cdef const Family *family = family_of(4 if dtype == "float32" else 8)
    cdef Py_ssize_t iterations = 200_000
    cdef double flops, best = 0
    stop = time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        with nogil:
            flops = family.kernels.peak(iterations)
        end = time.perf_counter()
        best = max(best, flops / (end - start) * 1e-9)
        if end > stop:
            return best


def gemm(a, b, c, *, pack="auto", threads=0):
    cdef Product p
    cdef const Family *family
    cdef int status
    prepare()
    size = a.itemsize
    family = family_of(size)
    p.m, p.k = a.shape
    p.n = b.shape[1]
    p.a = <const char *> <size_t> a.ctypes.data
    p.b = <const char *> <size_t> b.ctypes.data
    p.c = <char *> <size_t> c.ctypes.data
    p.rs_a, p.cs_a = a.strides[0] // size, a.strides[1] // size
    p.rs_b, p.cs_b = b.strides[0] // size, b.strides[1] // size
    p.rs_c, p.cs_c = c.strides[0] // size, c.strides[1] // size
    p.accumulate = False
    cdef Packing packing = {"auto": PACK_AUTO, "never": PACK_NEVER, "always": PACK_ALWAYS}[pack]
    cdef int t = threads or thread_limit()
    with nogil:
        status = multiply(family, &p, packing, t)
    if status:
        raise MemoryError


def block_sizes_in_use(dtype="float32"):
    prepare()
    family = family_of(4 if dtype == "float32" else 8)
    return family.mc, family.kc, family.nc


def set_block_sizes(dtype, Py_ssize_t mc, Py_ssize_t kc, Py_ssize_t nc):
    prepare()
    cdef Family *family = &float32_family if dtype == "float32" else &float64_family
    family.mc = mc
    family.kc = kc
    family.nc = nc
