# Softmax of rows of contiguous elements. Powers carry a factor of SCALE until the last multiplication,
# so that none is subnormal before it.

cdef extern from *:
    """
    #define SCALE OF(0x1p64, 0x1p512)
    #define UNSCALE OF(0x1p-64, 0x1p-512)
    """
    const real_t SCALE, UNSCALE

ctypedef vector_t (*map_t)(vector_t x, vector_t y, vector_t z, const vector_t *c) noexcept nogil


cdef inline void each(
    map_t function, Py_ssize_t n, const real_t *x, const real_t *y, const real_t *z, real_t *out,
    const vector_t *c, bint stream,
) noexcept nogil:
    cdef Py_ssize_t i = 0
    if stream:
        i = before_alignment(out, n)
        if i > 0:
            store_part(out, function(
                load_part(x, i, ZERO), load_part(y, i, ZERO), load_part(z, i, ZERO), c,
            ), i)
    while i + LANES <= n:
        write(out + i, function(load(x + i), load(y + i), load(z + i), c), stream)
        i += LANES
    if i < n:
        store_part(out + i, function(
            load_part(x + i, n - i, ZERO), load_part(y + i, n - i, ZERO), load_part(z + i, n - i, ZERO), c,
        ), n - i)


cdef inline vector_t scaled(vector_t x, vector_t y, vector_t z, const vector_t *c) noexcept nogil:
    return x * c[0]


cdef inline vector_t scaled_twice(vector_t x, vector_t y, vector_t z, const vector_t *c) noexcept nogil:
    return (x * UNSCALE) * c[0]


cdef inline vector_t less_both(vector_t x, vector_t y, vector_t z, const vector_t *c) noexcept nogil:
    return (x - c[0]) - c[1]


cdef inline vector_t softmax_slope(vector_t x, vector_t y, vector_t z, const vector_t *c) noexcept nogil:
    return y * (x - c[0])


cdef inline vector_t peak_of(Py_ssize_t n, const real_t *x) noexcept nogil:
    cdef vector_t peak[4]
    cdef Py_ssize_t i = 0
    cdef int u
    for u in range(4):
        peak[u] = SPLAT(-INFINITE)
    while i + 4 * LANES <= n:
        for u in range(4):
            peak[u] = larger(load(x + i + u * LANES), peak[u])
        i += 4 * LANES
    while i + LANES <= n:
        peak[0] = larger(load(x + i), peak[0])
        i += LANES
    if i < n:
        peak[1] = larger(load_part(x + i, n - i, SPLAT(-INFINITE)), peak[1])
    return peak_in_all_lanes(larger(larger(peak[0], peak[1]), larger(peak[2], peak[3])))


cdef inline vector_t powers_of(
    Py_ssize_t n, const real_t *x, vector_t peak, real_t *out, const bint kept,
) noexcept nogil:
    # The sum of SCALE exp(x - peak), in all lanes.
    cdef vector_t total[2]
    cdef vector_t power
    cdef Py_ssize_t i = 0
    cdef int u
    total[0] = total[1] = ZERO
    while i + 2 * LANES <= n:
        for u in range(2):
            power = scaled_exponential(load(x + i + u * LANES) - peak)
            total[u] += power
            if kept:
                store(out + i + u * LANES, power)
        i += 2 * LANES
    if i + LANES <= n:
        power = scaled_exponential(load(x + i) - peak)
        total[0] += power
        if kept:
            store(out + i, power)
        i += LANES
    if i < n:
        power = scaled_exponential(load_part(x + i, n - i, SPLAT(-INFINITE)) - peak)
        total[1] += power
        if kept:
            store_part(out + i, power, n - i)
    return sum_in_all_lanes(total[0] + total[1])


cdef inline void softmax_short(Py_ssize_t n, const real_t *x, real_t *out, real_t factor) noexcept nogil:
    # A row of one vector.
    cdef vector_t v = load_part(x, n, SPLAT(-INFINITE))
    cdef vector_t power = scaled_exponential(v - peak_in_all_lanes(v))
    store_part(out, power * QUOTIENT(SPLAT(factor), sum_in_all_lanes(power)), n)


cdef inline void softmax_piece(Py_ssize_t n, const real_t *x, real_t *out, real_t factor) noexcept nogil:
    # A row that stays in L1. If the largest element is infinite, all differences to it are NaN.
    cdef vector_t c[1]
    c[0] = QUOTIENT(SPLAT(factor), powers_of(n, x, peak_of(n, x), out, True))
    each(scaled, n, out, out, out, out, c, False)


cdef struct Pieces:
    Py_ssize_t length
    int count
    double peak
    double total                # SCALE times the sum of exp(x - peak)
    double factors[PIECES]      # exp of the distance of a piece's peak from the row's


