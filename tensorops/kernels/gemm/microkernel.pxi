# The register tile: C (rows, vectors * LANES) += A (rows, k) @ B (k, vectors * LANES).
#
# `rows` and `vectors` are constants wherever this is inlined, so the compiler keeps `acc` in
# registers and unrolls both loops. Rows of B are read as whole vectors: the caller pads them.
#
# A sum's rounding error grows with its length, so a long one is cut into equal runs of at most
# LONGEST_RUN products, each added up in registers and then added to C.

cdef inline void tile(
    const int rows, const int vectors, Py_ssize_t k,
    const real_t *a, const Py_ssize_t rs_a, const Py_ssize_t cs_a, const real_t *b, const Py_ssize_t rs_b,
    real_t *c, Py_ssize_t rs_c, Py_ssize_t cs_c, int n, bint accumulate,
) noexcept nogil:
    cdef vector_t acc[MR][NR_VECTORS]
    cdef vector_t row[NR_VECTORS]
    cdef real_t spill[MR * NR]
    cdef Py_ssize_t run = k
    cdef Py_ssize_t p
    cdef int i, j
    if k > LONGEST_RUN:
        run = (k + LONGEST_RUN - 1) // LONGEST_RUN
        run = (k + run - 1) // run
    for i in range(rows):
        # A row of the tile begins anywhere in a cache line, and may end in the next.
        prefetch(c + i * rs_c)
        prefetch(c + i * rs_c + vectors * LANES - 1)
    while k > 0:
        for i in range(rows):
            for j in range(vectors):
                acc[i][j] = ZERO
        for p in range(min(run, k)):
            if rs_b != NR:
                prefetch(b + NR)
            for j in range(vectors):
                row[j] = (<unaligned_t *> (b + j * LANES))[0]
            for i in range(rows):
                for j in range(vectors):
                    acc[i][j] += row[j] * a[i * rs_a]
            a += cs_a
            b += rs_b
        if n == vectors * LANES and cs_c == 1:
            if accumulate:
                for i in range(rows):
                    for j in range(vectors):
                        acc[i][j] += (<unaligned_t *> (c + i * rs_c + j * LANES))[0]
            for i in range(rows):
                for j in range(vectors):
                    (<unaligned_t *> (c + i * rs_c + j * LANES))[0] = acc[i][j]
        else:
            for i in range(rows):
                for j in range(vectors):
                    (<unaligned_t *> &spill[i * NR + j * LANES])[0] = acc[i][j]
            for i in range(rows):
                for j in range(n):
                    if accumulate:
                        c[i * rs_c + j * cs_c] += spill[i * NR + j]
                    else:
                        c[i * rs_c + j * cs_c] = spill[i * NR + j]
        accumulate = True
        k -= run
