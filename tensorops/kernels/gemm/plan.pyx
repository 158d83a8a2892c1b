"""How a product is computed: which kernel, what is packed, how many threads, how much work memory.

A plan depends on shapes, strides and dtype alone, never on the data, and serves a whole stack of
equal products.
"""

from tensorops.kernels.gemm.family cimport Family
from tensorops.kernels.gemm.kernels cimport LONGEST_RUN, Kernels

cdef enum:
    # Rows of C up to which B is better streamed once than cut into strips; more if B is large.
    THIN_ROWS = 8
    THIN_ROWS_LARGE = 16
    LARGE_BYTES = 1 << 20
    # Depth up to which a product is an update of C by outer products.
    THIN_K = 8
    THIN_COLUMNS = 64
    # A streamed product adds to C a few products at a time. Every THIN_RUN of its depth, beyond the first,
    # are added up in work memory, THIN_SPAN columns at once: else C gathered the error of so many sums.
    # Where C has no contiguous rows, THIN_SPAN_TURNED columns are computed there, to stay in L1.
    THIN_RUN = 512
    THIN_SPAN = 4096
    THIN_SPAN_TURNED = 512
    # Columns that are multiplied by rows of A as dot products, and how much of them at once.
    DOTS_COLUMNS = 16
    DOTS_DEPTH = 4096
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
    # Longest row of C for which shorter vectors are taken where they leave less of it unused.
    NARROW = 32

# Cycles in which an element is packed, placed in a C of contiguous columns, or summed from a vector's lanes,
# and in which a row of C is begun, or ended within a vector.
cdef double PACK_CYCLES = 0.6
cdef double PLACE_CYCLES = 0.8
cdef double SUM_CYCLES = 6
cdef double ROW_CYCLES = 4
cdef double PIECES_CYCLES = 5


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
    result.rs_bias, result.cs_bias = product.cs_bias, product.rs_bias
    return result


cdef inline bint is_thin(const Family *family, const Product *p) noexcept nogil:
    """Return whether a product is bound by memory, so that B is best streamed once."""
    if p.cs_b != 1 or p.n < THIN_COLUMNS:
        return False
    if p.m <= THIN_ROWS or (p.k <= THIN_K and p.cs_c == 1):
        return True
    return p.m <= THIN_ROWS_LARGE and p.cs_c == 1 and p.k * p.n * family.kernels.itemsize > LARGE_BYTES


cdef inline double vector_cycles(const Family *family) noexcept nogil:
    """Return the cycles of one multiply-add of vectors: 512 bits take both pipes of many processors."""
    return 1.0 if family.kernels.lanes * family.kernels.itemsize == 64 else 0.5


