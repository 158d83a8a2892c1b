# Layer norm and RMS norm: the same functions, with and without the mean taken out.

cdef inline vector_t sum_of(Py_ssize_t n, const real_t *x) noexcept nogil:
    # In all lanes.
    cdef vector_t total[4]
    cdef Py_ssize_t i = 0
    cdef int u
    for u in range(4):
        total[u] = ZERO
    while i + 4 * LANES <= n:
        for u in range(4):
            total[u] += load(x + i + u * LANES)
        i += 4 * LANES
    while i + LANES <= n:
        total[0] += load(x + i)
        i += LANES
    if i < n:
        total[1] += load_part(x + i, n - i, ZERO)
    return sum_in_all_lanes((total[0] + total[1]) + (total[2] + total[3]))


cdef inline void deviations_of(
    Py_ssize_t n, const real_t *x, vector_t mean, vector_t *rest, vector_t *squares,
) noexcept nogil:
    # Sums of x - mean and of its square, in all lanes.
    cdef vector_t first[2]
    cdef vector_t second[2]
    cdef vector_t d
    cdef Py_ssize_t i = 0
    cdef int u
    for u in range(2):
        first[u] = second[u] = ZERO
    while i + 2 * LANES <= n:
        for u in range(2):
            d = load(x + i + u * LANES) - mean
            first[u] += d
            second[u] += d * d
        i += 2 * LANES
    if i + LANES <= n:
        d = load(x + i) - mean
        first[0] += d
        second[0] += d * d
        i += LANES
    if i < n:
        d = load_part(x + i, n - i, mean) - mean
        first[1] += d
        second[1] += d * d
    rest[0] = sum_in_all_lanes(first[0] + first[1])
    squares[0] = sum_in_all_lanes(second[0] + second[1])


cdef inline void moments_of(
    Py_ssize_t n, const real_t *x, bint centred, double *mean, double *variance,
) noexcept nogil:
    # Two passes over each piece, what the first has rounded off the mean put right by the second; the
    # pieces together by Chan, Golub and LeVeque's formula.
    cdef vector_t middle, rest, squares
    cdef double delta, part_mean, part_squares
    cdef double square = 0
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t count
    mean[0] = 0
    while start < n:
        count = min(PIECE, n - start)
        middle = ZERO
        if centred:
            middle = sum_of(count, x + start) * <real_t> (1.0 / count)
        deviations_of(count, x + start, middle, &rest, &squares)
        part_squares = first_lane(squares)
        if centred:
            delta = first_lane(rest) / <double> count
            part_mean = first_lane(middle) + delta
            part_squares -= delta * first_lane(rest)
            if start == 0:
                mean[0] = part_mean
            else:
                delta = part_mean - mean[0]
                part_squares += delta * delta * (<double> start / (start + count)) * count
                mean[0] += delta * (<double> count / (start + count))
        square += part_squares
        start += count
    # Rounding may leave equal elements a little less than nothing.
    variance[0] = 0 if square < 0 else square / n


cdef inline vector_t normed(vector_t x, vector_t y, vector_t z, const vector_t *c) noexcept nogil:
    return (x - c[0]) * c[1]


cdef inline vector_t normed_weighted(vector_t x, vector_t y, vector_t z, const vector_t *c) noexcept nogil:
    return (x - c[0]) * c[1] * y


cdef inline vector_t normed_shifted(vector_t x, vector_t y, vector_t z, const vector_t *c) noexcept nogil:
    return (x - c[0]) * c[1] * y + z


cdef inline void norm_row(
    Py_ssize_t n, const real_t *x, const real_t *weight, const real_t *bias, real_t *out, const vector_t *c,
    const bint stream,
) noexcept nogil:
    if weight == NULL:
        each(normed, n, x, x, x, out, c, stream)
    elif bias == NULL:
        each(normed_weighted, n, x, weight, x, out, c, stream)
    else:
        each(normed_shifted, n, x, weight, bias, out, c, stream)


cdef void norm_rows(const Lines *lines) noexcept nogil:
    cdef Py_ssize_t row
    cdef const real_t *x
    cdef const real_t *weight = <const real_t *> lines.weight
    cdef const real_t *bias = <const real_t *> lines.bias
    cdef double mean, variance
    cdef vector_t c[2]
    for row in range(lines.count):
        x = <const real_t *> (lines.x + row * lines.x_stride)
        moments_of(lines.length, x, lines.centred, &mean, &variance)
        c[0] = SPLAT(mean)
        c[1] = SPLAT(1 / sqrt(variance + lines.number))
        if lines.stream:
            norm_row(
                lines.length, x, weight, bias, <real_t *> (lines.out + row * lines.out_stride), c, True
            )
        else:
            norm_row(
                lines.length, x, weight, bias, <real_t *> (lines.out + row * lines.out_stride), c, False
            )
    if lines.stream:
        STREAMS_END()


