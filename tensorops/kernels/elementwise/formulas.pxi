# One formula per operation, over vectors: x and y are the operands, z a third one, p the parameters.

cdef inline vector_t gelu_slope(vector_t x, vector_t power, vector_t inner) noexcept nogil:
    # s + x s (1 - s) inner, the derivative of x s with s = 1 / (1 + power) for x >= 0.
    cdef vector_t s = QUOTIENT(SPLAT(1), power + <real_t> 1)
    cdef vector_t other = power * s
    return BLEND(LESS(x, ZERO), other, s) + x * (s * other) * inner


cdef inline vector_t bounded(vector_t x, real_t limit) noexcept nogil:
    return at_most(at_least(x, -limit), limit)


cdef inline vector_t gelu_tanh_slope(vector_t x) noexcept nogil:
    cdef vector_t z = bounded(x, 40)
    return gelu_slope(
        z, gelu_tanh_power(magnitude(z)),
        z * z * <real_t> 0.214064448817800746 + <real_t> 1.5957691216057308,
    )


cdef inline vector_t gelu_sigmoid_slope(vector_t x) noexcept nogil:
    cdef vector_t z = bounded(x, OF(200, 1000))
    return gelu_slope(z, gelu_sigmoid_power(magnitude(z)), SPLAT(1.702))


cdef inline vector_t gelu_exact_slope(vector_t x) noexcept nogil:
    cdef vector_t z = bounded(x, 40)
    cdef vector_t power = gauss_power(magnitude(z))
    cdef vector_t tail = normal_tail(magnitude(z), power)
    return BLEND(LESS(x, ZERO), tail, SPLAT(1) - tail) + z * power * <real_t> 0.3989422804014327


cdef inline vector_t silu_slope(vector_t x) noexcept nogil:
    cdef vector_t z = bounded(x, OF(200, 1000))
    return gelu_slope(z, exponential(-magnitude(z)), SPLAT(1))


cdef inline vector_t formula_relu(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return rectified(x)


cdef inline vector_t formula_leaky_relu(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return BLEND(LESS(ZERO, x), x, x * p[0])


cdef inline vector_t formula_elu(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return BLEND(LESS(ZERO, x), x, with_sign_of(expm1_negative(-magnitude(x)), x) * p[0])


cdef inline vector_t formula_sigmoid(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return logistic(x)


cdef inline vector_t formula_tanh(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return hyperbolic_tangent(x)


cdef inline vector_t formula_gelu_none(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return gelu_exact(x)


cdef inline vector_t formula_gelu_tanh(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return gelu_tanh(x)


cdef inline vector_t formula_gelu_sigmoid(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return gelu_sigmoid(x)


cdef inline vector_t formula_silu(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return x_logistic(x)


cdef inline vector_t formula_softplus(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return soft_plus(x)


cdef inline vector_t formula_exp(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return exponential(x)


cdef inline vector_t formula_clip(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return at_most(at_least(x, p[0]), p[1])


cdef inline vector_t formula_add(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return x + y


cdef inline vector_t formula_sub(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return x - y


cdef inline vector_t formula_mul(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return x * y


cdef inline vector_t formula_div(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return QUOTIENT(x, y)


cdef inline vector_t formula_maximum(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return BLEND(LESS(y, x) | UNORDERED(x), x, y)


cdef inline vector_t formula_minimum(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return BLEND(LESS(x, y) | UNORDERED(x), x, y)


cdef inline vector_t formula_axpy(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return x + y * p[0]


cdef inline vector_t formula_scale_shift(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return x * y + z


cdef inline vector_t formula_add_relu(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return rectified(x + y)


cdef inline vector_t formula_bias_gelu_none(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return gelu_exact(x + y)


cdef inline vector_t formula_bias_gelu_tanh(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return gelu_tanh(x + y)


cdef inline vector_t formula_bias_gelu_sigmoid(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return gelu_sigmoid(x + y)


cdef inline vector_t formula_relu_backward(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return BLEND(NOT_ABOVE(y, ZERO), ZERO, x)


cdef inline vector_t formula_sigmoid_backward(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return x * (y * (SPLAT(1) - y))


cdef inline vector_t formula_tanh_backward(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return x * (SPLAT(1) - y * y)


cdef inline vector_t formula_silu_backward(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return x * silu_slope(y)


cdef inline vector_t formula_gelu_none_backward(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return x * gelu_exact_slope(y)


cdef inline vector_t formula_gelu_tanh_backward(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return x * gelu_tanh_slope(y)


cdef inline vector_t formula_gelu_sigmoid_backward(
    vector_t x, vector_t y, vector_t z, const real_t *p,
) noexcept nogil:
    return x * gelu_sigmoid_slope(y)
