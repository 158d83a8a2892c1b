# Packing copies a strip of an operand into the order in which the micro-kernel reads it: for each k
# the elements across the strip stand side by side, padded with zeros to the tile's full width.

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


cdef inline void transpose_four(
    const real_t *source, Py_ssize_t ws, real_t *panel, Py_ssize_t step,
) noexcept nogil:
    # Four lines of four k each become four groups of four lines.
    cdef four_t r0 = (<four_t *> source)[0]
    cdef four_t r1 = (<four_t *> (source + ws))[0]
    cdef four_t r2 = (<four_t *> (source + 2 * ws))[0]
    cdef four_t r3 = (<four_t *> (source + 3 * ws))[0]
    cdef four_t low01 = LOW(r0, r1)
    cdef four_t low23 = LOW(r2, r3)
    cdef four_t high01 = HIGH(r0, r1)
    cdef four_t high23 = HIGH(r2, r3)
    (<four_t *> panel)[0] = FIRST(low01, low23)
    (<four_t *> (panel + step))[0] = SECOND(low01, low23)
    (<four_t *> (panel + 2 * step))[0] = FIRST(high01, high23)
    (<four_t *> (panel + 3 * step))[0] = SECOND(high01, high23)


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
    if width == full and ks == 1:
        while p + 4 <= k:
            for i from 0 <= i <= full - 4 by 4:
                transpose_four(source + i * ws + p, ws, panel + i, full)
            if full % 4:
                # The last four lines: some were done already, and are written again alike.
                transpose_four(source + (full - 4) * ws + p, ws, panel + full - 4, full)
            panel += 4 * full
            p += 4
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
