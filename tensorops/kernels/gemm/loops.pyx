"""The loops around the micro-kernel: five of them, packing, and the split among threads.

For C += A B the loops are, from the outside: jc over panels of NC columns, pc over KC of the
depth, ic over blocks of MC rows, jr over strips of NR columns, ir over tiles of MR rows. A packed
panel of B (KC x NC) and a packed block of A (MC x KC) are read by all loops inside. Where packing
does not pay, the operand is read in place.

References: Goto, van de Geijn, ACM TOMS 34(3), 2008; Van Zee, van de Geijn, ACM TOMS 41(3), 2015.
"""

from libc.string cimport memset

from tensorops.kernels.gemm.kernels cimport EPILOGUE_NONE, Kernels, finish_t, pack_t
from tensorops.kernels.gemm.plan cimport (
    KIND_BLOCKS, KIND_DOTS, KIND_NOTHING, KIND_THIN, KIND_TILE, KIND_ZERO, Plan, Product, divided,
)
from tensorops.runtime.openmp cimport run_parallel
from tensorops.runtime.workspace cimport borrow


cdef inline const char *bias_at(const Plan *plan, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """Return the bias of the element (i, j) of C; NULL if there is none."""
    cdef const Product *p = &plan.product
    if p.bias == NULL:
        return NULL
    return p.bias + (i * p.rs_bias + j * p.cs_bias) * plan.family.kernels.itemsize


cdef void finish(const Plan *plan, Py_ssize_t j, Py_ssize_t n) noexcept nogil:
    """Apply the epilogue to columns of C that were just computed, and are in the cache still."""
    cdef const Product *p = &plan.product
    cdef finish_t apply = plan.family.kernels.finish[p.epilogue]
    cdef char *c = p.c + j * p.cs_c * plan.family.kernels.itemsize
    if apply == NULL:
        return
    if n == 1:
        # One row instead of one column: elements side by side are finished as vectors.
        apply(1, p.m, c, 0, p.rs_c, bias_at(plan, 0, j), 0, p.rs_bias)
    else:
        apply(p.m, n, c, p.rs_c, p.cs_c, bias_at(plan, 0, j), p.rs_bias, p.cs_bias)


cdef void inner_loops(
    const Plan *plan, Py_ssize_t mc, Py_ssize_t nc, Py_ssize_t kc,
    const char *a, const char *b, char *c, bint accumulate, finish_t finish, const char *bias,
) noexcept nogil:
    """Multiply one block of A with one panel of B: the loop jr; the kernel's strips are the loop ir.

    Each strip of C is finished while it is in the cache; `finish` is NULL before the last block of the depth.
    """
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
    cdef Py_ssize_t rs_b = nr if plan.pack_b else plan.product.rs_b
    cdef Py_ssize_t step_b = nr * kc if plan.pack_b else nr
    cdef Py_ssize_t jr
    cdef int n
    for jr from 0 <= jr < nc by nr:
        n = <int> min(nr, nc - jr)
        if both:
            kernels.strip_packed(mc, kc, a, b, c, rs_c, cs_c, n, accumulate)
        else:
            kernels.strip_strided(mc, kc, a, rs_a, cs_a, step_a, b, rs_b, c, rs_c, cs_c, n, accumulate)
        if finish != NULL:
            finish(mc, n, c, rs_c, cs_c, bias, plan.product.rs_bias, plan.product.cs_bias)
            if bias != NULL:
                bias += nr * plan.product.cs_bias * size
        b += step_b * size
        c += nr * cs_c * size


cdef enum:
    # Contiguous lines that are packed side by side.
    PACK_LINES = 8


cdef inline void pack_strips(
    pack_t pack, Py_ssize_t tile, Py_ssize_t size, Py_ssize_t width, Py_ssize_t k,
    const char *source, Py_ssize_t ws, Py_ssize_t ks, char *target,
) noexcept nogil:
    """Pack `width` rows of A or columns of B into strips of `tile`."""
    cdef Py_ssize_t strip, depth
    # Lines that run across the strips are read a few at a time, as the prefetchers like it.
    cdef Py_ssize_t step = PACK_LINES if ws == 1 else k
    for depth from 0 <= depth < k by step:
        for strip from 0 <= strip < width by tile:
            pack(
                min(tile, width - strip), min(step, k - depth), source + (strip * ws + depth * ks) * size,
                ws, ks, target + (strip * k + depth * tile) * size,
            )


cdef void outer_loops(const Plan *plan, char *work) noexcept nogil:
    """Run the loops jc, pc and ic of one thread's part of the product."""
    cdef const Kernels *kernels = plan.family.kernels
    cdef const Product *p = &plan.product
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t mr = kernels.mr
    cdef Py_ssize_t nr = kernels.nr
    cdef char *panel = work
    cdef char *block = work + plan.panel_bytes
    cdef Py_ssize_t jc, pc, ic, mc, nc, kc
    cdef const char *a
    cdef const char *b
    cdef bint accumulate
    cdef finish_t finish
    jc = 0
    while jc < p.n:
        nc = min(plan.nc, p.n - jc)
        pc = 0
        while pc < p.k:
            kc = min(plan.kc, p.k - pc)
            accumulate = p.accumulate or pc > 0
            finish = kernels.finish[p.epilogue] if pc + kc == p.k else NULL
            b = p.b + (pc * p.rs_b + jc * p.cs_b) * size
            if plan.pack_b:
                pack_strips(kernels.pack_b, nr, size, nc, kc, b, p.cs_b, p.rs_b, panel)
                b = panel
            ic = 0
            while ic < p.m:
                mc = min(plan.mc, p.m - ic)
                a = p.a + (ic * p.rs_a + pc * p.cs_a) * size
                if plan.pack_a:
                    pack_strips(kernels.pack_a, mr, size, mc, kc, a, p.rs_a, p.cs_a, block)
                    a = block
                inner_loops(
                    plan, mc, nc, kc, a, b, p.c + (ic * p.rs_c + jc * p.cs_c) * size, accumulate,
                    finish, bias_at(plan, ic, jc),
                )
                ic += plan.mc
            pc += plan.kc
        jc += plan.nc


cdef inline void set_part(
    const Plan *plan, Plan *part, Py_ssize_t i, Py_ssize_t j, Py_ssize_t rows, Py_ssize_t columns,
) noexcept nogil:
    """Restrict a plan to the rows and columns of C that begin at (i, j)."""
    cdef const Product *p = &plan.product
    cdef Py_ssize_t size = plan.family.kernels.itemsize
    part[0] = plan[0]
    part.product.m = min(rows, p.m - i)
    part.product.n = min(columns, p.n - j)
    part.product.a += i * p.rs_a * size
    part.product.b += j * p.cs_b * size
    part.product.c += (i * p.rs_c + j * p.cs_c) * size
    part.product.bias = bias_at(plan, i, j)


cdef void run_dots(const Plan *plan, char *work) noexcept nogil:
    cdef const Product *p = &plan.product
    cdef const Kernels *kernels = plan.family.kernels
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t cs_b = p.cs_b
    cdef Py_ssize_t pc, kc
    cdef const char *b
    for pc from 0 <= pc < p.k by plan.kc:
        kc = min(plan.kc, p.k - pc)
        b = p.b + pc * p.rs_b * size
        if plan.copy_b:
            kernels.lines(p.n, kc, b, p.rs_b, p.cs_b, work)
            b = work
            cs_b = kc
        kernels.dots(
            p.m, p.n, kc, p.a + pc * size, p.rs_a, b, cs_b, p.c, p.rs_c, p.cs_c, p.accumulate or pc > 0
        )
    finish(plan, 0, p.n)


cdef void run_thin(const Plan *plan, char *work) noexcept nogil:
    cdef const Product *p = &plan.product
    cdef const Kernels *kernels = plan.family.kernels
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t jc, pc, nc, kc
    cdef bint accumulate
    cdef const char *a
    cdef const char *b
    cdef char *c
    for jc from 0 <= jc < p.n by plan.nc:
        nc = min(plan.nc, p.n - jc)
        c = p.c + jc * p.cs_c * size
        for pc from 0 <= pc < p.k by plan.kc:
            kc = min(plan.kc, p.k - pc)
            a = p.a + pc * p.cs_a * size
            b = p.b + (pc * p.rs_b + jc) * size
            accumulate = p.accumulate or pc > 0
            if pc == 0 and p.cs_c == 1:
                kernels.thin(p.m, nc, kc, a, p.rs_a, p.cs_a, b, p.rs_b, c, p.rs_c, accumulate)
            else:
                kernels.thin(p.m, nc, kc, a, p.rs_a, p.cs_a, b, p.rs_b, work, nc, False)
                kernels.place(p.m, nc, work, nc, c, p.rs_c, p.cs_c, accumulate)
        finish(plan, jc, nc)


cdef void run_tile(const Plan *plan) noexcept nogil:
    cdef const Product *p = &plan.product
    cdef const Kernels *kernels = plan.family.kernels
    kernels.strip_strided(
        p.m, p.k, p.a, p.rs_a, p.cs_a, kernels.mr * p.rs_a, p.b, p.rs_b,
        p.c, p.rs_c, p.cs_c, <int> p.n, p.accumulate,
    )
    finish(plan, 0, p.n)


cdef enum:
    # Rows, in tiles, of a narrow or flat product that are computed before they are finished.
    FINISHED_TILES = 8


cdef void run_rows(const Plan *plan, char *work) noexcept nogil:
    """Compute a product that has one kernel for all rows: a few at a time where they are to be finished."""
    cdef Py_ssize_t rows = plan.product.m
    cdef Py_ssize_t i
    cdef Plan part
    if plan.product.epilogue != EPILOGUE_NONE:
        rows = min(rows, FINISHED_TILES * plan.family.kernels.mr)
    if rows == plan.product.m:
        if plan.kind == KIND_TILE:
            run_tile(plan)
        else:
            run_thin(plan, work)
        return
    for i from 0 <= i < plan.product.m by rows:
        set_part(plan, &part, i, 0, rows, plan.product.n)
        if plan.kind == KIND_TILE:
            run_tile(&part)
        else:
            run_thin(&part, work)


cdef void run_serially(const Plan *plan, char *work) noexcept nogil:
    """Compute a planned product on this thread, in `plan.work_bytes` of work memory."""
    cdef const Product *p = &plan.product
    cdef const Kernels *kernels = plan.family.kernels
    cdef Py_ssize_t i, j
    if plan.kind == KIND_TILE or plan.kind == KIND_THIN:
        run_rows(plan, work)
    elif plan.kind == KIND_BLOCKS:
        outer_loops(plan, work)
    elif plan.kind == KIND_DOTS:
        run_dots(plan, work)
    elif plan.kind == KIND_ZERO:
        for i in range(p.m):
            for j in range(p.n):
                memset(p.c + (i * p.rs_c + j * p.cs_c) * kernels.itemsize, 0, kernels.itemsize)
        finish(plan, 0, p.n)


cdef struct Team:
    const Plan *plan
    char *work


cdef void run_member(void *context, int thread, int threads) noexcept nogil:
    """Compute the parts of C that belong to one thread."""
    cdef const Team *team = <const Team *> context
    cdef const Plan *plan = team.plan
    cdef const Product *p = &plan.product
    cdef Plan part
    cdef Py_ssize_t rows = p.m
    cdef Py_ssize_t columns = p.n
    cdef int grid_n = 1
    cdef int cell
    if plan.kind == KIND_BLOCKS:
        grid_n = plan.grid_n
        rows = divided(p.m, plan.grid_m, plan.family.kernels.mr)
        columns = divided(p.n, plan.grid_n, plan.family.kernels.nr)
    elif plan.kind == KIND_THIN and p.n > p.m:
        grid_n = plan.threads
        columns = divided(p.n, plan.threads, 64)
    else:
        rows = divided(p.m, plan.threads, 16)
    # A smaller team than was asked for takes turns.
    for cell from thread <= cell < plan.threads by threads:
        if (cell // grid_n) * rows >= p.m or (cell % grid_n) * columns >= p.n:
            continue
        set_part(plan, &part, (cell // grid_n) * rows, (cell % grid_n) * columns, rows, columns)
        if plan.kind == KIND_BLOCKS:
            outer_loops(&part, team.work + thread * plan.work_bytes)
        elif plan.kind == KIND_THIN:
            run_rows(&part, team.work + thread * plan.work_bytes)
        else:
            run_dots(&part, team.work + thread * plan.work_bytes)


cdef int run_plan(const Plan *plan) noexcept nogil:
    """Compute a planned product; return -1, with nothing written, if there is no work memory."""
    cdef Team team
    team.plan = plan
    team.work = NULL
    if plan.work_bytes:
        team.work = <char *> borrow(max(plan.work_bytes * plan.threads, plan.reserve_bytes))
        if team.work == NULL:
            return -1
    if plan.threads == 1:
        run_serially(plan, team.work)
    elif plan.kind != KIND_NOTHING:
        run_parallel(run_member, &team, plan.threads)
    return 0
