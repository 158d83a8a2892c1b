"""How a product is computed: which kernel, what is packed, how many threads, how much work memory.

A plan depends on shapes, strides and dtype alone, never on the data, and serves a whole stack of
equal products.
"""

from tensorops.kernels.gemm.family cimport Family
from tensorops.kernels.gemm.kernels cimport Kernels

cdef enum:
    # Bytes of a strided vector that are gathered, to be read in one run.
    VECTOR_COPY = 1 << 16
    # Rows of C up to which B is better streamed once than cut into strips; more if B is large.
    THIN_ROWS = 8
    THIN_ROWS_LARGE = 16
    LARGE_BYTES = 1 << 20
    # Depth up to which a product is an update of C by outer products.
    THIN_K = 1
    THIN_COLUMNS = 64
    # Packing B pays once more tiles of rows than this read it, unless it is so small as to stay in L1.
    PACK_B_TILES = 4
    PACK_B_BYTES = 40 << 10
    # Packing A pays once more strips than this read it: late where its rows are contiguous, soon where
    # its columns, or more of its rows than a set of L1 has ways, start at addresses that compete for
    # the same lines of the cache.
    PACK_A_STRIPS_OF_ROWS = 32
    PACK_A_STRIPS = 8
    PACK_A_STRIPS_COLLIDING = 2
    COLLIDING_BYTES = 1024
    COLLIDING_ROW_BYTES = 4096
    WAYS = 8
    PAGE = 4096
    # A product that needs this share of the largest blocks' work memory, or more, reserves all of it.
    RESERVE_SHARE = 8
    # Longest side of a product for which shorter vectors are taken where they leave less of a row unused.
    NARROW = 32


