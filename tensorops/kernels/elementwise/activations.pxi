# Exponentials and what is made of them, over vector_t: for elementwise kernels and a product's epilogue.
#
# No branch and no table: both sides of a case are computed and blended. Comparisons are written so that
# NaN takes the side on which it survives.

cdef extern from *:
    """
    typedef __typeof__(__builtin_choose_expr(sizeof(REAL) == 4, (int) 0, (long long) 0)) word_t;
    typedef word_t words_t __attribute__((vector_size(VECTOR_BYTES), may_alias));
    #define IS_SINGLE (sizeof(REAL) == 4)
    #define OF(single, dual) ((real_t) (IS_SINGLE ? (single) : (dual)))
    #define AS_WORDS(v) ((words_t) (v))
    #define AS_REALS(w) ((vector_t) (w))
    #define LESS(a, b) ((words_t) ((a) < (b)))
    #define NOT_ABOVE(a, b) ((words_t) ((a) <= (b)))
    #define UNORDERED(a) ((words_t) ((a) != (a)))
    #define BLEND(mask, a, b) ((vector_t) (((mask) & (words_t) (a)) | (~(mask) & (words_t) (b))))
    #define SIGN_BIT ((word_t) ((word_t) 1 << (IS_SINGLE ? 31 : 63)))
    #define UPPER_HALF ((word_t) (IS_SINGLE ? ~(word_t) 0xFFF : ~(word_t) 0x7FFFFFF))
    /* Adding it rounds to a whole number and leaves that number in the last bits. */
    #define ROUNDER OF(12582912.0, 6755399441055744.0)
    #if defined(__AVX512F__) && VECTOR_BYTES == 64
    /* One instruction each, with the same results: x for NaN, and a power of any whole n. */
    #include <immintrin.h>
    #define SCALES 1
    #define OF_WIDTH(single, dual) (IS_SINGLE ? (vector_t) (single) : (vector_t) (dual))
    #define SCALED(x, n) OF_WIDTH( \\
        _mm512_scalef_ps((__m512) (x), (__m512) (n)), _mm512_scalef_pd((__m512d) (x), (__m512d) (n)))
    #define NOT_BELOW_OF(low, x) OF_WIDTH( \\
        _mm512_max_ps((__m512) (low), (__m512) (x)), _mm512_max_pd((__m512d) (low), (__m512d) (x)))
    #define NOT_ABOVE_OF(high, x) OF_WIDTH( \\
        _mm512_min_ps((__m512) (high), (__m512) (x)), _mm512_min_pd((__m512d) (high), (__m512d) (x)))
    #define POWER_OF_TWO(n) SCALED(SPLAT(1), n)
    #else
    #define SCALES 0
    #define SCALED(x, n) (x)
    #define NOT_BELOW_OF(low, x) BLEND(LESS(x, low), low, x)
    #define NOT_ABOVE_OF(high, x) BLEND(LESS(high, x), high, x)
    #define POWER_OF_TWO(n) \\
        AS_REALS((AS_WORDS((n) + ROUNDER) + (IS_SINGLE ? 127 : 1023)) << (IS_SINGLE ? 23 : 52))
    #endif
    #define QUOTIENT(a, b) ((a) / (b))
    #define SPLAT(c) (ZERO + (real_t) (c))
    #if defined(__x86_64__) && defined(__FMA__)
    #include <immintrin.h>
    #endif
    /* What rounding takes off the product a b: exact, or as good where no instruction gives it. */
    static inline vector_t rest_of_product(vector_t a, vector_t b, vector_t product) {
    #if defined(__AVX512F__) && VECTOR_BYTES == 64
        if (IS_SINGLE) return (vector_t) _mm512_fmsub_ps((__m512) a, (__m512) b, (__m512) product);
        return (vector_t) _mm512_fmsub_pd((__m512d) a, (__m512d) b, (__m512d) product);
    #elif defined(__x86_64__) && defined(__FMA__) && VECTOR_BYTES == 32
        if (IS_SINGLE) return (vector_t) _mm256_fmsub_ps((__m256) a, (__m256) b, (__m256) product);
        return (vector_t) _mm256_fmsub_pd((__m256d) a, (__m256d) b, (__m256d) product);
    #else
        /* Halves of so few digits that their products are exact. */
        vector_t a_high = AS_REALS(AS_WORDS(a) & UPPER_HALF);
        vector_t b_high = AS_REALS(AS_WORDS(b) & UPPER_HALF);
        return ((a_high * b_high - product) + a_high * (b - b_high)) + (a - a_high) * b;
    #endif
    }
    """
    ctypedef int words_t
    const bint IS_SINGLE
    real_t OF(double single, double dual) noexcept nogil
    words_t AS_WORDS(vector_t v) noexcept nogil
    vector_t AS_REALS(words_t w) noexcept nogil
    words_t LESS(vector_t a, vector_t b) noexcept nogil
    words_t NOT_ABOVE(vector_t a, vector_t b) noexcept nogil
    words_t UNORDERED(vector_t a) noexcept nogil
    vector_t BLEND(words_t mask, vector_t a, vector_t b) noexcept nogil
    words_t SIGN_BIT, UPPER_HALF
    const real_t ROUNDER
    const bint SCALES
    vector_t SCALED(vector_t x, vector_t n) noexcept nogil
    vector_t NOT_BELOW_OF(vector_t low, vector_t x) noexcept nogil
    vector_t NOT_ABOVE_OF(vector_t high, vector_t x) noexcept nogil
    vector_t POWER_OF_TWO(vector_t n) noexcept nogil
    vector_t QUOTIENT(vector_t a, vector_t b) noexcept nogil
    vector_t SPLAT(double c) noexcept nogil
    vector_t rest_of_product(vector_t a, vector_t b, vector_t product) noexcept nogil


