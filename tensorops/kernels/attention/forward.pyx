"""Attention with a running softmax: no more than KEYS rows of a strip's scores exist at a time.

Everything is computed turned, with a column for each query: scores (keys, queries) = K Q^T, and the result
(width, queries) += V^T P^T. Then Q^T is a packed panel of the product, so is a block of softened scores P^T,
and what the softmax keeps of a query, its maximum and its sum, lies in one lane of a vector. A task is a
chunk of one head's queries; for each block of keys, K and V are packed once, and used by all strips of the
chunk. Blocks of which a strip sees nothing are left out.

References: Milakov, Gimelshein, "Online normalizer calculation for softmax", 2018; Dao et al.,
"FlashAttention", 2022.
"""

from libc.string cimport memcpy, memset

from tensorops.kernels.gemm.kernels cimport Kernels
from tensorops.kernels.gemm.plan cimport THREAD_WORK, divided
from tensorops.runtime.openmp cimport run_parallel
from tensorops.runtime.workspace cimport borrow

cdef enum:
    # Bytes of one chunk's queries and results, which stay in L2.
    CHUNK_BYTES = 384 << 10
    # Chunks for each thread, so that threads end at the same time.
    TASKS = 4
    STRIPS = 4
    LINE = 64


cdef struct Plan:
    Py_ssize_t chunk           # queries
    Py_ssize_t chunks
    Py_ssize_t width           # columns of v that are computed at once
    Py_ssize_t widths
    Py_ssize_t depth           # of q and k that is packed at once
    size_t query_bytes         # parts of one thread's work memory: Q^T of the chunk
    size_t result_bytes        # results of the chunk
    size_t state_bytes         # maxima and sums of the chunk, and a strip's factors
    size_t score_bytes         # scores of a strip
    size_t key_bytes           # a packed block of K
    size_t value_bytes         # a packed block of V^T
    size_t work_bytes
    int threads


cdef struct Team:
    const Attention *attention
    const Plan *plan
    char *work


cdef struct Work:
    char *queries
    char *results
    char *maxima
    char *sums
    char *factors
    char *scores
    char *keys
    char *values


