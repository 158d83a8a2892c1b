# Softmax along an axis whose neighbouring elements lie in different rows: a block of columns at a time,
# its sums and largest elements lane by lane.

cdef enum:
    WIDE = 4            # vectors in a block of columns
    RUN = 16            # terms of a sum that are added up plainly


cdef inline vector_t taken(const real_t *x, const Py_ssize_t lanes) noexcept nogil:
    return load(x) if lanes == LANES else load_part(x, lanes, ZERO)


cdef inline void put(real_t *out, vector_t v, const Py_ssize_t lanes) noexcept nogil:
    if lanes == LANES:
        store(out, v)
    else:
        store_part(out, v, lanes)


cdef inline void add_exactly(vector_t *total, vector_t *lost, vector_t term) noexcept nogil:
    # Kahan's sum: long columns would lose digits.
    cdef vector_t y = term - lost[0]
    cdef vector_t next_total = total[0] + y
    lost[0] = (next_total - total[0]) - y
    total[0] = next_total


cdef inline void softmax_block(
    const int wide, const Lines *lines, Py_ssize_t at, const Py_ssize_t lanes, const bint logarithm,
) noexcept nogil:
    cdef vector_t peak[WIDE]
    cdef vector_t total[WIDE]
    cdef vector_t lost[WIDE]
    cdef vector_t part[WIDE]
    cdef vector_t power
    cdef const real_t *x
    cdef real_t *out
    cdef real_t *entry
    cdef Py_ssize_t i, start
    cdef int u, lane
    for u in range(wide):
        peak[u] = SPLAT(-INFINITE)
        total[u] = lost[u] = ZERO
    for i in range(lines.length):
        x = <const real_t *> (lines.x + i * lines.x_stride) + at
        for u in range(wide):
            peak[u] = larger(taken(x + u * LANES, lanes), peak[u])
    start = 0
    while start < lines.length:
        for u in range(wide):
            part[u] = ZERO
        for i in range(start, min(start + RUN, lines.length)):
            x = <const real_t *> (lines.x + i * lines.x_stride) + at
            out = <real_t *> (lines.out + i * lines.out_stride) + at
            for u in range(wide):
                power = scaled_exponential(taken(x + u * LANES, lanes) - peak[u])
                part[u] += power
                if not logarithm:
                    put(out + u * LANES, power, lanes)
        for u in range(wide):
            add_exactly(&total[u], &lost[u], part[u])
        start += RUN
    for u in range(wide):
        if logarithm:
            entry = <real_t *> &total[u]
            for lane in range(LANES):
                entry[lane] = <real_t> log(entry[lane] * <double> UNSCALE)
        else:
            total[u] = QUOTIENT(SPLAT(1), total[u])
    for i in range(lines.length):
        x = <const real_t *> (lines.x + i * lines.x_stride) + at
        out = <real_t *> (lines.out + i * lines.out_stride) + at
        for u in range(wide):
            if logarithm:
                put(out + u * LANES, (taken(x + u * LANES, lanes) - peak[u]) - total[u], lanes)
            else:
                put(out + u * LANES, taken(out + u * LANES, lanes) * total[u], lanes)


cdef inline void all_blocks(const Lines *lines, const bint logarithm) noexcept nogil:
    cdef Py_ssize_t at = 0
    while at + WIDE * LANES <= lines.count:
        softmax_block(WIDE, lines, at, LANES, logarithm)
        at += WIDE * LANES
    while at + LANES <= lines.count:
        softmax_block(1, lines, at, LANES, logarithm)
        at += LANES
    if at < lines.count:
        softmax_block(1, lines, at, lines.count - at, logarithm)


cdef void softmax_columns(const Lines *lines) noexcept nogil:
    all_blocks(lines, False)


cdef void log_softmax_columns(const Lines *lines) noexcept nogil:
    all_blocks(lines, True)


cdef inline void backward_block(
    const int wide, const Lines *lines, Py_ssize_t at, const Py_ssize_t lanes,
) noexcept nogil:
    cdef vector_t total[WIDE]
    cdef vector_t part[WIDE]
    cdef const real_t *x
    cdef const real_t *y
    cdef real_t *out
    cdef Py_ssize_t i, start
    cdef int u
    for u in range(wide):
        total[u] = ZERO
    start = 0
    while start < lines.length:
        for u in range(wide):
            part[u] = ZERO
        for i in range(start, min(start + RUN, lines.length)):
            x = <const real_t *> (lines.x + i * lines.x_stride) + at
            y = <const real_t *> (lines.y + i * lines.y_stride) + at
            for u in range(wide):
                part[u] += taken(x + u * LANES, lanes) * taken(y + u * LANES, lanes)
        for u in range(wide):
            total[u] += part[u]
        start += RUN
    for i in range(lines.length):
        x = <const real_t *> (lines.x + i * lines.x_stride) + at
        y = <const real_t *> (lines.y + i * lines.y_stride) + at
        out = <real_t *> (lines.out + i * lines.out_stride) + at
        for u in range(wide):
            put(
                out + u * LANES,
                taken(y + u * LANES, lanes) * (taken(x + u * LANES, lanes) - total[u]), lanes,
            )


cdef void softmax_backward_columns(const Lines *lines) noexcept nogil:
    cdef Py_ssize_t at = 0
    while at + WIDE * LANES <= lines.count:
        backward_block(WIDE, lines, at, LANES)
        at += WIDE * LANES
    while at + LANES <= lines.count:
        backward_block(1, lines, at, LANES)
        at += LANES
    if at < lines.count:
        backward_block(1, lines, at, lines.count - at)
