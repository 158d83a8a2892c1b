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
    const int rows, Py_ssize_t k, const real_t *a, Py_ssize_t stride, const real_t *x, real_t *y, bint accumulate,
) noexcept nogil:
    # `rows` dot products at a time share each load of x; two accumulators a row hide the latency.
    cdef vector_t acc[4][2]
    cdef real_t total
    cdef Py_ssize_t p = 0
    cdef Py_ssize_t q
    cdef int i
    memset(acc, 0, sizeof(acc))
    while p + 2 * LANES <= k:
        for i in range(rows):
            acc[i][0] += (<unaligned_t *> (a + i * stride + p))[0] * (<unaligned_t *> (x + p))[0]
            acc[i][1] += (<unaligned_t *> (a + i * stride + p + LANES))[0] * (<unaligned_t *> (x + p + LANES))[0]
        p += 2 * LANES
    for i in range(rows):
        total = lanes_sum(acc[i][0] + acc[i][1])
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


cdef inline void sums(
    const int columns, const bint accumulate, Py_ssize_t m,
    const real_t *a, Py_ssize_t stride, const real_t *x, real_t *y,
) noexcept nogil:
    # y += x[0] a[:, 0] + ... : `columns` streams of A for one pass over y.
    cdef vector_t total
    cdef real_t one
    cdef Py_ssize_t i = 0
    cdef int j
    while i + LANES <= m:
        total = (<unaligned_t *> (a + i))[0] * x[0]
        for j in range(1, columns):
            total += (<unaligned_t *> (a + j * stride + i))[0] * x[j]
        if accumulate:
            total += (<unaligned_t *> (y + i))[0]
        (<unaligned_t *> (y + i))[0] = total
        i += LANES
    while i < m:
        one = a[i] * x[0]
        for j in range(1, columns):
            one += a[j * stride + i] * x[j]
        y[i] = y[i] + one if accumulate else one
        i += 1


cdef enum:
    GEMV_ROWS = 2048     # elements of y that stay in L1 while all columns pass


cdef void gemv_columns(
    Py_ssize_t m, Py_ssize_t k, const void *a, Py_ssize_t stride, const void *x, void *y, bint accumulate,
) noexcept nogil:
    cdef const real_t *factors = <const real_t *> x
    cdef const real_t *column
    cdef real_t *out
    cdef Py_ssize_t start, rows, j
    for start from 0 <= start < m by GEMV_ROWS:
        rows = min(GEMV_ROWS, m - start)
        out = <real_t *> y + start
        column = <const real_t *> a + start
        j = 0
        if not accumulate:
            sums(1, False, rows, column, stride, factors, out)
            j = 1
        while j + 8 <= k:
            sums(8, True, rows, column + j * stride, stride, factors + j, out)
            j += 8
        while j < k:
            sums(1, True, rows, column + j * stride, stride, factors + j, out)
            j += 1


cdef void outer(
    Py_ssize_t m, Py_ssize_t n, const void *x, Py_ssize_t inc_x, const void *y,
    void *c, Py_ssize_t rs_c, bint accumulate,
) noexcept nogil:
    cdef const real_t *factors = <const real_t *> x
    cdef Py_ssize_t i
    for i in range(m):
        if accumulate:
            sums(1, True, n, <const real_t *> y, 0, factors + i * inc_x, <real_t *> c + i * rs_c)
        else:
            sums(1, False, n, <const real_t *> y, 0, factors + i * inc_x, <real_t *> c + i * rs_c)


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