cdef void make_plan(const Attention *a, int threads, Plan *plan) noexcept nogil:
    cdef Py_ssize_t size = a.kernels.itemsize
    cdef Py_ssize_t nr = a.kernels.nr
    cdef Py_ssize_t mr = a.kernels.mr
    cdef Py_ssize_t strips, tasks
    cdef double work = <double> a.heads * a.queries * a.keys * (a.depth + a.width)
    if threads > 1:
        threads = <int> max(1, min(<double> threads, work / THREAD_WORK))
    plan.depth = min(a.depth, <Py_ssize_t> DEPTH)
    plan.width = min(a.width, <Py_ssize_t> DEPTH)
    plan.widths = divided(a.width, plan.width, 1)
    strips = max(<Py_ssize_t> 1, CHUNK_BYTES // ((plan.depth + plan.width) * nr * size))
    strips = min(strips, divided(a.queries, nr, 1))
    while True:
        plan.chunk = strips * nr
        plan.chunks = divided(a.queries, plan.chunk, 1)
        tasks = a.heads * plan.chunks * plan.widths
        if threads == 1 or tasks >= TASKS * threads or strips == 1 or (strips <= STRIPS and tasks >= threads):
            break
        strips = (strips + 1) // 2
    plan.threads = <int> min(<Py_ssize_t> threads, tasks)
    plan.query_bytes = divided(plan.chunk * plan.depth * size, 1, LINE)
    plan.result_bytes = divided(plan.chunk * plan.width * size, 1, LINE)
    plan.state_bytes = divided((2 * plan.chunk + nr) * size, 1, LINE)
    plan.score_bytes = divided(KEYS * nr * size, 1, LINE)
    # The last tile is as high as the others.
    plan.key_bytes = divided((KEYS + mr) * plan.depth * size, 1, LINE)
    plan.value_bytes = divided(KEYS * (plan.width + mr) * size, 1, LINE)
    plan.work_bytes = plan.query_bytes + plan.result_bytes + plan.state_bytes + plan.score_bytes
    plan.work_bytes = divided(plan.work_bytes + plan.key_bytes + plan.value_bytes, 1, 4096)


cdef void pack_rows(
    const Kernels *kernels, Py_ssize_t rows, Py_ssize_t depth, const char *source,
    Py_ssize_t ws, Py_ssize_t ks, Py_ssize_t panel_depth, char *target,
) noexcept nogil:
    """Pack `rows` lines of `depth` into tiles of MR lines, each with room for `panel_depth`."""
    cdef Py_ssize_t mr = kernels.mr
    cdef Py_ssize_t ir
    for ir from 0 <= ir < rows by mr:
        kernels.pack_a(
            min(mr, rows - ir), depth, source + ir * ws * kernels.itemsize, ws, ks,
            target + ir * panel_depth * kernels.itemsize,
        )


cdef void multiply_panels(
    const Kernels *kernels, Py_ssize_t rows, Py_ssize_t k, const char *a, Py_ssize_t panel_depth,
    const char *b, char *c, bint accumulate,
) noexcept nogil:
    """Compute C (rows, NR) from packed tiles of A, k of `panel_depth` each, and a packed panel of B."""
    cdef Py_ssize_t nr = kernels.nr
    cdef Py_ssize_t height = rows if k == panel_depth else kernels.mr
    cdef Py_ssize_t ir
    for ir from 0 <= ir < rows by height:
        kernels.strip_packed(
            min(height, rows - ir), k, a + ir * panel_depth * kernels.itemsize, b,
            c + ir * nr * kernels.itemsize, nr, 1, <int> nr, accumulate,
        )


cdef void fill(Py_ssize_t count, Py_ssize_t itemsize, double number, char *target) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        if itemsize == 4:
            (<float *> target)[i] = <float> number
        else:
            (<double *> target)[i] = number


cdef void pack_queries(
    const Attention *a, const char *q, Py_ssize_t count, Py_ssize_t start, Py_ssize_t depth,
    char *numbers, char *target,
) noexcept nogil:
    """Pack a strip of queries, a part of their depth, and multiply it by the scale."""
    cdef Py_ssize_t size = a.kernels.itemsize
    a.kernels.pack_b(count, depth, q + start * a.q.column * size, a.q.row, a.q.column, target)
    if a.scale != 1:
        fill(a.kernels.nr, size, a.scale, numbers)
        a.columns.multiply(depth, target, numbers)


cdef void hide(
    Py_ssize_t itemsize, Py_ssize_t nr, Py_ssize_t keys, Py_ssize_t ahead, char *scores,
) noexcept nogil:
    """Make the scores of keys behind their query minus infinity; the first is `ahead` of the first query."""
    cdef Py_ssize_t k
    cdef double infinity = 1e300 * 1e300
    for k in range(keys):
        if ahead + k > 0:
            fill(min(ahead + k, nr), itemsize, -infinity, scores + k * nr * itemsize)


cdef void compute_scores(
    const Attention *a, const Plan *plan, const char *q, const char *k, Py_ssize_t count, Py_ssize_t keys,
    const char *panel, const Work *work,
) noexcept nogil:
    """Compute the scores of a strip of queries with a block of keys."""
    cdef const Kernels *kernels = a.kernels
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t start, depth
    if plan.depth == a.depth:
        if a.depth == 0:
            memset(work.scores, 0, keys * kernels.nr * size)
        multiply_panels(kernels, keys, a.depth, work.keys, a.depth, panel, work.scores, False)
        return
    for start from 0 <= start < a.depth by plan.depth:
        depth = min(plan.depth, a.depth - start)
        pack_queries(a, q, count, start, depth, work.factors, work.queries)
        pack_rows(
            kernels, keys, depth, k + start * a.k.column * size, a.k.row, a.k.column, depth, work.keys
        )
        multiply_panels(kernels, keys, depth, work.keys, depth, work.queries, work.scores, start > 0)


cdef void store_results(
    const Attention *a, const Matrix *matrix, Py_ssize_t count, Py_ssize_t width, const char *results,
    char *out, char *panel,
) noexcept nogil:
    """Turn a strip's results and write them where they belong, a row of a matrix for each query."""
    cdef const Kernels *kernels = a.kernels
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t nr = kernels.nr
    cdef Py_ssize_t start, columns, i, j
    cdef char *row
    for start from 0 <= start < width by nr:
        columns = min(nr, width - start)
        kernels.pack_b(columns, count, results + start * nr * size, nr, 1, panel)
        for i in range(count):
            row = out + (i * matrix.row + start * matrix.column) * size
            if matrix.column == 1:
                memcpy(row, panel + i * nr * size, columns * size)
            else:
                for j in range(columns):
                    memcpy(row + j * matrix.column * size, panel + (i * nr + j) * size, size)


cdef void run_task(
    const Attention *a, const Plan *plan, Py_ssize_t head, Py_ssize_t first, Py_ssize_t first_column,
    const Work *work,
) noexcept nogil:
    """Compute some columns of the results of one chunk of queries."""
    cdef const Kernels *kernels = a.kernels
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t nr = kernels.nr
    cdef Py_ssize_t queries = min(plan.chunk, a.queries - first)
    cdef Py_ssize_t width = min(plan.width, a.width - first_column)
    cdef const char *q = a.q.data + a.q.offsets[head] + first * a.q.row * size
    cdef const char *k = a.k.data + a.k.offsets[head]
    cdef const char *v = a.v.data + a.v.offsets[head] + first_column * a.v.column * size
    cdef char *out = <char *> a.out.data + a.out.offsets[head]
    cdef Py_ssize_t last_key = min(a.keys, first + queries) if a.causal else a.keys
    cdef Py_ssize_t key, keys, strip, seen, count
    cdef char *panel
    cdef char *results
    cdef bint whole = plan.depth == a.depth
    out += (first * a.out.row + first_column * a.out.column) * size
    if whole:
        for strip from 0 <= strip < queries by nr:
            pack_queries(
                a, q + strip * a.q.row * size, min(nr, queries - strip), 0, a.depth, work.factors,
                work.queries + strip * a.depth * size,
            )
    fill(plan.chunk, size, -1e300 * 1e300, work.maxima)
    memset(work.sums, 0, plan.chunk * size)
    for key from 0 <= key < last_key by KEYS:
        keys = min(<Py_ssize_t> KEYS, last_key - key)
        if whole:
            pack_rows(
                kernels, keys, a.depth, k + key * a.k.row * size, a.k.row, a.k.column, a.depth, work.keys
            )
        pack_rows(kernels, width, keys, v + key * a.v.row * size, a.v.column, a.v.row, keys, work.values)
        for strip from 0 <= strip < queries by nr:
            count = min(nr, queries - strip)
            seen = keys
            if a.causal:
                seen = min(keys, first + strip + count - key)
                if seen <= 0:
                    continue
            panel = work.queries + strip * a.depth * size
            results = work.results + strip * plan.width * size
            compute_scores(
                a, plan, q + strip * a.q.row * size, k + key * a.k.row * size, count, seen, panel, work
            )
            if a.causal and key + seen - 1 > first + strip:
                hide(size, nr, seen, key - first - strip, work.scores)
            a.columns.soften(
                seen, work.scores, work.maxima + strip * size, work.sums + strip * size, work.factors
            )
            if key > 0:
                a.columns.multiply(width, results, work.factors)
            multiply_panels(kernels, width, seen, work.values, keys, work.scores, results, key > 0)
    for strip from 0 <= strip < queries by nr:
        results = work.results + strip * plan.width * size
        a.columns.divide(width, results, work.sums + strip * size)
        store_results(
            a, &a.out, min(nr, queries - strip), width, results, out + strip * a.out.row * size, work.scores
        )


cdef void run_member(void *context, int thread, int threads) noexcept nogil:
    """Compute the tasks of one thread."""
    cdef const Team *team = <const Team *> context
    cdef const Attention *a = team.attention
    cdef const Plan *plan = team.plan
    cdef Py_ssize_t size = a.kernels.itemsize
    cdef Py_ssize_t parts = plan.chunks * plan.widths
    cdef Py_ssize_t task, part
    cdef Work work
    work.queries = team.work + thread * plan.work_bytes
    work.results = work.queries + plan.query_bytes
    work.maxima = work.results + plan.result_bytes
    work.sums = work.maxima + plan.chunk * size
    work.factors = work.sums + plan.chunk * size
    work.scores = work.maxima + plan.state_bytes
    work.keys = work.scores + plan.score_bytes
    work.values = work.keys + plan.key_bytes
    for task from thread <= task < a.heads * parts by threads:
        part = task % parts
        run_task(
            a, plan, task // parts, part // plan.widths * plan.chunk, part % plan.widths * plan.width, &work
        )


cdef int run_attention(const Attention *attention, int threads) noexcept nogil:
    """Compute attention with a query, a key and a result at least; return -1 if there is no work memory."""
    cdef Plan plan
    cdef Team team
    make_plan(attention, threads, &plan)
    team.attention = attention
    team.plan = &plan
    team.work = <char *> borrow(plan.work_bytes * plan.threads)
    if team.work == NULL:
        return -1
    run_parallel(run_member, &team, plan.threads)
    return 0
