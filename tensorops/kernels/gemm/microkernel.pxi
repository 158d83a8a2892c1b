# The register tile: C (rows, vectors * LANES) += A (rows, k) @ B (k, vectors * LANES).
#
# `rows`, `vectors` and `padded` are constants wherever this is inlined, so the compiler keeps `acc` in
# registers and unrolls the loops. Rows of B are read as whole vectors where they are `padded`; else the
# last vector of a row is read up to column n.
#
# A tile of few accumulators would wait for each sum before the next: it takes several steps of the depth
# at a time, each with sums of its own.
#
# Every loop over the tile does one thing: a longer body would not be unrolled before the compiler decides
# what lives in registers, and the tile would be written to the stack and read back.
#
# A sum's rounding error grows with its length, so a long one is cut into equal runs of at most
# LONGEST_RUN products, each added up in registers and then added to C.

cdef inline void tile(
    const int rows, const int vectors, const bint padded, Py_ssize_t k,
    const real_t *a, const Py_ssize_t rs_a, const Py_ssize_t cs_a, const real_t *b, const Py_ssize_t rs_b,
    real_t *c, Py_ssize_t rs_c, Py_ssize_t cs_c, int n, bint accumulate,
) noexcept nogil:
    cdef vector_t acc[MR * NR_VECTORS]
    cdef vector_t row[NR_VECTORS]
    cdef real_t spill[MR * NR + 4]
    cdef int groups = 1 if rows * vectors >= 8 else 8 // (rows * vectors)
    cdef part_t part = FIRST_LANES(n - (vectors - 1) * LANES)
    cdef Py_ssize_t run = k
    cdef Py_ssize_t p, stop
    cdef int i, j, g
    if k > LONGEST_RUN:
        run = (k + LONGEST_RUN - 1) // LONGEST_RUN
        run = (k + run - 1) // run
    if groups == 1 and k > 8:
        for i in range(rows):
            # A row of the tile begins anywhere in a cache line, and may end in the next.
            prefetch(c + i * rs_c)
            prefetch(c + i * rs_c + vectors * LANES - 1)
    while k > 0:
        for g in range(groups):
            for i in range(rows):
                for j in range(vectors):
                    acc[(g * rows + i) * vectors + j] = ZERO
        stop = min(run, k)
        p = 0
        while p + groups <= stop:
            if groups == 1 and rs_b != NR:
                prefetch(b + NR)
            for g in range(groups):
                for j in range(vectors):
                    if padded or j < vectors - 1:
                        row[j] = (<unaligned_t *> (b + j * LANES))[0]
                    else:
                        row[j] = read_part(b + j * LANES, part)
                for i in range(rows):
                    for j in range(vectors):
                        acc[(g * rows + i) * vectors + j] += row[j] * a[i * rs_a]
                a += cs_a
                b += rs_b
            p += groups
        if groups > 1:
            while p < stop:
                for j in range(vectors):
                    row[j] = read_part(b + j * LANES, part if j == vectors - 1 else FIRST_LANES(LANES))
                for i in range(rows):
                    for j in range(vectors):
                        acc[i * vectors + j] += row[j] * a[i * rs_a]
                a += cs_a
                b += rs_b
                p += 1
            for g in range(1, groups):
                for i in range(rows):
                    for j in range(vectors):
                        acc[i * vectors + j] += acc[(g * rows + i) * vectors + j]
        if cs_c == 1 and n == vectors * LANES:
            if accumulate:
                for i in range(rows):
                    for j in range(vectors):
                        acc[i * vectors + j] += (<unaligned_t *> (c + i * rs_c + j * LANES))[0]
            for i in range(rows):
                for j in range(vectors):
                    (<unaligned_t *> (c + i * rs_c + j * LANES))[0] = acc[i * vectors + j]
        elif cs_c == 1:
            if accumulate:
                for i in range(rows):
                    for j in range(vectors - 1):
                        acc[i * vectors + j] += (<unaligned_t *> (c + i * rs_c + j * LANES))[0]
                for i in range(rows):
                    acc[(i + 1) * vectors - 1] += load_part(c + i * rs_c + (vectors - 1) * LANES, part)
            for i in range(rows):
                for j in range(vectors - 1):
                    (<unaligned_t *> (c + i * rs_c + j * LANES))[0] = acc[i * vectors + j]
            for i in range(rows):
                store_part(c + i * rs_c + (vectors - 1) * LANES, part, acc[(i + 1) * vectors - 1])
        else:
            for i in range(rows):
                for j in range(vectors):
                    (<unaligned_t *> &spill[i * NR + j * LANES])[0] = acc[i * vectors + j]
            place(rows, n, spill, NR, c, rs_c, cs_c, accumulate)
        accumulate = True
        k -= run
