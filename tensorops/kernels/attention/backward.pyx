"""Gradients of attention: the weights are computed once more, block by block, never kept as a matrix.

A task is a head. For each strip of NR queries a first pass over the keys brings maxima and sums, a second one
the weights P and, with D the sum of grad * out of each query, the gradients of the scores,
dS = P (grad V^T - D) scale, both turned as in ``forward.pyx``. Then dV += P^T grad, dK += dS^T Q, and
dQ^T += K^T dS^T.
"""

from libc.string cimport memset

from tensorops.kernels.attention.forward cimport (
    KEYS, Attention, Matrix, fill, hide, multiply_panels, pack_queries, pack_rows, store_results,
)
from tensorops.kernels.gemm.kernels cimport Kernels
from tensorops.kernels.gemm.plan cimport THREAD_WORK, divided
from tensorops.runtime.openmp cimport run_parallel
from tensorops.runtime.workspace cimport borrow


cdef struct Team:
    const Backward *backward
    char *work
    size_t work_bytes


cdef struct Work:
    char *queries              # Q^T of the strip, scaled
    char *gradients            # grad^T of the strip
    char *results              # dQ^T of the strip
    char *numbers              # maxima, sums, means and factors: NR of each
    char *weights              # (KEYS, NR), as is the next
    char *shares
    char *rows                 # rows of K or V, or columns of K, packed
    char *strip                # columns of Q or grad, packed


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
    cdef Py_ssize_t i, j
    cdef double total
    for i in range(count):
        grad = matrix_of(&b.grad, head, first + i, size)
        out = matrix_of(&a.out, head, first + i, size)
        total = 0
        for j in range(a.width):
            if size == 4:
                total += <double> (<const float *> grad)[j * step_grad] * (<const float *> out)[j * step_out]
            else:
                total += (<const double *> grad)[j * step_grad] * (<const double *> out)[j * step_out]
        fill(1, size, total, means + i * size)


cdef void compute_scores(
    const Attention *a, Py_ssize_t head, Py_ssize_t first, Py_ssize_t key, Py_ssize_t keys, const Work *work,
) noexcept nogil:
    """Compute the scores of a strip with a block of keys."""
    cdef Py_ssize_t size = a.kernels.itemsize
    cdef Py_ssize_t nr = a.kernels.nr
    if a.depth == 0:
        memset(work.weights, 0, keys * nr * size)
    pack_rows(
        a.kernels, keys, a.depth, matrix_of(&a.k, head, key, size), a.k.row, a.k.column, a.depth, work.rows
    )
    multiply_panels(a.kernels, keys, a.depth, work.rows, a.depth, work.queries, work.weights, False)
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
    const Backward *b, Py_ssize_t head, Py_ssize_t first, const Work *work,
) noexcept nogil:
    """Add what the queries of one strip give."""
    cdef const Attention *a = &b.forward
    cdef const Kernels *kernels = a.kernels
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t nr = kernels.nr
    cdef Py_ssize_t count = min(nr, a.queries - first)
    cdef Py_ssize_t last = min(a.keys, first + count) if a.causal else a.keys
    cdef Py_ssize_t key, keys
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
    for key from 0 <= key < last by KEYS:
        keys = min(<Py_ssize_t> KEYS, last - key)
        compute_scores(a, head, first, key, keys, work)
        a.columns.soften(keys, work.weights, maxima, sums, factors)
    for key from 0 <= key < last by KEYS:
        keys = min(<Py_ssize_t> KEYS, last - key)
        compute_scores(a, head, first, key, keys, work)
        a.columns.weigh(keys, work.weights, maxima, sums)
        pack_rows(
            kernels, keys, a.width, matrix_of(&a.v, head, key, size), a.v.row, a.v.column, a.width, work.rows
        )
        if a.width == 0:
            memset(work.shares, 0, keys * nr * size)
        multiply_panels(kernels, keys, a.width, work.rows, a.width, work.gradients, work.shares, False)
        a.columns.spread(keys, work.weights, means, a.scale, work.shares)
        add_rows_of(
            a, keys, count, work.weights, &b.grad, a.width, gradients, &b.dv,
            <char *> matrix_of(&b.dv, head, key, size), work.strip,
        )
        add_rows_of(
            a, keys, count, work.shares, &a.q, a.depth, queries, &b.dk,
            <char *> matrix_of(&b.dk, head, key, size), work.strip,
        )
        pack_rows(
            kernels, a.depth, keys, matrix_of(&a.k, head, key, size), a.k.column, a.k.row, keys, work.rows
        )
        multiply_panels(kernels, a.depth, keys, work.rows, keys, work.shares, work.results, key > 0)
    store_results(
        a, &b.dq, count, a.depth, work.results, <char *> matrix_of(&b.dq, head, first, size), work.weights
    )


cdef void run_member(void *context, int thread, int threads) noexcept nogil:
    """Compute the heads of one thread."""
    cdef const Team *team = <const Team *> context
    cdef const Attention *a = &team.backward.forward
    cdef Py_ssize_t size = a.kernels.itemsize
    cdef Py_ssize_t nr = a.kernels.nr
    cdef Py_ssize_t block = divided(KEYS * nr * size, 1, 64)
    cdef Py_ssize_t head, first
    cdef Work work
    work.queries = team.work + thread * team.work_bytes
    work.gradients = work.queries + a.depth * nr * size
    work.results = work.gradients + a.width * nr * size
    work.numbers = work.results + a.depth * nr * size
    work.weights = work.numbers + 4 * nr * size
    work.shares = work.weights + block
    work.strip = work.shares + block
    work.rows = work.strip + nr * nr * size
    for head from thread <= head < a.heads by threads:
        for first from 0 <= first < a.queries by nr:
            run_strip(team.backward, head, first, &work)


cdef int run_backward(const Backward *backward, int threads) noexcept nogil:
    """Compute gradients, dk and dv cleared before; return -1, with nothing written, without work memory."""
    cdef const Attention *a = &backward.forward
    cdef Py_ssize_t size = a.kernels.itemsize
    cdef Py_ssize_t nr = a.kernels.nr
    cdef Py_ssize_t longest = max(a.depth, a.width) + a.kernels.mr
    cdef double work = <double> a.heads * a.queries * a.keys * (a.depth + a.width)
    cdef Team team
    threads = <int> max(1, min(<double> threads, min(<double> a.heads, work / THREAD_WORK)))
    team.backward = backward
    team.work_bytes = (2 * a.depth + a.width + nr + 4) * nr * size + 2 * divided(KEYS * nr * size, 1, 64)
    team.work_bytes = divided(team.work_bytes + (KEYS + a.kernels.mr) * longest * size, 1, 4096)
    team.work = <char *> borrow(team.work_bytes * threads)
    if team.work == NULL:
        return -1
    run_parallel(run_member, &team, threads)
    return 0
