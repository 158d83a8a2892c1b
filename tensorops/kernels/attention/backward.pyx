"""Gradients of attention: the weights are computed once more, block by block, never kept as a matrix.

A task is a head. For each strip of NR queries a first pass over the keys brings maxima and sums, a second one
the weights P and, with D the sum of grad * out of each query, the gradients of the scores,
dS = P (grad V^T - D) scale, both turned as in ``forward.pyx``. Then dV += P^T grad, dK += dS^T Q, and
dQ^T += K^T dS^T. Where all keys are one block, the first pass brings the weights already.

What is packed of a block of keys stays until another block needs its place, for all strips of the head.
"""

from libc.string cimport memset

from tensorops.kernels.attention.forward cimport (
    Attention, Matrix, fill, hide, multiply_panels, pack_queries, pack_rows, store_results,
)
from tensorops.kernels.gemm.kernels cimport Kernels
from tensorops.kernels.gemm.plan cimport THREAD_WORK, divided
from tensorops.runtime.openmp cimport run_parallel
from tensorops.runtime.workspace cimport borrow


cdef enum:
    # Keys of a block: a strip's weights and their gradients stay in L1 and L2.
    BLOCK = 224
    # Blocks that stay packed, at most, and their bytes, which stay in L2.
    PLACES = 8
    PLACES_BYTES = 512 << 10
    LINE = 64


cdef struct Team:
    const Backward *backward
    char *work
    size_t work_bytes
    size_t place_bytes
    int places


cdef struct Place:
    char *keys                 # rows of K, packed
    char *values               # rows of V
    char *columns              # columns of K
    Py_ssize_t first_key       # the block whose K is here, and the one whose V and columns are; -1 for none
    Py_ssize_t others_key


cdef struct Work:
    char *queries              # Q^T of the strip, scaled
    char *gradients            # grad^T of the strip
    char *results              # dQ^T of the strip
    char *numbers              # maxima, sums, means and factors: NR of each
    char *weights              # (BLOCK, NR), as is the next
    char *shares
    char *strip                # columns of Q or grad, packed
    Place held[PLACES]
    int places


cdef inline const char *matrix_of(
    const Matrix *matrix, Py_ssize_t head, Py_ssize_t row, Py_ssize_t size,
) noexcept nogil:
    """Return where a row of a head's matrix begins."""
    return matrix.data + matrix.offsets[head] + row * matrix.row * size


cdef void means_of(
    const Backward *b, Py_ssize_t head, Py_ssize_t first, Py_ssize_t count, char *means,
) noexcept nogil:
    """Compute the sums of grad * out of a strip's queries."""
    cdef const Attention *a = &b.forward
    cdef Py_ssize_t size = a.kernels.itemsize
    cdef const char *grad
    cdef const char *out
    cdef Py_ssize_t step_grad = b.grad.column
    cdef Py_ssize_t step_out = a.out.column
    cdef Py_ssize_t i, j, part
    cdef double totals[4]
    for i in range(count):
        grad = matrix_of(&b.grad, head, first + i, size)
        out = matrix_of(&a.out, head, first + i, size)
        totals[0] = totals[1] = totals[2] = totals[3] = 0
        # Four sums, because each addition waits for the one before it.
        for j from 0 <= j < a.width by 4:
            for part in range(min(4, a.width - j)):
                if size == 4:
                    totals[part] += (
                        <double> (<const float *> grad)[(j + part) * step_grad]
                        * (<const float *> out)[(j + part) * step_out]
                    )
                else:
                    totals[part] += (
                        (<const double *> grad)[(j + part) * step_grad]
                        * (<const double *> out)[(j + part) * step_out]
                    )
        fill(1, size, totals[0] + totals[1] + (totals[2] + totals[3]), means + i * size)