cdef inline vector_t magnitude(vector_t x) noexcept nogil:
    return AS_REALS(AS_WORDS(x) & ~SIGN_BIT)


cdef inline vector_t with_sign_of(vector_t size, vector_t x) noexcept nogil:
    return AS_REALS(AS_WORDS(size) | (AS_WORDS(x) & SIGN_BIT))


cdef inline vector_t at_least(vector_t x, real_t low) noexcept nogil:
    return NOT_BELOW_OF(SPLAT(low), x)


cdef inline vector_t at_most(vector_t x, real_t high) noexcept nogil:
    return NOT_ABOVE_OF(SPLAT(high), x)


cdef inline vector_t rectified(vector_t x) noexcept nogil:
    return BLEND(NOT_ABOVE(x, ZERO), ZERO, x)


cdef inline vector_t upper_half(vector_t x) noexcept nogil:
    # So few digits that a product of two such numbers is exact.
    return AS_REALS(AS_WORDS(x) & UPPER_HALF)


cdef inline vector_t nearest_whole(vector_t x) noexcept nogil:
    return (x + ROUNDER) - ROUNDER


cdef inline vector_t expm1_reduced(vector_t r) noexcept nogil:
    # exp(r) - 1 for |r| <= ln(2) / 2, by its series.
    cdef vector_t value
    if IS_SINGLE:
        value = ZERO + <real_t> 0.0001984126984126984
        value = value * r + <real_t> 0.001388888888888889
        value = value * r + <real_t> 0.008333333333333333
        value = value * r + <real_t> 0.041666666666666664
        value = value * r + <real_t> 0.16666666666666666
        value = value * r + <real_t> 0.5
    else:
        value = ZERO + <real_t> 1.6059043836821613e-10
        value = value * r + <real_t> 2.08767569878681e-09
        value = value * r + <real_t> 2.505210838544172e-08
        value = value * r + <real_t> 2.755731922398589e-07
        value = value * r + <real_t> 2.7557319223985893e-06
        value = value * r + <real_t> 2.48015873015873e-05
        value = value * r + <real_t> 0.0001984126984126984
        value = value * r + <real_t> 0.001388888888888889
        value = value * r + <real_t> 0.008333333333333333
        value = value * r + <real_t> 0.041666666666666664
        value = value * r + <real_t> 0.16666666666666666
        value = value * r + <real_t> 0.5
    return r + r * r * value