cdef Py_ssize_t divided(Py_ssize_t total, Py_ssize_t parts, Py_ssize_t step) noexcept nogil:
    """Return the size of `parts` equal parts, rounded up to a multiple of `step`."""
    return ((total + parts - 1) // parts + step - 1) // step * step


cdef inline Py_ssize_t block_of(Py_ssize_t total, Py_ssize_t largest, Py_ssize_t step) noexcept nogil:
    """Return the size of equal blocks of about `largest`, the multiple of `step` that covers `total`."""
    return divided(total, (total + largest - 1) // largest, step)


cdef inline Product turned(const Product *product) noexcept nogil:
    """Return the same product with rows and columns exchanged: C^T = B^T A^T."""
    cdef Product result = product[0]
    result.m, result.n = product.n, product.m
    result.a, result.rs_a, result.cs_a = product.b, product.cs_b, product.rs_b
    result.b, result.rs_b, result.cs_b = product.a, product.cs_a, product.rs_a
    result.rs_c, result.cs_c = product.cs_c, product.rs_c
    return result


cdef inline Kind special_kind(const Family *family, const Product *p) noexcept nogil:
    """Name the kernel for products bound by memory, or BLOCKS."""
    cdef Py_ssize_t size = family.kernels.itemsize
    if p.n == 1:
        if p.cs_a == 1 and (p.rs_c == 1 or p.m == 1) and (p.rs_b == 1 or p.k * size <= VECTOR_COPY):
            return KIND_DOTS
    elif p.cs_b == 1 and p.cs_c == 1 and p.n >= THIN_COLUMNS:
        if p.m <= THIN_ROWS or p.k <= THIN_K:
            return KIND_THIN
        if p.m <= THIN_ROWS_LARGE and p.k * p.n * size > LARGE_BYTES:
            return KIND_THIN
    return KIND_BLOCKS


cdef inline Py_ssize_t strips_before_packing(const Family *family, const Product *p) noexcept nogil:
    """Return how many strips of B must read A for its packing to pay."""
    if p.cs_a == 1:
        if family.kernels.mr > WAYS and p.rs_a * family.kernels.itemsize % COLLIDING_ROW_BYTES == 0:
            return PACK_A_STRIPS_COLLIDING
        return PACK_A_STRIPS_OF_ROWS
    if p.cs_a * family.kernels.itemsize % COLLIDING_BYTES == 0:
        return PACK_A_STRIPS_COLLIDING
    return PACK_A_STRIPS


cdef void make_grid(Plan *plan, Packing packing, int threads) noexcept nogil:
    """Choose into how many parts the rows and the columns of C are cut, and whether A is packed."""
    cdef const Product *p = &plan.product
    cdef Py_ssize_t row_tiles = divided(p.m, plan.family.kernels.mr, 1)
    cdef Py_ssize_t column_tiles = divided(p.n, plan.family.kernels.nr, 1)
    cdef Py_ssize_t strips = strips_before_packing(plan.family, p)
    cdef Py_ssize_t height, width
    cdef int rows, columns
    cdef bint pack_a
    cdef double cost
    cdef double lowest = -1
    for rows in range(1, threads + 1):
        columns = threads // rows
        height = divided(row_tiles, rows, 1)
        width = divided(column_tiles, columns, 1)
        pack_a = packing == PACK_ALWAYS or (packing == PACK_AUTO and width > strips)
        # In tiles: the largest part decides, and each part packs its own rows of A and columns of B.
        # A strip of B takes about as long to pack as a tile to compute, a narrower one of A less.
        cost = <double> height * width
        if plan.pack_b:
            cost += width
        cost += (0.4 if pack_a else 0.05) * height
        if lowest < 0 or cost < lowest:
            lowest = cost
            plan.grid_m = rows
            plan.grid_n = columns
            plan.pack_a = pack_a
    plan.threads = plan.grid_m * plan.grid_n


cdef void plan_blocks(Plan *plan, Packing packing) noexcept nogil:
    """Decide what is packed and how large the blocks are."""
    cdef const Kernels *kernels = plan.family.kernels
    cdef const Product *p = &plan.product
    cdef Py_ssize_t size = kernels.itemsize
    cdef size_t largest
    cdef Py_ssize_t nc_largest
    cdef int threads = plan.threads
    plan.pack_b = packing == PACK_ALWAYS or p.cs_b != 1
    if packing == PACK_AUTO and p.m > PACK_B_TILES * kernels.mr and p.k * p.n * size > PACK_B_BYTES:
        plan.pack_b = True
    make_grid(plan, packing, plan.threads)
    if not plan.pack_a and not plan.pack_b and p.k <= plan.family.kc:
        if p.m <= kernels.mr and p.n <= kernels.nr and p.n % kernels.lanes == 0:
            plan.kind = KIND_TILE
            plan.threads = 1
            return
    plan.kc = block_of(p.k, plan.family.kc, 1)
    plan.mc = block_of(divided(p.m, plan.grid_m, 1), plan.family.mc, kernels.mr)
    nc_largest = max(kernels.nr, plan.family.nc // plan.threads // kernels.nr * kernels.nr)
    plan.nc = block_of(divided(p.n, plan.grid_n, 1), nc_largest, kernels.nr)
    if plan.pack_b:
        plan.panel_bytes = plan.nc * plan.kc * size
    elif p.n % kernels.lanes:
        # Only the strip that ends within a vector is copied, to be padded.
        plan.panel_bytes = kernels.nr * plan.kc * size
    plan.panel_bytes = divided(plan.panel_bytes, 1, PAGE)
    plan.work_bytes = plan.panel_bytes
    if plan.pack_a:
        plan.work_bytes += divided(plan.mc * plan.kc * size, 1, PAGE)
    largest = divided(nc_largest * plan.family.kc * size, 1, PAGE)
    largest += divided(plan.family.mc * plan.family.kc * size, 1, PAGE)
    if plan.work_bytes * plan.threads * RESERVE_SHARE >= largest * threads:
        plan.reserve_bytes = largest * threads


cdef inline bint fits_narrow(const Family *family, const Product *p) noexcept nogil:
    """Return whether the kernels of shorter vectors compute fewer unused columns of a small product."""
    if family.narrow == NULL or p.n > NARROW or p.m > NARROW or p.k > NARROW:
        return False
    return divided(p.n, 1, family.narrow.kernels.lanes) < divided(p.n, 1, family.kernels.lanes)


cdef void make_plan(
    const Family *family, const Product *product, Packing packing, int threads, Plan *plan,
) noexcept nogil:
    """Plan one product for at most `threads` threads; `plan.product` may have its operands exchanged."""
    cdef Product other
    cdef double work = <double> product.m * product.n * product.k
    # Always packed is for tests and studies of one family.
    if packing != PACK_ALWAYS and fits_narrow(family, product):
        family = family.narrow
    plan.family = family
    plan.product = product[0]
    plan.turned = False
    plan.copy_x = False
    plan.panel_bytes = 0
    plan.work_bytes = 0
    plan.reserve_bytes = 0
    plan.threads = 1
    if product.m == 0 or product.n == 0 or (product.k == 0 and product.accumulate):
        plan.kind = KIND_NOTHING
        return
    if product.k == 0:
        plan.kind = KIND_ZERO
        return
    if threads > 1 and work >= 2.0 * THREAD_WORK:
        plan.threads = <int> min(<double> threads, work / THREAD_WORK)
    plan.kind = special_kind(family, product)
    if plan.kind == KIND_BLOCKS:
        other = turned(product)
        plan.kind = special_kind(family, &other)
        # The kernels of the five loops write rows.
        if plan.kind != KIND_BLOCKS or (product.cs_c != 1 and product.rs_c == 1):
            plan.turned = True
            plan.product = other
    if plan.kind == KIND_DOTS:
        plan.copy_x = plan.product.rs_b != 1 and plan.product.k > 1
        if plan.copy_x:
            plan.work_bytes = plan.product.k * family.kernels.itemsize
    elif plan.kind == KIND_THIN:
        if plan.product.k > THIN_RUN:
            plan.work_bytes = plan.product.m * min(plan.product.n, THIN_SPAN) * family.kernels.itemsize
            plan.work_bytes = divided(plan.work_bytes, 1, PAGE)
    elif plan.kind == KIND_BLOCKS:
        plan_blocks(plan, packing)
