# Thin products: few rows of C, or little depth. Bound by memory, so B is read once, in long runs.

cdef enum:
    THIN_DEPTH = 8        # rows of B read side by side: so many streams the prefetchers follow
    THIN_WIDTH = 512      # columns of them that stay in L1 while all rows of A pass


cdef inline void sweep(
    const int rows, const Py_ssize_t depth, const int vectors, Py_ssize_t *start, Py_ssize_t stop,
    const real_t *factors, const real_t *b, Py_ssize_t rs_b, real_t *c, Py_ssize_t rs_c, bint accumulate,
) noexcept nogil:
    # C (rows, start:stop) += factors (rows, depth) @ B (depth, start:stop), whole vectors only.
    cdef vector_t acc[4][2]
    cdef vector_t row[2]
    cdef Py_ssize_t column = start[0]
    cdef Py_ssize_t p
    cdef int i, j
    while column + vectors * LANES <= stop:
        for i in range(rows):
            for j in range(vectors):
                acc[i][j] = ZERO
        for p in range(depth):
            for j in range(vectors):
                row[j] = (<unaligned_t *> (b + p * rs_b + column + j * LANES))[0]
            for i in range(rows):
                for j in range(vectors):
                    acc[i][j] += row[j] * factors[i * THIN_DEPTH + p]
        # Added last: partial sums keep the error of a long depth small.
        for i in range(rows):
            for j in range(vectors):
                if accumulate:
                    acc[i][j] += (<unaligned_t *> (c + i * rs_c + column + j * LANES))[0]
                (<unaligned_t *> (c + i * rs_c + column + j * LANES))[0] = acc[i][j]
        column += vectors * LANES
    start[0] = column


cdef inline void sweep_all(
    const int rows, const Py_ssize_t depth, Py_ssize_t start, Py_ssize_t stop,
    const real_t *a, Py_ssize_t rs_a, Py_ssize_t cs_a, const real_t *b, Py_ssize_t rs_b,
    real_t *c, Py_ssize_t rs_c, bint accumulate,
) noexcept nogil:
    cdef real_t factors[4 * THIN_DEPTH]
    cdef vector_t acc[4]
    cdef vector_t row
    cdef part_t part
    cdef Py_ssize_t p
    cdef int i
    for i in range(rows):
        for p in range(depth):
            factors[i * THIN_DEPTH + p] = a[i * rs_a + p * cs_a]
    sweep(rows, depth, 2, &start, stop, factors, b, rs_b, c, rs_c, accumulate)
    sweep(rows, depth, 1, &start, stop, factors, b, rs_b, c, rs_c, accumulate)
    if start < stop:
        part = FIRST_LANES(<int> (stop - start))
        for i in range(rows):
            acc[i] = ZERO
        for p in range(depth):
            row = read_part(b + p * rs_b + start, part)
            for i in range(rows):
                acc[i] += row * factors[i * THIN_DEPTH + p]
        for i in range(rows):
            if accumulate:
                acc[i] += load_part(c + i * rs_c + start, part)
            store_part(c + i * rs_c + start, part, acc[i])


cdef inline void sweep_rows(
    const Py_ssize_t depth, Py_ssize_t m, Py_ssize_t start, Py_ssize_t stop,
    const real_t *a, Py_ssize_t rs_a, Py_ssize_t cs_a, const real_t *b, Py_ssize_t rs_b,
    real_t *c, Py_ssize_t rs_c, bint accumulate,
) noexcept nogil:
    while m >= 4:
        sweep_all(4, depth, start, stop, a, rs_a, cs_a, b, rs_b, c, rs_c, accumulate)
        a += 4 * rs_a
        c += 4 * rs_c
        m -= 4
    if m & 2:
        sweep_all(2, depth, start, stop, a, rs_a, cs_a, b, rs_b, c, rs_c, accumulate)
        a += 2 * rs_a
        c += 2 * rs_c
    if m & 1:
        sweep_all(1, depth, start, stop, a, rs_a, cs_a, b, rs_b, c, rs_c, accumulate)


cdef void thin(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const void *a, Py_ssize_t rs_a, Py_ssize_t cs_a,
    const void *b, Py_ssize_t rs_b, void *c, Py_ssize_t rs_c, bint accumulate,
) noexcept nogil:
    cdef const real_t *left = <const real_t *> a
    cdef const real_t *right = <const real_t *> b
    cdef Py_ssize_t p, start, stop
    for p from 0 <= p < k by THIN_DEPTH:
        for start from 0 <= start < n by THIN_WIDTH:
            stop = min(start + THIN_WIDTH, n)
            if p + THIN_DEPTH <= k:
                sweep_rows(
                    THIN_DEPTH, m, start, stop, left, rs_a, cs_a, right, rs_b, <real_t *> c, rs_c,
                    accumulate or p > 0,
                )
            else:
                sweep_rows(
                    k - p, m, start, stop, left, rs_a, cs_a, right, rs_b, <real_t *> c, rs_c,
                    accumulate or p > 0,
                )
        left += THIN_DEPTH * cs_a
        right += THIN_DEPTH * rs_b


cdef void place_rows(
    Py_ssize_t m, Py_ssize_t n, const void *sums, Py_ssize_t stride,
    void *c, Py_ssize_t rs_c, Py_ssize_t cs_c, bint accumulate,
) noexcept nogil:
    place(m, n, <const real_t *> sums, stride, <real_t *> c, rs_c, cs_c, accumulate)


cdef double peak(Py_ssize_t iterations) noexcept nogil:
    # Ten independent chains of multiply-adds: enough to fill two pipes of latency five.
    cdef vector_t acc[10]
    cdef vector_t factor
    cdef real_t sink = 0
    cdef Py_ssize_t p
    cdef int i
    memset(acc, 0, sizeof(acc))
    memset(&factor, 0, sizeof(factor))
    factor = factor + <real_t> 0.5
    for i in range(10):
        acc[i] = acc[i] + <real_t> i      # equal chains would be computed once
    for p in range(iterations):
        for i in range(10):
            acc[i] = acc[i] * factor + factor
    for i in range(10):
        sink += (<real_t *> &acc[i])[0]
    return 2.0 * 10 * LANES * iterations + sink * 0
