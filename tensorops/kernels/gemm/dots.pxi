# Dot products: rows of A times columns of B, both contiguous, so the vectors run along the depth.
#
# A block of up to 4 x 4 products shares its loads; a smaller one takes several vectors of the depth at
# a time, so that no sum waits for the one before.

cdef extern from *:
    """
    /* The sums of the lanes of four vectors. */
    static inline four_t sums_of_lanes(const vector_t *v) {
        four_t r[4], low01, low23, high01, high23;
    #if defined(__GNUC__) && VECTOR_BYTES == 64 && defined(__AVX512F__)
        for (int i = 0; i < 4; i++) {
            if (sizeof(REAL) == 4) {
                __m256 half = _mm256_add_ps(_mm512_castps512_ps256((__m512) v[i]),
                                            _mm512_extractf32x8_ps((__m512) v[i], 1));
                __m128 four = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
                memcpy(&r[i], &four, sizeof(four_t));
            } else {
                __m256d half = _mm512_castpd512_pd256((__m512d) v[i])
                             + _mm512_extractf64x4_pd((__m512d) v[i], 1);
                memcpy(&r[i], &half, sizeof(four_t));
            }
        }
    #else
        for (int i = 0; i < 4; i++) {
            REAL lanes[LANES];
            memcpy(lanes, &v[i], sizeof(vector_t));
            for (int l = 0; l < 4; l++) r[i][l] = l < LANES ? lanes[l] : 0;
            for (int l = 4; l < LANES; l++) r[i][l % 4] += lanes[l];
        }
    #endif
        low01 = LOW(r[0], r[1]), low23 = LOW(r[2], r[3]);
        high01 = HIGH(r[0], r[1]), high23 = HIGH(r[2], r[3]);
        return FIRST(low01, low23) + SECOND(low01, low23) + FIRST(high01, high23) + SECOND(high01, high23);
    }
    """
    four_t sums_of_lanes(const vector_t *v) noexcept nogil


cdef inline void dot_block(
    const int rows, const int columns, Py_ssize_t k, const real_t *a, Py_ssize_t rs_a,
    const real_t *b, Py_ssize_t cs_b, real_t *c, Py_ssize_t rs_c, Py_ssize_t cs_c, bint accumulate,
) noexcept nogil:
    cdef vector_t acc[16]
    cdef vector_t sums[16]
    cdef vector_t left[4]
    cdef vector_t right
    cdef four_t total
    cdef int count = rows * columns
    cdef int groups = 1 if count >= 8 else 8 // count
    cdef part_t part
    cdef Py_ssize_t p = 0
    cdef Py_ssize_t stop
    cdef bint started = False
    cdef int i, j, g
    for i in range(count, 4):
        sums[i] = ZERO
    while p < k:
        # A lane adds up so many products at most, and then their sum to those of others.
        stop = min(k, p + groups * LANES * LONGEST_RUN)
        for g in range(groups):
            for j in range(columns):
                for i in range(rows):
                    acc[g * count + j * rows + i] = ZERO
        while p + groups * LANES <= stop:
            for g in range(groups):
                for i in range(rows):
                    left[i] = (<unaligned_t *> (a + i * rs_a + p))[0]
                for j in range(columns):
                    right = (<unaligned_t *> (b + j * cs_b + p))[0]
                    for i in range(rows):
                        acc[g * count + j * rows + i] += left[i] * right
                p += LANES
        while p < stop:
            part = FIRST_LANES(<int> min(<Py_ssize_t> LANES, stop - p))
            for i in range(rows):
                left[i] = read_part(a + i * rs_a + p, part)
            for j in range(columns):
                right = read_part(b + j * cs_b + p, part)
                for i in range(rows):
                    acc[j * rows + i] += left[i] * right
            p += LANES
        for j in range(columns):
            for i in range(rows):
                for g in range(1, groups):
                    acc[j * rows + i] += acc[g * count + j * rows + i]
                sums[j * rows + i] = sums[j * rows + i] + acc[j * rows + i] if started else acc[j * rows + i]
        started = True
    for g from 0 <= g < count by 4:
        total = sums_of_lanes(&sums[g])
        for i in range(min(count, 4)):
            j = g + i
            if accumulate:
                c[j % rows * rs_c + j // rows * cs_c] += (<real_t *> &total)[i]
            else:
                c[j % rows * rs_c + j // rows * cs_c] = (<real_t *> &total)[i]


cdef inline void dot_rows(
    const int rows, Py_ssize_t n, Py_ssize_t k, const real_t *a, Py_ssize_t rs_a,
    const real_t *b, Py_ssize_t cs_b, real_t *c, Py_ssize_t rs_c, Py_ssize_t cs_c, bint accumulate,
) noexcept nogil:
    while n >= 4:
        dot_block(rows, 4, k, a, rs_a, b, cs_b, c, rs_c, cs_c, accumulate)
        b += 4 * cs_b
        c += 4 * cs_c
        n -= 4
    if n & 2:
        dot_block(rows, 2, k, a, rs_a, b, cs_b, c, rs_c, cs_c, accumulate)
        b += 2 * cs_b
        c += 2 * cs_c
    if n & 1:
        dot_block(rows, 1, k, a, rs_a, b, cs_b, c, rs_c, cs_c, accumulate)


cdef void dots(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const void *a, Py_ssize_t rs_a, const void *b, Py_ssize_t cs_b,
    void *c, Py_ssize_t rs_c, Py_ssize_t cs_c, bint accumulate,
) noexcept nogil:
    cdef const real_t *left = <const real_t *> a
    cdef real_t *out = <real_t *> c
    while m >= 4:
        dot_rows(4, n, k, left, rs_a, <const real_t *> b, cs_b, out, rs_c, cs_c, accumulate)
        left += 4 * rs_a
        out += 4 * rs_c
        m -= 4
    if m & 2:
        dot_rows(2, n, k, left, rs_a, <const real_t *> b, cs_b, out, rs_c, cs_c, accumulate)
        left += 2 * rs_a
        out += 2 * rs_c
    if m & 1:
        dot_rows(1, n, k, left, rs_a, <const real_t *> b, cs_b, out, rs_c, cs_c, accumulate)


cdef void lines(
    Py_ssize_t n, Py_ssize_t k, const void *b, Py_ssize_t rs_b, Py_ssize_t cs_b, void *target,
) noexcept nogil:
    # The columns of B (k, n), each a line of k in `target`.
    cdef const real_t *source = <const real_t *> b
    cdef real_t *line = <real_t *> target
    cdef Py_ssize_t j, p
    if cs_b == 1 and n > 1:
        turn(k, n, source, rs_b, line, 1, k)
        return
    for j in range(n):
        for p in range(k):
            line[j * k + p] = source[p * rs_b + j * cs_b]
