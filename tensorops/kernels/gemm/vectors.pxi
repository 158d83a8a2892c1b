# Products with a vector: bound by memory, so each reads its matrix once, in long contiguous runs.

cdef inline real_t lanes_sum(vector_t v) noexcept nogil:
    cdef real_t parts[LANES]
    cdef int width = LANES // 2
    cdef int i
    memcpy(parts, &v, sizeof(v))
    while width > 0:
        for i in range(width):
            parts[i] += parts[i + width]
        width = width // 2
    return parts[0]


cdef inline void dots(
    const int rows, Py_ssize_t k, const real_t *a, Py_ssize_t stride, const real_t *x,
    real_t *y, bint accumulate,
) noexcept nogil:
    # `rows` dot products at a time share each load of x; two accumulators a row hide the latency.
    cdef vector_t acc[4][2]
    cdef vector_t sums[4]
    cdef real_t total
    cdef Py_ssize_t p = 0
    cdef Py_ssize_t q, stop
    cdef int i, j
    memset(sums, 0, sizeof(sums))
    while p + 2 * LANES <= k:
        stop = min(k, p + 2 * LANES * LONGEST_RUN)
        memset(acc, 0, sizeof(acc))
        while p + 2 * LANES <= stop:
            for i in range(rows):
                for j in range(2):
                    acc[i][j] += (
                        (<unaligned_t *> (a + i * stride + p + j * LANES))[0]
                        * (<unaligned_t *> (x + p + j * LANES))[0]
                    )
            p += 2 * LANES
        for i in range(rows):
            sums[i] += acc[i][0] + acc[i][1]
    for i in range(rows):
        total = lanes_sum(sums[i])
        for q in range(p, k):
            total += a[i * stride + q] * x[q]
        y[i] = y[i] + total if accumulate else total


cdef void gemv_rows(
    Py_ssize_t m, Py_ssize_t k, const void *a, Py_ssize_t stride, const void *x, void *y, bint accumulate,
) noexcept nogil:
    cdef const real_t *line = <const real_t *> a
    cdef real_t *out = <real_t *> y
    cdef Py_ssize_t i = 0
    while i + 4 <= m:
        dots(4, k, line + i * stride, stride, <const real_t *> x, out + i, accumulate)
        i += 4
    while i < m:
        dots(1, k, line + i * stride, stride, <const real_t *> x, out + i, accumulate)
        i += 1


cdef enum:
    THIN_DEPTH = 8        # rows of B read side by side: so many streams the prefetchers follow
    THIN_WIDTH = 512      # columns of them that stay in L1 while all rows of A pass


cdef inline void sweep(
    const int rows, const int depth, const int vectors, Py_ssize_t *start, Py_ssize_t stop,
    const real_t *factors, const real_t *b, Py_ssize_t rs_b, real_t *c, Py_ssize_t rs_c, bint accumulate,
) noexcept nogil:
    # C (rows, start:stop) += factors (rows, depth) @ B (depth, start:stop), whole vectors only.
    cdef vector_t acc[4][2]
    cdef vector_t row[2]
    cdef Py_ssize_t column = start[0]
    cdef int i, j, p
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
    const int rows, const int depth, Py_ssize_t start, Py_ssize_t stop,
    const real_t *a, Py_ssize_t rs_a, Py_ssize_t cs_a, const real_t *b, Py_ssize_t rs_b,
    real_t *c, Py_ssize_t rs_c, bint accumulate,
) noexcept nogil:
    cdef real_t factors[4 * THIN_DEPTH]
    cdef real_t total
    cdef int i, p
    for i in range(rows):
        for p in range(depth):
            factors[i * THIN_DEPTH + p] = a[i * rs_a + p * cs_a]
    sweep(rows, depth, 2, &start, stop, factors, b, rs_b, c, rs_c, accumulate)
    sweep(rows, depth, 1, &start, stop, factors, b, rs_b, c, rs_c, accumulate)
    while start < stop:
        for i in range(rows):
            total = 0
            for p in range(depth):
                total += factors[i * THIN_DEPTH + p] * b[p * rs_b + start]
            c[i * rs_c + start] = c[i * rs_c + start] + total if accumulate else total
        start += 1


cdef inline void sweep_rows(
    const int depth, Py_ssize_t m, Py_ssize_t start, Py_ssize_t stop,
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
    cdef Py_ssize_t p = 0
    cdef Py_ssize_t start
    while p < k:
        for start from 0 <= start < n by THIN_WIDTH:
            if p + THIN_DEPTH <= k:
                sweep_rows(
                    THIN_DEPTH, m, start, min(start + THIN_WIDTH, n), left, rs_a, cs_a,
                    right, rs_b, <real_t *> c, rs_c, accumulate or p > 0,
                )
            else:
                sweep_rows(
                    1, m, start, min(start + THIN_WIDTH, n), left, rs_a, cs_a,
                    right, rs_b, <real_t *> c, rs_c, accumulate or p > 0,
                )
        if p + THIN_DEPTH <= k:
            p += THIN_DEPTH
            left += THIN_DEPTH * cs_a
            right += THIN_DEPTH * rs_b
        else:
            p += 1
            left += cs_a
            right += rs_b


cdef void add_rows(
    Py_ssize_t m, Py_ssize_t n, const void *sums, Py_ssize_t stride, void *c, Py_ssize_t rs_c,
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef const real_t *source = <const real_t *> sums
    cdef real_t *target = <real_t *> c
    for i in range(m):
        for j in range(n):
            target[i * rs_c + j] += source[i * stride + j]


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
        sink += lanes_sum(acc[i])
    return 2.0 * 10 * LANES * iterations + sink * 0