cdef inline vector_t exp_reduced(vector_t r) noexcept nogil:
    # exp(r) for |r| <= ln(2) / 2, by the polynomial of least relative error.
    cdef vector_t value
    if IS_SINGLE:
        value = ZERO + <real_t> 0.0013813514025757059
        value = value * r + <real_t> 0.0083693482131455268
        value = value * r + <real_t> 0.041668442806565126
        value = value * r + <real_t> 0.16666515565467978
        value = value * r + <real_t> 0.49999993155808026
    else:
        value = ZERO + <real_t> 2.4998019508891986382e-8
        value = value * r + <real_t> 2.7631314433414856224e-7
        value = value * r + <real_t> 2.7557598921811367399e-6
        value = value * r + <real_t> 0.000024801490518438482024
        value = value * r + <real_t> 0.00019841269486307635512
        value = value * r + <real_t> 0.0013888888945642646906
        value = value * r + <real_t> 0.008333333333506199451
        value = value * r + <real_t> 0.04166666666652481403
        value = value * r + <real_t> 0.16666666666666391912
        value = value * r + <real_t> 0.5000000000000010882
    return (value * r + <real_t> 1) * r + <real_t> 1


cdef inline vector_t reduce_exponent(vector_t x, vector_t *n) noexcept nogil:
    # x = n ln(2) + r, with ln(2) in two parts.
    n[0] = nearest_whole(x * <real_t> 1.4426950408889634)
    return (x - n[0] * OF(0.693359375, 6.93147180369123816490e-01)) - n[0] * OF(
        -2.12194440054690583e-4, 1.90821492927058770002e-10
    )


cdef inline vector_t exp_parts(vector_t x, vector_t *scale) noexcept nogil:
    # exp(x) as a product, so that a subnormal result is rounded once, and last.
    cdef vector_t n, r, half
    x = at_most(at_least(x, OF(-150, -800)), OF(89, 710))
    r = reduce_exponent(x, &n)
    half = nearest_whole(n * <real_t> 0.5)
    scale[0] = POWER_OF_TWO(n - half)
    return exp_reduced(r) * POWER_OF_TWO(half)


cdef inline vector_t exponential(vector_t x) noexcept nogil:
    cdef vector_t scale, part
    if SCALES:
        part = reduce_exponent(at_most(at_least(x, OF(-150, -800)), OF(89, 710)), &scale)
        return SCALED(exp_reduced(part), scale)
    part = exp_parts(x, &scale)
    return part * scale


cdef inline vector_t scaled_exponential(vector_t x) noexcept nogil:
    # exp(x) times 2**64 (float64: 2**512) for x <= 0, never subnormal: the caller's last factor rounds it.
    # An error of eps |x| comes with a difference x anyway, so one product takes the power of two out of it.
    cdef real_t rounder = ROUNDER + OF(127 + 64, 1023 + 512)
    cdef vector_t shifted, r
    x = at_least(x, OF(-131, -1060))
    shifted = x * <real_t> 1.4426950408889634 + rounder
    r = x - (shifted - rounder) * <real_t> 0.6931471805599453
    return exp_reduced(r) * AS_REALS(AS_WORDS(shifted) << (23 if IS_SINGLE else 52))


cdef inline vector_t expm1_negative(vector_t x) noexcept nogil:
    # exp(x) - 1 for x <= 0.
    cdef vector_t n, r, power
    r = reduce_exponent(at_least(x, OF(-40, -80)), &n)
    power = POWER_OF_TWO(n)
    return expm1_reduced(r) * power + (power - <real_t> 1)


cdef inline vector_t hyperbolic_tangent(vector_t x) noexcept nogil:
    cdef vector_t e = expm1_negative(magnitude(x) * <real_t> -2)
    return with_sign_of(magnitude(QUOTIENT(e, e + <real_t> 2)), x)


cdef inline vector_t below_one(vector_t x) noexcept nogil:
    # exp(-|x|).
    cdef vector_t scale, part
    if SCALES:
        part = reduce_exponent(at_least(-magnitude(x), OF(-150, -800)), &scale)
        return SCALED(exp_reduced(part), scale)
    part = exp_parts(-magnitude(x), &scale)
    return part * scale


cdef inline vector_t logistic(vector_t x) noexcept nogil:
    cdef vector_t e = below_one(x)
    return QUOTIENT(BLEND(LESS(x, ZERO), e, SPLAT(1)), e + <real_t> 1)


