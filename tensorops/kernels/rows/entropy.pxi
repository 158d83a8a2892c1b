# Cross entropy of rows of logits, each with the number of its true column.

cdef void cross_entropy_rows(const Lines *lines) noexcept nogil:
    cdef Py_ssize_t row
    cdef const real_t *x
    cdef double peak, logarithm
    cdef double total = 0
    for row in range(lines.count):
        x = <const real_t *> (lines.x + row * lines.x_stride)
        sum_of_row(lines.length, x, &peak, &logarithm)
        total += logarithm + (peak - <double> x[(<const int64_t *> (lines.y + row * lines.y_stride))[0]])
    lines.total[0] += total


cdef void cross_entropy_backward_rows(const Lines *lines) noexcept nogil:
    cdef Py_ssize_t row
    cdef real_t *out
    cdef real_t share = <real_t> lines.number
    for row in range(lines.count):
        out = <real_t *> (lines.out + row * lines.out_stride)
        softmax_row(
            lines.length, <const real_t *> (lines.x + row * lines.x_stride), <real_t *> lines.buffer, out,
            share, lines.stream,
        )
        out[(<const int64_t *> (lines.y + row * lines.y_stride))[0]] -= share
    if lines.stream:
        STREAMS_END()