cdef void powers_of_pieces(
    Py_ssize_t n, const real_t *x, real_t *out, bint kept, Pieces *pieces,
) noexcept nogil:
    # Each piece is raised against its own largest element, so that it is read from memory once.
    cdef double peaks[PIECES]
    cdef double totals[PIECES]
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t count
    cdef vector_t peak
    cdef int k = 0
    pieces.length = max(PIECE, (n + PIECES - 1) // PIECES)
    pieces.peak = -INFINITE
    while start < n:
        count = min(pieces.length, n - start)
        peak = peak_of(count, x + start)
        peaks[k] = first_lane(peak)
        pieces.peak = max(pieces.peak, peaks[k])
        if peaks[k] == -INFINITE:
            peak = ZERO
        if kept:
            totals[k] = first_lane(powers_of(count, x + start, peak, out + start, True))
        else:
            totals[k] = first_lane(powers_of(count, x + start, peak, NULL, False))
        start += count
        k += 1
    pieces.count = k
    pieces.total = 0
    for k in range(pieces.count):
        # NaN where both are infinite.
        pieces.factors[k] = exp(peaks[k] - pieces.peak)
        pieces.total += pieces.factors[k] * totals[k]


cdef void softmax_pieces(
    Py_ssize_t n, const real_t *x, real_t *work, real_t *out, double factor, bint stream,
) noexcept nogil:
    cdef Pieces pieces
    cdef vector_t c[1]
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t count
    cdef int k
    powers_of_pieces(n, x, work, True, &pieces)
    for k in range(pieces.count):
        count = min(pieces.length, n - start)
        # The factor of a piece far below the row's peak would itself be subnormal.
        if pieces.factors[k] < 1e-6:
            c[0] = SPLAT(SCALE / pieces.total * factor * pieces.factors[k])
            each(scaled_twice, count, work + start, work + start, work + start, out + start, c, stream)
        else:
            c[0] = SPLAT(pieces.factors[k] * factor / pieces.total)
            each(scaled, count, work + start, work + start, work + start, out + start, c, stream)
        start += count


cdef inline void softmax_row(
    Py_ssize_t n, const real_t *x, real_t *work, real_t *out, real_t factor, bint stream,
) noexcept nogil:
    if n <= LANES:
        softmax_short(n, x, out, factor)
    elif n <= PIECE and not stream:
        softmax_piece(n, x, out, factor)
    else:
        softmax_pieces(n, x, work if stream else out, out, factor, stream)


cdef void softmax_rows(const Lines *lines) noexcept nogil:
    cdef Py_ssize_t row
    if lines.length <= LANES:
        for row in range(lines.count):
            softmax_short(
                lines.length, <const real_t *> (lines.x + row * lines.x_stride),
                <real_t *> (lines.out + row * lines.out_stride), 1,
            )
        return
    for row in range(lines.count):
        softmax_row(
            lines.length, <const real_t *> (lines.x + row * lines.x_stride), <real_t *> lines.buffer,
            <real_t *> (lines.out + row * lines.out_stride), 1, lines.stream,
        )
    if lines.stream:
        STREAMS_END()


cdef void sum_of_row(Py_ssize_t n, const real_t *x, double *peak, double *logarithm) noexcept nogil:
    # The largest element, and the logarithm of the sum of exp(x - peak).
    cdef Pieces pieces
    cdef vector_t top
    if n <= PIECE:
        top = peak_of(n, x)
        peak[0] = first_lane(top)
        logarithm[0] = log(first_lane(powers_of(n, x, top, NULL, False)) * <double> UNSCALE)
    else:
        powers_of_pieces(n, x, NULL, False, &pieces)
        peak[0] = pieces.peak
        logarithm[0] = log(pieces.total * <double> UNSCALE)


cdef void log_softmax_rows(const Lines *lines) noexcept nogil:
    cdef Py_ssize_t row
    cdef const real_t *x
    cdef double peak, logarithm
    cdef vector_t c[2]
    for row in range(lines.count):
        x = <const real_t *> (lines.x + row * lines.x_stride)
        sum_of_row(lines.length, x, &peak, &logarithm)
        c[0] = SPLAT(peak)
        c[1] = SPLAT(logarithm)
        if lines.stream:
            each(less_both, lines.length, x, x, x, <real_t *> (lines.out + row * lines.out_stride), c, True)
        else:
            each(less_both, lines.length, x, x, x, <real_t *> (lines.out + row * lines.out_stride), c, False)
    if lines.stream:
        STREAMS_END()


cdef inline vector_t dot_of(Py_ssize_t n, const real_t *x, const real_t *y) noexcept nogil:
    # In all lanes.
    cdef vector_t total[2]
    cdef Py_ssize_t i = 0
    cdef int u
    total[0] = total[1] = ZERO
    while i + 2 * LANES <= n:
        for u in range(2):
            total[u] += load(x + i + u * LANES) * load(y + i + u * LANES)
        i += 2 * LANES
    if i + LANES <= n:
        total[0] += load(x + i) * load(y + i)
        i += LANES
    if i < n:
        total[1] += load_part(x + i, n - i, ZERO) * load_part(y + i, n - i, ZERO)
    return sum_in_all_lanes(total[0] + total[1])


cdef void softmax_backward_rows(const Lines *lines) noexcept nogil:
    cdef Py_ssize_t row, start, n
    cdef const real_t *x
    cdef const real_t *y
    cdef double total
    cdef vector_t c[1]
    n = lines.length
    for row in range(lines.count):
        x = <const real_t *> (lines.x + row * lines.x_stride)
        y = <const real_t *> (lines.y + row * lines.y_stride)
        if n <= PIECE:
            c[0] = dot_of(n, x, y)
        else:
            total = 0
            start = 0
            while start < n:
                total += first_lane(dot_of(min(PIECE, n - start), x + start, y + start))
                start += PIECE
            c[0] = SPLAT(total)
        if lines.stream:
            each(softmax_slope, n, x, y, y, <real_t *> (lines.out + row * lines.out_stride), c, True)
        else:
            each(softmax_slope, n, x, y, y, <real_t *> (lines.out + row * lines.out_stride), c, False)
    if lines.stream:
        STREAMS_END()