cdef inline vector_t x_logistic(vector_t x) noexcept nogil:
    # x / (1 + exp(-x)): multiplied by x before the last scaling, which may leave few digits.
    cdef vector_t scale, part, factor
    cdef words_t negative = LESS(x, ZERO)
    factor = BLEND(LESS(x, SPLAT(-1000)), x * <real_t> 0, x)
    if SCALES:
        part = exp_reduced(reduce_exponent(at_least(-magnitude(x), OF(-150, -800)), &scale))
        factor *= BLEND(negative, part, SPLAT(1))
        return SCALED(QUOTIENT(factor, SCALED(part, scale) + <real_t> 1), BLEND(negative, scale, ZERO))
    part = exp_parts(-magnitude(x), &scale)
    factor = QUOTIENT(factor * BLEND(negative, part, SPLAT(1)), part * scale + <real_t> 1)
    return factor * BLEND(negative, scale, SPLAT(1))


cdef inline vector_t soft_plus(vector_t x) noexcept nogil:
    # max(x, 0) + log(1 + e), the logarithm by the series of 2 artanh(e / (2 + e)).
    cdef vector_t e = below_one(x)
    cdef vector_t s = QUOTIENT(e, e + <real_t> 2)
    cdef vector_t q = s * s
    cdef vector_t value
    if IS_SINGLE:
        value = ZERO + <real_t> 0.058823529411764705
        value = value * q + <real_t> 0.06666666666666667
        value = value * q + <real_t> 0.07692307692307693
        value = value * q + <real_t> 0.09090909090909091
        value = value * q + <real_t> 0.1111111111111111
        value = value * q + <real_t> 0.14285714285714285
        value = value * q + <real_t> 0.2
        value = value * q + <real_t> 0.3333333333333333
        value = value * q + <real_t> 1.0
    else:
        value = ZERO + <real_t> 0.02857142857142857
        value = value * q + <real_t> 0.030303030303030304
        value = value * q + <real_t> 0.03225806451612903
        value = value * q + <real_t> 0.034482758620689655
        value = value * q + <real_t> 0.037037037037037035
        value = value * q + <real_t> 0.04
        value = value * q + <real_t> 0.043478260869565216
        value = value * q + <real_t> 0.047619047619047616
        value = value * q + <real_t> 0.05263157894736842
        value = value * q + <real_t> 0.058823529411764705
        value = value * q + <real_t> 0.06666666666666667
        value = value * q + <real_t> 0.07692307692307693
        value = value * q + <real_t> 0.09090909090909091
        value = value * q + <real_t> 0.1111111111111111
        value = value * q + <real_t> 0.14285714285714285
        value = value * q + <real_t> 0.2
        value = value * q + <real_t> 0.3333333333333333
        value = value * q + <real_t> 1.0
    return BLEND(LESS(x, ZERO), ZERO, x) + QUOTIENT(e + e, e + <real_t> 2) * value


cdef inline vector_t power_below_one(vector_t exact, vector_t rest) noexcept nogil:
    # 2 ** -(exact + rest), the argument in two parts: a rounded one would cost the result digits.
    cdef vector_t n, r, half
    exact = at_most(exact, OF(200, 1200))
    n = nearest_whole(-(exact + rest))
    r = ((-exact - n) - rest) * <real_t> 0.6931471805599453
    if SCALES:
        return SCALED(exp_reduced(r), n)
    half = nearest_whole(n * <real_t> 0.5)
    return exp_reduced(r) * POWER_OF_TWO(half) * POWER_OF_TWO(n - half)


cdef inline vector_t power_of_product(vector_t z, vector_t high, vector_t low) noexcept nogil:
    # 2 ** -(z (high + low)).
    cdef vector_t product = z * high
    return power_below_one(product, rest_of_product(z, high, product) + z * low)


cdef inline vector_t gelu_tanh_power(vector_t z) noexcept nogil:
    # exp(-2u) for the u of the tanh form, as 2 ** -(z (c + d z z)). Digits count up to 2 ** -10, where z is
    # below 3.3 and d z z less than c: the rounding of their sum is put right, that of z z is not worth it.
    cdef real_t c = OF(2.302208185195923, 2.3022081981443248)
    cdef real_t d = <real_t> 0.1029432395800235
    cdef vector_t square = z * z
    cdef vector_t product = square * d
    cdef vector_t high = product + c
    return power_of_product(z, high, ((c - high) + product) + rest_of_product(square, SPLAT(d), product))