cdef enum:
    FEW_ROWS = 32       # so many rows' gradients are added up before the sum goes to the float64 one


cdef inline void slope_step(
    Py_ssize_t i, Py_ssize_t lanes, const real_t *grad, const real_t *x, const real_t *weight,
    real_t *weight_part, real_t *bias_part, const vector_t *c, vector_t *totals,
) noexcept nogil:
    cdef vector_t g = taken(grad + i, lanes)
    cdef vector_t x_hat = (taken(x + i, lanes) - c[0]) * c[1]
    put(weight_part + i, taken(weight_part + i, lanes) + g * x_hat, lanes)
    put(bias_part + i, taken(bias_part + i, lanes) + g, lanes)
    if lanes < LANES:
        # Lanes without an element hold x - mean of a zero.
        x_hat = load_part(<real_t *> &x_hat, lanes, ZERO)
    if weight != NULL:
        g *= taken(weight + i, lanes)
    totals[0] += g
    totals[1] += g * x_hat


cdef inline vector_t norm_slope(vector_t x, vector_t y, vector_t z, const vector_t *c) noexcept nogil:
    # x is the gradient, y the operand, z the weight.
    return (x * z - ((y - c[0]) * c[1]) * c[3] - c[2]) * c[1]


cdef inline vector_t plain_norm_slope(vector_t x, vector_t y, vector_t z, const vector_t *c) noexcept nogil:
    return (x - ((y - c[0]) * c[1]) * c[3] - c[2]) * c[1]


cdef inline void norm_backward_row(
    Py_ssize_t n, const real_t *grad, const real_t *x, const real_t *weight, real_t *out,
    real_t *weight_part, real_t *bias_part, double epsilon, bint centred, bint stream,
) noexcept nogil:
    cdef double mean, variance
    cdef double sums[2]
    cdef vector_t c[4]
    cdef vector_t totals[2]
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t stop
    moments_of(n, x, centred, &mean, &variance)
    c[0] = SPLAT(mean)
    c[1] = SPLAT(1 / sqrt(variance + epsilon))
    sums[0] = sums[1] = 0
    while i < n:
        stop = min(i + PIECE, n)
        totals[0] = totals[1] = ZERO
        while i + LANES <= stop:
            slope_step(i, LANES, grad, x, weight, weight_part, bias_part, c, totals)
            i += LANES
        if i < stop:
            slope_step(i, stop - i, grad, x, weight, weight_part, bias_part, c, totals)
        sums[0] += first_lane(sum_in_all_lanes(totals[0]))
        sums[1] += first_lane(sum_in_all_lanes(totals[1]))
        i = stop
    c[2] = SPLAT(sums[0] / n) if centred else ZERO
    c[3] = SPLAT(sums[1] / n)
    if weight == NULL:
        each(plain_norm_slope, n, grad, x, x, out, c, stream)
    else:
        each(norm_slope, n, grad, x, weight, out, c, stream)


cdef void flush(Py_ssize_t n, real_t *part, double *total) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        total[i] += part[i]
    memset(part, 0, n * sizeof(real_t))


cdef void norm_backward_rows(const Lines *lines) noexcept nogil:
    # x is the gradient, y the operand of the norm; both sums start as zeros.
    cdef Py_ssize_t row
    cdef Py_ssize_t n = lines.length
    cdef real_t *weight_part = <real_t *> lines.weight_part
    cdef real_t *bias_part = <real_t *> lines.bias_part
    for row in range(lines.count):
        norm_backward_row(
            n, <const real_t *> (lines.x + row * lines.x_stride),
            <const real_t *> (lines.y + row * lines.y_stride), <const real_t *> lines.weight,
            <real_t *> (lines.out + row * lines.out_stride), weight_part, bias_part, lines.number,
            lines.centred, lines.stream,
        )
        if row % FEW_ROWS == FEW_ROWS - 1 or row == lines.count - 1:
            flush(n, weight_part, lines.weight_sum)
            flush(n, bias_part, lines.bias_sum)
    if lines.stream:
        STREAMS_END()
