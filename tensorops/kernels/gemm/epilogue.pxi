# The epilogue: what is done to finished elements of C, (element + bias) put through an activation.
#
# It is a pass of its own over a few rows that the tile has just written, while they are in L1: one function
# for each activation, so that their formulas do not multiply the code of the tiles.

cdef extern from *:
    """
    /* Adding it changes nothing, not even the sign of a zero. */
    static const REAL MINUS_ZERO = (REAL) -0.0;
    """
    const real_t MINUS_ZERO

ctypedef vector_t (*activation_t)(vector_t x) noexcept nogil


cdef inline vector_t identity(vector_t x) noexcept nogil:
    return x


cdef enum:
    # Vectors of elements that are gathered, computed and scattered together.
    GATHERED = 16


cdef inline void finish_gathered(
    activation_t activation, Py_ssize_t m, Py_ssize_t n, real_t *c, Py_ssize_t rs_c, Py_ssize_t cs_c,
    const real_t *bias, Py_ssize_t rs_bias, Py_ssize_t cs_bias,
) noexcept nogil:
    # Rows of less than a vector, or elements that do not lie side by side. All are gathered before any is
    # computed: a vector read right after its elements were written one by one has to wait for them.
    cdef real_t values[GATHERED * LANES]
    cdef Py_ssize_t first, left, rows, columns, i, j, count
    for left from 0 <= left < n by GATHERED * LANES:
        columns = min(<Py_ssize_t> GATHERED * LANES, n - left)
        for first from 0 <= first < m by GATHERED * LANES // columns:
            rows = min(GATHERED * LANES // columns, m - first)
            count = 0
            for i in range(first, first + rows):
                for j in range(left, left + columns):
                    values[count] = c[i * rs_c + j * cs_c] + bias[i * rs_bias + j * cs_bias]
                    count += 1
            while count % LANES:
                values[count] = 0
                count += 1
            for i from 0 <= i < count by LANES:
                (<unaligned_t *> (values + i))[0] = activation((<unaligned_t *> (values + i))[0])
            count = 0
            for i in range(first, first + rows):
                for j in range(left, left + columns):
                    c[i * rs_c + j * cs_c] = values[count]
                    count += 1


cdef inline void finish(
    activation_t activation, Py_ssize_t m, Py_ssize_t n, void *c, Py_ssize_t rs_c, Py_ssize_t cs_c,
    const void *bias, Py_ssize_t rs_bias, Py_ssize_t cs_bias,
) noexcept nogil:
    cdef real_t *row = <real_t *> c
    cdef const real_t *shifts = <const real_t *> bias
    cdef vector_t shift
    cdef Py_ssize_t whole = n // LANES * LANES if cs_c == 1 else 0
    cdef Py_ssize_t i, j
    if bias == NULL:
        shifts = &MINUS_ZERO
        rs_bias = cs_bias = 0
    if whole < n:
        finish_gathered(
            activation, m, n - whole, row + whole, rs_c, cs_c, shifts + whole * cs_bias, rs_bias, cs_bias
        )
    for i in range(m):
        shift = SPLAT(shifts[i * rs_bias])
        for j from 0 <= j < whole by LANES:
            if cs_bias:
                shift = (<unaligned_t *> (shifts + j))[0]
            (<unaligned_t *> (row + j))[0] = activation((<unaligned_t *> (row + j))[0] + shift)
        row += rs_c


cdef void finish_identity(
    Py_ssize_t m, Py_ssize_t n, void *c, Py_ssize_t rs_c, Py_ssize_t cs_c,
    const void *bias, Py_ssize_t rs_bias, Py_ssize_t cs_bias,
) noexcept nogil:
    finish(identity, m, n, c, rs_c, cs_c, bias, rs_bias, cs_bias)


cdef void finish_relu(
    Py_ssize_t m, Py_ssize_t n, void *c, Py_ssize_t rs_c, Py_ssize_t cs_c,
    const void *bias, Py_ssize_t rs_bias, Py_ssize_t cs_bias,
) noexcept nogil:
    finish(rectified, m, n, c, rs_c, cs_c, bias, rs_bias, cs_bias)


cdef void finish_gelu(
    Py_ssize_t m, Py_ssize_t n, void *c, Py_ssize_t rs_c, Py_ssize_t cs_c,
    const void *bias, Py_ssize_t rs_bias, Py_ssize_t cs_bias,
) noexcept nogil:
    finish(gelu_exact, m, n, c, rs_c, cs_c, bias, rs_bias, cs_bias)


cdef void finish_gelu_tanh(
    Py_ssize_t m, Py_ssize_t n, void *c, Py_ssize_t rs_c, Py_ssize_t cs_c,
    const void *bias, Py_ssize_t rs_bias, Py_ssize_t cs_bias,
) noexcept nogil:
    finish(gelu_tanh, m, n, c, rs_c, cs_c, bias, rs_bias, cs_bias)


cdef void finish_gelu_sigmoid(
    Py_ssize_t m, Py_ssize_t n, void *c, Py_ssize_t rs_c, Py_ssize_t cs_c,
    const void *bias, Py_ssize_t rs_bias, Py_ssize_t cs_bias,
) noexcept nogil:
    finish(gelu_sigmoid, m, n, c, rs_c, cs_c, bias, rs_bias, cs_bias)


cdef void finish_silu(
    Py_ssize_t m, Py_ssize_t n, void *c, Py_ssize_t rs_c, Py_ssize_t cs_c,
    const void *bias, Py_ssize_t rs_bias, Py_ssize_t cs_bias,
) noexcept nogil:
    finish(x_logistic, m, n, c, rs_c, cs_c, bias, rs_bias, cs_bias)


cdef void finish_sigmoid(
    Py_ssize_t m, Py_ssize_t n, void *c, Py_ssize_t rs_c, Py_ssize_t cs_c,
    const void *bias, Py_ssize_t rs_bias, Py_ssize_t cs_bias,
) noexcept nogil:
    finish(logistic, m, n, c, rs_c, cs_c, bias, rs_bias, cs_bias)


cdef void finish_tanh(
    Py_ssize_t m, Py_ssize_t n, void *c, Py_ssize_t rs_c, Py_ssize_t cs_c,
    const void *bias, Py_ssize_t rs_bias, Py_ssize_t cs_bias,
) noexcept nogil:
    finish(hyperbolic_tangent, m, n, c, rs_c, cs_c, bias, rs_bias, cs_bias)