cdef inline vector_t gelu_sigmoid_power(vector_t z) noexcept nogil:
    # exp(-1.702 z).
    cdef real_t high = OF(2.4554669857025146, 2.4554669595930157)
    cdef real_t rest = OF(-2.6109498753e-08, 7.816541847237075e-17)
    return power_of_product(z, SPLAT(high), SPLAT(rest))


cdef inline vector_t gauss_power(vector_t z) noexcept nogil:
    # exp(-z z / 2).
    cdef real_t k = <real_t> 0.7213475204444817
    cdef real_t k_rest = OF(9.629814955633087e-09, 1.0177636870465517e-17)
    cdef vector_t square = z * z
    cdef vector_t product = square * k
    return power_below_one(
        product,
        rest_of_product(square, SPLAT(k), product) + (square * k_rest + rest_of_product(z, z, square) * k),
    )


cdef inline vector_t normal_tail(vector_t z, vector_t power) noexcept nogil:
    # The normal distribution's P(X > z) for z >= 0: exp(-z z / 2) times a smooth function of z.
    cdef vector_t value
    cdef vector_t near = at_most(z, OF(6, 10))
    cdef vector_t u = QUOTIENT(near - <real_t> 3, near + <real_t> 3)
    if IS_SINGLE:
        value = ZERO + <real_t> 0.000040627718131664514687
        value = value * u + <real_t> 0.000079393456539480599889
        value = value * u + <real_t> -0.00037013200521568553229
        value = value * u + <real_t> -0.00098621358345038534264
        value = value * u + <real_t> 0.0029117733603092598646
        value = value * u + <real_t> 0.0061337723326421146058
        value = value * u + <real_t> -0.046213847871114641788
        value = value * u + <real_t> 0.12322491515694702143
        value = value * u + <real_t> -0.20640260471354295049
        value = value * u + <real_t> 0.12151394860092240195
    else:
        value = ZERO + <real_t> -2.0782673507044580989e-10
        value = value * u + <real_t> 7.3206030164253189093e-10
        value = value * u + <real_t> 1.194654832422007195e-8
        value = value * u + <real_t> 4.1058497509438207859e-8
        value = value * u + <real_t> 4.328227906110767064e-8
        value = value * u + <real_t> -9.7227771378252152789e-8
        value = value * u + <real_t> -3.6796997202800595367e-7
        value = value * u + <real_t> -2.2989716871365544152e-7
        value = value * u + <real_t> 1.1905895959749052054e-6
        value = value * u + <real_t> 2.8613403625687528869e-6
        value = value * u + <real_t> -1.2400007889749254281e-6
        value = value * u + <real_t> -0.00001534298429370973228
        value = value * u + <real_t> -0.000012597042579381174609
        value = value * u + <real_t> 0.00006849495351881945846
        value = value * u + <real_t> 0.00013154222084752565939
        value = value * u + <real_t> -0.00034557014623476669444
        value = value * u + <real_t> -0.0009908381641237527468
        value = value * u + <real_t> 0.0029059147106256667718
        value = value * u + <real_t> 0.006133359686631936106
        value = value * u + <real_t> -0.046213457519596572683
        value = value * u + <real_t> 0.12322495031534852026
        value = value * u + <real_t> -0.20640261200847706763
        value = value * u + <real_t> 0.12151394835556216689
    return value * power


cdef inline vector_t gelu_exact(vector_t x) noexcept nogil:
    cdef vector_t z = at_most(magnitude(x), 40)
    cdef vector_t tail = normal_tail(z, gauss_power(z))
    return x * BLEND(LESS(x, ZERO), tail, SPLAT(1) - tail)


cdef inline vector_t gelu_logistic(vector_t x, vector_t power) noexcept nogil:
    return x * QUOTIENT(BLEND(LESS(x, ZERO), power, SPLAT(1)), power + <real_t> 1)


cdef inline vector_t gelu_tanh(vector_t x) noexcept nogil:
    return gelu_logistic(x, gelu_tanh_power(at_most(magnitude(x), 40)))


cdef inline vector_t gelu_sigmoid(vector_t x) noexcept nogil:
    return gelu_logistic(x, gelu_sigmoid_power(at_most(magnitude(x), OF(200, 1000))))
