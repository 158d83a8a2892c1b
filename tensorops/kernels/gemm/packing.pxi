# Packing copies a strip of an operand into the order in which the micro-kernel reads it: for each k
# the elements across the strip stand side by side, padded with zeros to the tile's full width.
# The other copies between rows and columns stand here too.

cdef extern from *:
    """
    typedef REAL four_t __attribute__((vector_size(4 * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));
    #define LOW(x, y) ((four_t) {(x)[0], (y)[0], (x)[1], (y)[1]})
    #define HIGH(x, y) ((four_t) {(x)[2], (y)[2], (x)[3], (y)[3]})
    #define FIRST(x, y) ((four_t) {(x)[0], (x)[1], (y)[0], (y)[1]})
    #define SECOND(x, y) ((four_t) {(x)[2], (x)[3], (y)[2], (y)[3]})
    """
    ctypedef float four_t
    four_t LOW(four_t, four_t) noexcept nogil
    four_t HIGH(four_t, four_t) noexcept nogil
    four_t FIRST(four_t, four_t) noexcept nogil
    four_t SECOND(four_t, four_t) noexcept nogil


cdef inline void turn_four(four_t *r) noexcept nogil:
    # Four lines of four become four columns of four.
    cdef four_t low01 = LOW(r[0], r[1])
    cdef four_t low23 = LOW(r[2], r[3])
    cdef four_t high01 = HIGH(r[0], r[1])
    cdef four_t high23 = HIGH(r[2], r[3])
    r[0] = FIRST(low01, low23)
    r[1] = SECOND(low01, low23)
    r[2] = FIRST(high01, high23)
    r[3] = SECOND(high01, high23)


cdef inline void transpose_four(
    const real_t *source, Py_ssize_t ws, real_t *panel, Py_ssize_t step, const bint accumulate,
) noexcept nogil:
    # Four lines of four k each become four groups of four lines.
    cdef four_t r[4]
    cdef int i
    for i in range(4):
        r[i] = (<four_t *> (source + i * ws))[0]
    turn_four(r)
    for i in range(4):
        if accumulate:
            r[i] += (<four_t *> (panel + i * step))[0]
        (<four_t *> (panel + i * step))[0] = r[i]


cdef void turn(
    Py_ssize_t m, Py_ssize_t n, const real_t *source, Py_ssize_t ws,
    real_t *target, Py_ssize_t rs, Py_ssize_t cs,
) noexcept nogil:
    # target (m, n), of contiguous columns where it counts, = source (m, n), of contiguous rows.
    cdef Py_ssize_t i, j, top, left
    if rs != 1 or m < 4 or n < 4:
        for i in range(m):
            for j in range(n):
                target[i * rs + j * cs] = source[i * ws + j]
        return
    for i from 0 <= i < m by 4:
        # The last four rows and columns: some were done already, and are written again alike.
        top = min(i, m - 4)
        for j from 0 <= j < n by 4:
            left = min(j, n - 4)
            transpose_four(source + top * ws + left, ws, target + top + left * cs, cs, False)


cdef void place(
    Py_ssize_t m, Py_ssize_t n, const real_t *sums, Py_ssize_t stride,
    real_t *c, Py_ssize_t rs_c, Py_ssize_t cs_c, bint accumulate,
) noexcept nogil:
    # C (m, n) = sums (m, n) or += sums, rows of the sums contiguous.
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t j, q
    if not accumulate and cs_c != 1:
        turn(m, n, sums, stride, c, rs_c, cs_c)
        return
    if cs_c != 1 and rs_c == 1:
        while i + 4 <= m:
            for j from 0 <= j <= n - 4 by 4:
                transpose_four(sums + i * stride + j, stride, c + i + j * cs_c, cs_c, True)
            for j in range(n // 4 * 4, n):
                for q in range(i, i + 4):
                    c[q + j * cs_c] += sums[q * stride + j]
            i += 4
    while i < m:
        for j in range(n):
            if accumulate:
                c[i * rs_c + j * cs_c] += sums[i * stride + j]
            else:
                c[i * rs_c + j * cs_c] = sums[i * stride + j]
        i += 1


cdef inline void pack_strip(
    const int full, Py_ssize_t width, Py_ssize_t k,
    const real_t *source, Py_ssize_t ws, Py_ssize_t ks, real_t *panel,
) noexcept nogil:
    cdef Py_ssize_t p = 0
    cdef Py_ssize_t i
    if width == full and ws == 1:
        for p in range(k):
            prefetch(source + full)
            memcpy(panel, source, full * sizeof(real_t))
            source += ks
            panel += full
        return
    if width >= 4 and k >= 4 and ks == 1:
        while p < k:
            # The last four lines, and the last four k: some were done already, and are written again alike.
            if p + 4 > k:
                panel -= (p + 4 - k) * full
                p = k - 4
            for i from 0 <= i <= width - 4 by 4:
                transpose_four(source + i * ws + p, ws, panel + i, full, False)
            if width % 4:
                transpose_four(source + (width - 4) * ws + p, ws, panel + width - 4, full, False)
            if width < full:
                for i in range(4):
                    memset(panel + i * full + width, 0, (full - width) * sizeof(real_t))
            panel += 4 * full
            p += 4
        return
    while p < k:
        for i in range(width):
            panel[i] = source[i * ws + p * ks]
        for i in range(width, full):
            panel[i] = 0
        panel += full
        p += 1


cdef void pack_a(
    Py_ssize_t width, Py_ssize_t k, const void *source, Py_ssize_t ws, Py_ssize_t ks, void *panel,
) noexcept nogil:
    pack_strip(MR, width, k, <const real_t *> source, ws, ks, <real_t *> panel)


cdef void pack_b(
    Py_ssize_t width, Py_ssize_t k, const void *source, Py_ssize_t ws, Py_ssize_t ks, void *panel,
) noexcept nogil:
    pack_strip(NR, width, k, <const real_t *> source, ws, ks, <real_t *> panel)