cdef inline double tiles_cost(const Family *family, const Product *p) noexcept nogil:
    """Estimate the cycles of a product in tiles: the vectors run along the rows of C."""
    cdef double vectors = divided(p.n, 1, family.kernels.lanes) // family.kernels.lanes
    cdef double cost = vector_cycles(family) * p.m * (p.k * vectors + ROW_CYCLES)
    if p.n % family.kernels.lanes and family.kernels.lanes * family.kernels.itemsize < 64:
        # Without masks the end of a row is written in pieces.
        cost += PIECES_CYCLES * p.m
    if p.cs_b != 1:
        cost += PACK_CYCLES * p.k * p.n
    if p.cs_c != 1:
        cost += PLACE_CYCLES * p.m * p.n * (1 + p.k // LONGEST_RUN)
    return cost


cdef inline double dots_cost(const Family *family, const Product *p) noexcept nogil:
    """Estimate the cycles of a product as dot products, or -1 if it cannot be one."""
    cdef double vectors = divided(p.k, 1, family.kernels.lanes) // family.kernels.lanes
    cdef double cost = (vector_cycles(family) * vectors + SUM_CYCLES) * p.m * p.n
    if p.cs_a != 1 or p.n > DOTS_COLUMNS:
        return -1
    if p.rs_b != 1:
        cost += PACK_CYCLES * p.k * p.n
    return cost


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
        if p.n <= kernels.nr and plan.threads == 1:
            plan.kind = KIND_TILE
            return
    plan.kc = block_of(p.k, plan.family.kc, 1)
    plan.mc = block_of(divided(p.m, plan.grid_m, 1), plan.family.mc, kernels.mr)
    nc_largest = max(kernels.nr, plan.family.nc // plan.threads // kernels.nr * kernels.nr)
    plan.nc = block_of(divided(p.n, plan.grid_n, 1), nc_largest, kernels.nr)
    if plan.pack_b:
        plan.panel_bytes = plan.nc * plan.kc * size
    plan.panel_bytes = divided(plan.panel_bytes, 1, PAGE)
    plan.work_bytes = plan.panel_bytes
    if plan.pack_a:
        plan.work_bytes += divided(plan.mc * plan.kc * size, 1, PAGE)
    largest = divided(nc_largest * plan.family.kc * size, 1, PAGE)
    largest += divided(plan.family.mc * plan.family.kc * size, 1, PAGE)
    if plan.work_bytes * plan.threads * RESERVE_SHARE >= largest * threads:
        plan.reserve_bytes = largest * threads


cdef inline void take(
    Plan *plan, Kind kind, const Family *family, const Product *product, bint is_turned,
) noexcept nogil:
    plan.kind = kind
    plan.family = family
    plan.product = product[0]
    plan.turned = is_turned


cdef inline void take_cheapest(Plan *plan, const Family *family, const Product **sides) noexcept nogil:
    """Choose among tiles and dot products, the longer and the shorter vectors, along rows or columns of C."""
    cdef double lowest = tiles_cost(family, sides[0])
    cdef double cost
    cdef int side
    for side in range(2):
        cost = tiles_cost(family, sides[side])
        if cost < lowest:
            lowest = cost
            take(plan, KIND_BLOCKS, family, sides[side], side)
        if family.narrow != NULL and sides[side].n <= NARROW:
            cost = tiles_cost(family.narrow, sides[side])
            if cost < lowest:
                lowest = cost
                take(plan, KIND_BLOCKS, family.narrow, sides[side], side)
        cost = dots_cost(family, sides[side])
        if 0 <= cost < lowest:
            lowest = cost
            take(plan, KIND_DOTS, family, sides[side], side)


cdef void choose(Plan *plan, const Family *family, const Product *product, Packing packing) noexcept nogil:
    """Choose the kernel, the vectors' length and whether rows and columns are exchanged."""
    cdef Product other = turned(product)
    cdef const Product *sides[2]
    cdef int side
    sides[0] = product
    sides[1] = &other
    take(plan, KIND_BLOCKS, family, product, False)
    if packing == PACK_ALWAYS:
        # For tests and studies of one family: the five loops, along the rows of C.
        if product.cs_c != 1 and product.rs_c == 1:
            take(plan, KIND_BLOCKS, family, &other, True)
        return
    for side in range(2):
        if is_thin(family, sides[side]) and (sides[side].cs_c == 1 or not is_thin(family, sides[1 - side])):
            take(plan, KIND_THIN, family, sides[side], side)
            return
    take_cheapest(plan, family, sides)


cdef void make_plan(
    const Family *family, const Product *product, Packing packing, int threads, Plan *plan,
) noexcept nogil:
    """Plan one product for at most `threads` threads; `plan.product` may have its operands exchanged."""
    cdef double work = <double> product.m * product.n * product.k
    cdef Py_ssize_t size = family.kernels.itemsize
    take(plan, KIND_NOTHING, family, product, False)
    plan.copy_b = False
    plan.panel_bytes = 0
    plan.work_bytes = 0
    plan.reserve_bytes = 0
    plan.threads = 1
    if product.m == 0 or product.n == 0 or (product.k == 0 and product.accumulate):
        return
    if product.k == 0:
        plan.kind = KIND_ZERO
        return
    if threads > 1 and work >= 2.0 * THREAD_WORK:
        plan.threads = <int> min(<double> threads, work / THREAD_WORK)
    choose(plan, family, product, packing)
    if plan.kind == KIND_DOTS:
        plan.copy_b = plan.product.rs_b != 1 and plan.product.k > 1
        plan.kc = DOTS_DEPTH if plan.copy_b or plan.product.n > 1 else plan.product.k
        if plan.copy_b:
            plan.work_bytes = divided(plan.product.n * min(plan.product.k, plan.kc) * size, 1, PAGE)
    elif plan.kind == KIND_THIN:
        plan.kc = THIN_RUN
        if plan.product.cs_c != 1:
            plan.nc = THIN_SPAN_TURNED
        elif plan.product.k > THIN_RUN:
            plan.nc = THIN_SPAN
        else:
            plan.nc = plan.product.n
            return
        plan.work_bytes = divided(plan.product.m * min(plan.product.n, plan.nc) * size, 1, PAGE)
    else:
        plan_blocks(plan, packing)