cdef Place *place_of(const Attention *a, Py_ssize_t head, Py_ssize_t key, Work *work) noexcept nogil:
    """Return the place of a block of keys, its K packed."""
    cdef Py_ssize_t keys = min(<Py_ssize_t> BLOCK, a.keys - key)
    cdef Place *place = &work.held[key // BLOCK % work.places]
    if place.first_key != key:
        pack_rows(
            a.kernels, keys, a.depth, matrix_of(&a.k, head, key, a.kernels.itemsize), a.k.row, a.k.column,
            a.depth, place.keys,
        )
        place.first_key = key
    return place


cdef void pack_others(const Attention *a, Py_ssize_t head, Py_ssize_t key, Place *place) noexcept nogil:
    """Pack V and the columns of K of a block."""
    cdef Py_ssize_t keys = min(<Py_ssize_t> BLOCK, a.keys - key)
    cdef Py_ssize_t size = a.kernels.itemsize
    if place.others_key == key:
        return
    pack_rows(
        a.kernels, keys, a.width, matrix_of(&a.v, head, key, size), a.v.row, a.v.column, a.width, place.values
    )
    pack_rows(
        a.kernels, a.depth, keys, matrix_of(&a.k, head, key, size), a.k.column, a.k.row, keys, place.columns
    )
    place.others_key = key


cdef void compute_scores(
    const Attention *a, Py_ssize_t first, Py_ssize_t key, Py_ssize_t keys, const Place *place,
    const Work *work,
) noexcept nogil:
    """Compute the scores of a strip with a block of keys."""
    cdef Py_ssize_t size = a.kernels.itemsize
    cdef Py_ssize_t nr = a.kernels.nr
    if a.depth == 0:
        memset(work.weights, 0, keys * nr * size)
    multiply_panels(a.kernels, keys, a.depth, place.keys, a.depth, work.queries, work.weights, False)
    if a.causal and key + keys - 1 > first:
        hide(size, nr, keys, key - first, work.weights)


cdef void add_rows_of(
    const Attention *a, Py_ssize_t keys, Py_ssize_t count, const char *block, const Matrix *source,
    Py_ssize_t columns, const char *rows, const Matrix *target, char *out, char *strip,
) noexcept nogil:
    """Add block (keys, queries) times rows of the queries to rows of the keys."""
    cdef const Kernels *kernels = a.kernels
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t nr = kernels.nr
    cdef Py_ssize_t start, width
    for start from 0 <= start < columns by nr:
        width = min(nr, columns - start)
        kernels.pack_b(width, count, rows + start * source.column * size, source.column, source.row, strip)
        kernels.strip_strided(
            keys, count, block, nr, 1, kernels.mr * nr, strip, nr, out + start * target.column * size,
            target.row, target.column, <int> width, True,
        )


cdef void run_strip(
    const Backward *b, Py_ssize_t head, Py_ssize_t first, Work *work,
) noexcept nogil:
    """Add what the queries of one strip give."""
    cdef const Attention *a = &b.forward
    cdef const Kernels *kernels = a.kernels
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t nr = kernels.nr
    cdef Py_ssize_t count = min(nr, a.queries - first)
    cdef Py_ssize_t last = min(a.keys, first + count) if a.causal else a.keys
    cdef Py_ssize_t key, keys, held
    cdef Place *place
    cdef char *maxima = work.numbers
    cdef char *sums = work.numbers + nr * size
    cdef char *means = work.numbers + 2 * nr * size
    cdef char *factors = work.numbers + 3 * nr * size
    cdef const char *queries = matrix_of(&a.q, head, first, size)
    cdef const char *gradients = matrix_of(&b.grad, head, first, size)
    pack_queries(a, queries, count, 0, a.depth, factors, work.queries)
    kernels.pack_b(count, a.width, gradients, b.grad.row, b.grad.column, work.gradients)
    fill(nr, size, -1e300 * 1e300, maxima)
    memset(sums, 0, 2 * nr * size)
    means_of(b, head, first, count, means)
    for key from 0 <= key < last by BLOCK:
        keys = min(<Py_ssize_t> BLOCK, last - key)
        compute_scores(a, first, key, keys, place_of(a, head, key, work), work)
        a.columns.soften(keys, work.weights, maxima, sums, factors)
    for key from 0 <= key < last by BLOCK:
        keys = min(<Py_ssize_t> BLOCK, last - key)
        held = min(<Py_ssize_t> BLOCK, a.keys - key)
        place = place_of(a, head, key, work)
        if last <= BLOCK:
            a.columns.divide(keys, work.weights, sums)
        else:
            compute_scores(a, first, key, keys, place, work)
            a.columns.weigh(keys, work.weights, maxima, sums)
        pack_others(a, head, key, place)
        if a.width == 0:
            memset(work.shares, 0, keys * nr * size)
        multiply_panels(kernels, keys, a.width, place.values, a.width, work.gradients, work.shares, False)
        a.columns.spread(keys, work.weights, means, a.scale, work.shares)
        add_rows_of(
            a, keys, count, work.weights, &b.grad, a.width, gradients, &b.dv,
            <char *> matrix_of(&b.dv, head, key, size), work.strip,
        )
        add_rows_of(
            a, keys, count, work.shares, &a.q, a.depth, queries, &b.dk,
            <char *> matrix_of(&b.dk, head, key, size), work.strip,
        )
        multiply_panels(kernels, a.depth, keys, place.columns, held, work.shares, work.results, key > 0)
    store_results(
        a, &b.dq, count, a.depth, work.results, <char *> matrix_of(&b.dq, head, first, size), work.weights
    )


cdef void run_member(void *context, int thread, int threads) noexcept nogil:
    """Compute the heads of one thread."""
    cdef const Team *team = <const Team *> context
    cdef const Attention *a = &team.backward.forward
    cdef Py_ssize_t size = a.kernels.itemsize
    cdef Py_ssize_t nr = a.kernels.nr
    cdef Py_ssize_t block = divided(BLOCK * nr * size, 1, LINE)
    cdef Py_ssize_t head, first
    cdef char *panel
    cdef Work work
    cdef int number
    work.queries = team.work + thread * team.work_bytes
    work.gradients = work.queries + a.depth * nr * size
    work.results = work.gradients + a.width * nr * size
    work.numbers = work.results + a.depth * nr * size
    work.weights = work.numbers + 4 * nr * size
    work.shares = work.weights + block
    work.strip = work.shares + block
    panel = work.strip + nr * nr * size
    work.places = team.places
    for number in range(team.places):
        work.held[number].keys = panel
        work.held[number].values = panel + team.place_bytes // 3
        work.held[number].columns = panel + team.place_bytes // 3 * 2
        panel += team.place_bytes
    for head from thread <= head < a.heads by threads:
        for number in range(team.places):
            work.held[number].first_key = work.held[number].others_key = -1
        for first from 0 <= first < a.queries by nr:
            run_strip(team.backward, head, first, &work)


cdef int run_backward(const Backward *backward, int threads) noexcept nogil:
    """Compute gradients, dk and dv cleared before; return -1, with nothing written, without work memory."""
    cdef const Attention *a = &backward.forward
    cdef Py_ssize_t size = a.kernels.itemsize
    cdef Py_ssize_t nr = a.kernels.nr
    cdef Py_ssize_t longest = max(a.depth, a.width) + a.kernels.mr
    cdef double work = <double> a.heads * a.queries * a.keys * (a.depth + a.width)
    cdef Py_ssize_t fit
    cdef Team team
    threads = <int> max(1, min(<double> threads, min(<double> a.heads, work / THREAD_WORK)))
    team.backward = backward
    team.place_bytes = 3 * divided((min(a.keys, <Py_ssize_t> BLOCK) + a.kernels.mr) * longest * size, 1, LINE)
    fit = max(<Py_ssize_t> 1, <Py_ssize_t> (PLACES_BYTES // team.place_bytes))
    team.places = <int> min(min(<Py_ssize_t> PLACES, fit), divided(a.keys, BLOCK, 1))
    team.work_bytes = (2 * a.depth + a.width + nr + 4) * nr * size + 2 * divided(BLOCK * nr * size, 1, LINE)
    team.work_bytes = divided(team.work_bytes + team.places * team.place_bytes, 1, 4096)
    team.work = <char *> borrow(team.work_bytes * threads)
    if team.work == NULL:
        return -1
    run_parallel(run_member, &team, threads)
    return 0
