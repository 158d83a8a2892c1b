# NumPy's functions over vector_t that activations.pxi has not: logarithms, powers, circular functions.
#
# No branch in what is common; arguments far outside of the usual range go to the C library, lane by lane.

cdef extern from *:
    """
    #define EQUAL(a, b) ((words_t) ((a) == (b)))
    #define MANTISSA_BITS (IS_SINGLE ? 23 : 52)
    #define SIGN_SHIFT (IS_SINGLE ? 30 : 62)
    /* A small whole number in its place as the last bits of a large one. */
    #define WHOLE(w) (AS_REALS((w) + AS_WORDS(SPLAT(ROUNDER))) - ROUNDER)
    #define NEGATIVE(a) ((words_t) (AS_WORDS(a) < 0))
    /* Keeps a product apart from the addition behind it, which would round only once together with it. */
    #if defined(__AVX512F__)
    #define IN_REGISTER "+v"
    #elif defined(__x86_64__) || defined(__i386__)
    #define IN_REGISTER "+x"
    #elif defined(__aarch64__)
    #define IN_REGISTER "+w"
    #else
    #define IN_REGISTER "+m"
    #endif
    #define ROUNDED(product) __extension__ ({ \\
        vector_t value_ = (product); __asm__("" : IN_REGISTER(value_)); value_; \\
    })

    #if SCALES
    #define SPLITS 1
    #define MANTISSA_OF(x) OF_WIDTH( \\
        _mm512_getmant_ps((__m512) (x), _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src), \\
        _mm512_getmant_pd((__m512d) (x), _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src))
    #define EXPONENT_OF(x) OF_WIDTH(_mm512_getexp_ps((__m512) (x)), _mm512_getexp_pd((__m512d) (x)))
    static inline int any_of(words_t w) { return _mm512_test_epi32_mask((__m512i) w, (__m512i) w) != 0; }
    #else
    #define SPLITS 0
    #define MANTISSA_OF(x) (x)
    #define EXPONENT_OF(x) (x)
    static inline int any_of(words_t w) {
        long long parts[VECTOR_BYTES / 8], any = 0;
        int i;
        memcpy(parts, &w, sizeof(w));
        for (i = 0; i < VECTOR_BYTES / 8; i++) any |= parts[i];
        return any != 0;
    }
    #endif

    #define EACH_LANE(expression) \\
        real_t x[LANES], y[LANES]; \\
        vector_t result; \\
        int i; \\
        memcpy(x, &first, sizeof(first)); \\
        memcpy(y, &second, sizeof(second)); \\
        for (i = 0; i < LANES; i++) x[i] = (real_t) (expression); \\
        memcpy(&result, x, sizeof(result)); \\
        return result;
    /* Not inlined: what is usual keeps its registers. */
    #define RARE __attribute__((noinline, cold))
    #define OF_ONE(name, function) \\
        static RARE vector_t name(vector_t first) { \\
            vector_t second = first; \\
            EACH_LANE(IS_SINGLE ? function##f((float) x[i]) : function((double) x[i])) \\
        }
    #define OF_TWO(name, function) \\
        static RARE vector_t name(vector_t first, vector_t second) { \\
            EACH_LANE(IS_SINGLE \\
                ? function##f((float) x[i], (float) y[i]) : function((double) x[i], (double) y[i])) \\
        }
    OF_ONE(sine_of_any, sin) OF_ONE(cosine_of_any, cos) OF_ONE(tangent_of_any, tan)
    OF_ONE(hyperbolic_sine, sinh) OF_ONE(hyperbolic_cosine, cosh)
    OF_ONE(area_sine, asinh) OF_ONE(area_cosine, acosh) OF_ONE(area_tangent, atanh) OF_ONE(cube_root, cbrt)
    OF_TWO(arc_tangent_of_two, atan2) OF_TWO(hypotenuse, hypot) OF_TWO(truncated_remainder, fmod)
    OF_TWO(power_of_any, pow)
    static inline vector_t square_root(vector_t first) {
        vector_t second = first;
        EACH_LANE(IS_SINGLE ? sqrtf((float) x[i]) : sqrt((double) x[i]))
    }

    /* The sign of a remainder is that of the divisor, as in Python. */
    static double remainder_of(double x, double y) {
        double rest = fmod(x, y);
        if (y == 0) return rest;
        if (rest == 0) return copysign(0, y);
        return (y < 0) != (rest < 0) ? rest + y : rest;
    }
    static double quotient_of(double x, double y) {
        double rest = fmod(x, y), quotient, whole;
        if (y == 0) return x / y;
        quotient = (x - rest) / y;
        if (rest != 0 && (y < 0) != (rest < 0)) quotient -= 1;
        if (quotient == 0) return copysign(0, x / y);
        whole = floor(quotient);
        return quotient - whole > 0.5 ? whole + 1 : whole;
    }
    static vector_t remainder_lanes(vector_t first, vector_t second) { EACH_LANE(remainder_of(x[i], y[i])) }
    static vector_t floor_divide(vector_t first, vector_t second) { EACH_LANE(quotient_of(x[i], y[i])) }
    """
    words_t EQUAL(vector_t a, vector_t b) noexcept nogil
    words_t NEGATIVE(vector_t a) noexcept nogil
    vector_t WHOLE(words_t w) noexcept nogil
    const bint SPLITS
    vector_t MANTISSA_OF(vector_t x) noexcept nogil
    vector_t EXPONENT_OF(vector_t x) noexcept nogil
    const int MANTISSA_BITS, SIGN_SHIFT
    vector_t ROUNDED(vector_t product) noexcept nogil
    bint any_of(words_t w) noexcept nogil
    vector_t sine_of_any(vector_t x) noexcept nogil
    vector_t cosine_of_any(vector_t x) noexcept nogil
    vector_t tangent_of_any(vector_t x) noexcept nogil
    vector_t hyperbolic_sine(vector_t x) noexcept nogil
    vector_t hyperbolic_cosine(vector_t x) noexcept nogil
    vector_t area_sine(vector_t x) noexcept nogil
    vector_t area_cosine(vector_t x) noexcept nogil
    vector_t area_tangent(vector_t x) noexcept nogil
    vector_t cube_root(vector_t x) noexcept nogil
    vector_t square_root(vector_t x) noexcept nogil
    vector_t arc_tangent_of_two(vector_t y, vector_t x) noexcept nogil
    vector_t hypotenuse(vector_t x, vector_t y) noexcept nogil
    vector_t truncated_remainder(vector_t x, vector_t y) noexcept nogil
    vector_t power_of_any(vector_t x, vector_t y) noexcept nogil
    vector_t remainder "remainder_lanes"(vector_t x, vector_t y) noexcept nogil
    vector_t floor_divide(vector_t x, vector_t y) noexcept nogil


cdef inline vector_t larger(vector_t a, vector_t b) noexcept nogil:
    return BLEND(NOT_ABOVE(b, a) | UNORDERED(a), a, b)


cdef inline vector_t smaller(vector_t a, vector_t b) noexcept nogil:
    return BLEND(NOT_ABOVE(a, b) | UNORDERED(a), a, b)


cdef inline vector_t larger_number(vector_t a, vector_t b) noexcept nogil:
    return BLEND(NOT_ABOVE(b, a) | UNORDERED(b), a, b)


cdef inline vector_t smaller_number(vector_t a, vector_t b) noexcept nogil:
    return BLEND(NOT_ABOVE(a, b) | UNORDERED(b), a, b)


cdef inline vector_t heaviside(vector_t x, vector_t at_zero) noexcept nogil:
    return BLEND(LESS(x, ZERO), ZERO, BLEND(LESS(ZERO, x), SPLAT(1), BLEND(UNORDERED(x), x, at_zero)))


cdef inline vector_t sign_of(vector_t x) noexcept nogil:
    return BLEND(LESS(x, ZERO), SPLAT(-1), BLEND(LESS(ZERO, x), SPLAT(1), BLEND(UNORDERED(x), x, ZERO)))


cdef inline vector_t round_to_even(vector_t x) noexcept nogil:
    # Beyond `whole` every number is whole; adding it rounds to one.
    cdef vector_t whole = SPLAT(OF(8388608.0, 4503599627370496.0))
    cdef vector_t size = magnitude(x)
    return with_sign_of(BLEND(LESS(size, whole), (size + whole) - whole, size), x)


cdef inline vector_t round_down(vector_t x) noexcept nogil:
    cdef vector_t near = round_to_even(x)
    return near - BLEND(LESS(x, near), SPLAT(1), ZERO)


cdef inline vector_t round_up(vector_t x) noexcept nogil:
    return -round_down(-x)


cdef inline vector_t round_to_zero(vector_t x) noexcept nogil:
    return with_sign_of(round_down(magnitude(x)), x)


cdef inline vector_t sine_series(vector_t z) noexcept nogil:
    # (sin(r) - r) / r^3 for z = r r, |r| <= pi / 4.
    cdef vector_t value
    if IS_SINGLE:
        value = SPLAT(2.7249314054698804e-06)
        value = value * z + <real_t> -0.00019840082012765537
        value = value * z + <real_t> 0.008333331865959415
        value = value * z + <real_t> -0.16666666663832763
    else:
        value = SPLAT(-7.586576588171073e-13)
        value = value * z + <real_t> 1.6058529572267877e-10
        value = value * z + <real_t> -2.5052106219521895e-08
        value = value * z + <real_t> 2.755731921930192e-06
        value = value * z + <real_t> -0.00019841269841265017
        value = value * z + <real_t> 0.008333333333333331
        value = value * z + <real_t> -0.16666666666666666
    return value

cdef inline vector_t cosine_series(vector_t z) noexcept nogil:
    # (cos(r) - 1 + z / 2) / z^2 for z = r r, |r| <= pi / 4.
    cdef vector_t value
    if IS_SINGLE:
        value = SPLAT(2.45474372101932e-05)
        value = value * z + <real_t> -0.00138883006969039
        value = value * z + <real_t> 0.04166666464745738
    else:
        value = SPLAT(4.745804889760674e-14)
        value = value * z + <real_t> -1.1470459749675607e-11
        value = value * z + <real_t> 2.087675578389404e-09
        value = value * z + <real_t> -2.7557319221382114e-07
        value = value * z + <real_t> 2.4801587301584618e-05
        value = value * z + <real_t> -0.0013888888888888887
        value = value * z + <real_t> 0.041666666666666664
    return value

cdef inline vector_t logarithm_series_single(vector_t f) noexcept nogil:
    # (log(1 + f) - f + f f / 2) / f^3 for sqrt(1/2) <= 1 + f <= sqrt(2).
    cdef vector_t value
    value = SPLAT(0.06971346319412433)
    value = value * f + <real_t> -0.11483081330249757
    value = value * f + <real_t> 0.11687024882537142
    value = value * f + <real_t> -0.12425359822014156
    value = value * f + <real_t> 0.14248876978003902
    value = value * f + <real_t> -0.1666780977128316
    value = value * f + <real_t> 0.20000720743861544
    value = value * f + <real_t> -0.24999996931631013
    value = value * f + <real_t> 0.33333331160649854
    return value

cdef inline vector_t logarithm_series_dual(vector_t z) noexcept nogil:
    # (log((1 + s) / (1 - s)) - 2 s) / s^3 for z = s s.
    cdef vector_t value
    value = SPLAT(0.13088034850927555)
    value = value * z + <real_t> 0.13268638369266825
    value = value * z + <real_t> 0.15386244737621665
    value = value * z + <real_t> 0.18181795547521137
    value = value * z + <real_t> 0.22222222392581045
    value = value * z + <real_t> 0.28571428570799784
    value = value * z + <real_t> 0.40000000000000885
    value = value * z + <real_t> 0.6666666666666666
    return value

cdef inline vector_t arc_sine_series(vector_t z) noexcept nogil:
    # (arcsin(s) - s) / s^3 for z = s s <= 1/4.
    cdef vector_t value
    if IS_SINGLE:
        value = SPLAT(0.03369084720283012)
        value = value * z + <real_t> 0.017149238357677253
        value = value * z + <real_t> 0.03110066273549457
        value = value * z + <real_t> 0.04459940152851218
        value = value * z + <real_t> 0.07500094543497424
        value = value * z + <real_t> 0.16666666337430908
    else:
        value = SPLAT(0.02961201126495512)
        value = value * z + <real_t> -0.01924167174674304
        value = value * z + <real_t> 0.019554513336123378
        value = value * z + <real_t> 0.0030448799094556773
        value = value * z + <real_t> 0.009319560794767446
        value = value * z + <real_t> 0.009621842970100282
        value = value * z + <real_t> 0.011566459612121669
        value = value * z + <real_t> 0.01396378001220357
        value = value * z + <real_t> 0.017352816540325496
        value = value * z + <real_t> 0.02237215744350722
        value = value * z + <real_t> 0.03038194447553234
        value = value * z + <real_t> 0.044642857142551895
        value = value * z + <real_t> 0.07500000000000118
        value = value * z + <real_t> 0.16666666666666666
    return value

cdef inline vector_t arc_tangent_series(vector_t z) noexcept nogil:
    # (arctan(t) - t) / t^3 for z = t t <= 1.
    cdef vector_t value
    if IS_SINGLE:
        value = SPLAT(0.0014886919393047597)
        value = value * z + <real_t> -0.009144629760592396
        value = value * z + <real_t> 0.026305001110062377
        value = value * z + <real_t> -0.04896051402709067
        value = value * z + <real_t> 0.07031914250029966
        value = value * z + <real_t> -0.08931826777381315
        value = value * z + <real_t> 0.11088261628735159
        value = value * z + <real_t> -0.1428400379473353
        value = value * z + <real_t> 0.19999949321141888
        value = value * z + <real_t> -0.3333333308107325
    else:
        value = SPLAT(7.767624330289919e-06)
        value = value * z + <real_t> -9.371186345052626e-05
        value = value * z + <real_t> 0.0005376839297396244
        value = value * z + <real_t> -0.0019612554271685326
        value = value * z + <real_t> 0.005140912856746939
        value = value * z + <real_t> -0.010412153260359241
        value = value * z + <real_t> 0.01718398172211335
        value = value * z + <real_t> -0.024191345810140718
        value = value * z + <real_t> 0.030330719265790507
        value = value * z + <real_t> -0.035271331066871296
        value = value * z + <real_t> 0.03938687540798632
        value = value * z + <real_t> -0.043306538430670664
        value = value * z + <real_t> 0.04758080083637821
        value = value * z + <real_t> -0.052624922290256754
        value = value * z + <real_t> 0.05882264416776449
        value = value * z + <real_t> -0.06666657934573768
        value = value * z + <real_t> 0.07692307078827029
        value = value * z + <real_t> -0.0909090906193528
        value = value * z + <real_t> 0.11111111110268297
        value = value * z + <real_t> -0.14285714285701234
        value = value * z + <real_t> 0.1999999999999992
        value = value * z + <real_t> -0.3333333333333333
    return value

cdef inline vector_t power_series(vector_t z) noexcept nogil:
    # What follows 2 (s + s^3 / 3) / ln(2) in log2((1 + s) / (1 - s)), over s^5, for z = s s.
    cdef vector_t value
    if IS_SINGLE:
        value = SPLAT(0.3325268204341308)
        value = value * z + <real_t> 0.41206572056750185
        value = value * z + <real_t> 0.5770782341586284
    else:
        value = SPLAT(0.1863199122227143)
        value = value * z + <real_t> 0.19167457085828457
        value = value * z + <real_t> 0.22196696307527658
        value = value * z + <real_t> 0.26230804540291236
        value = value * z + <real_t> 0.32059889868375463
        value = value * z + <real_t> 0.4121985831098259
        value = value * z + <real_t> 0.5770780163555858
    return value

cdef inline vector_t exponential_of_two(vector_t x) noexcept nogil:
    return power_below_one(at_least(-x, OF(-200, -1200)), ZERO)


cdef inline vector_t exponential_less_one(vector_t x) noexcept nogil:
    # Half the power: the whole one may be above the largest number where the result is not.
    cdef vector_t n, r, half
    r = reduce_exponent(at_most(at_least(x, OF(-40, -80)), OF(89, 710)), &n)
    half = POWER_OF_TWO(n - <real_t> 1)
    return with_sign_of(magnitude((expm1_reduced(r) * half + (half - <real_t> 0.5)) * <real_t> 2), x)


cdef inline vector_t split_exponent(vector_t x, vector_t *k) noexcept nogil:
    # x = m 2^k with sqrt(1/2) <= m < sqrt(2), for finite x > 0.
    cdef vector_t tiny = SPLAT(OF(1.1754943508222875e-38, 2.2250738585072014e-308))
    cdef words_t subnormal = LESS(x, tiny)
    cdef words_t shift
    cdef vector_t m
    if SPLITS:
        m = MANTISSA_OF(x)
        shift = LESS(SPLAT(1.4142135623730951), m)
        k[0] = EXPONENT_OF(x) + BLEND(shift, SPLAT(1), ZERO)
        return m * BLEND(shift, SPLAT(0.5), SPLAT(1))
    x = BLEND(subnormal, x * OF(33554432.0, 18014398509481984.0), x)
    shift = (AS_WORDS(x) - AS_WORDS(SPLAT(0.7071067811865476))) >> MANTISSA_BITS
    k[0] = WHOLE(shift) - BLEND(subnormal, SPLAT(OF(25, 54)), ZERO)
    return AS_REALS(AS_WORDS(x) - (shift << MANTISSA_BITS))


cdef inline vector_t logarithm_reduced(vector_t f) noexcept nogil:
    # log(1 + f) for sqrt(1/2) <= 1 + f <= sqrt(2).
    cdef vector_t s, z
    cdef vector_t half = f * f * <real_t> 0.5
    if IS_SINGLE:
        return f - (half - f * f * f * logarithm_series_single(f))
    s = QUOTIENT(f, f + <real_t> 2)
    z = s * s
    return f - (half - s * (half + z * logarithm_series_dual(z)))


cdef inline vector_t with_limits(vector_t x, vector_t result) noexcept nogil:
    # A logarithm's values where x is no finite number above 0.
    cdef vector_t limit = BLEND(EQUAL(x, ZERO), -SPLAT(INFINITY), BLEND(LESS(x, ZERO), SPLAT(NAN), x))
    return BLEND(LESS(ZERO, x) & LESS(x, SPLAT(INFINITY)), result, limit)


cdef inline vector_t logarithm(vector_t x) noexcept nogil:
    cdef vector_t k
    cdef vector_t f = split_exponent(x, &k) - <real_t> 1
    return with_limits(x, k * OF(0.693359375, 6.93147180369123816490e-01) + (
        logarithm_reduced(f) + k * OF(-2.12194440054690583e-4, 1.90821492927058770002e-10)
    ))


cdef inline vector_t logarithm_of_two(vector_t x) noexcept nogil:
    cdef vector_t k
    cdef vector_t f = split_exponent(x, &k) - <real_t> 1
    return with_limits(x, k + logarithm_reduced(f) * <real_t> 1.4426950408889634)


cdef inline vector_t logarithm_of_ten(vector_t x) noexcept nogil:
    cdef vector_t k
    cdef vector_t f = split_exponent(x, &k) - <real_t> 1
    return with_limits(x, k * OF(0.301025390625, 0.301029995663611771306023) + (
        logarithm_reduced(f) * <real_t> 0.4342944819032518
        + k * OF(0.000004605038981195213738894724, 3.694239077158930536556244e-13)
    ))


cdef inline vector_t logarithm_of_one_more(vector_t x) noexcept nogil:
    # Near 0 of x itself; else of u = 1 + x, and what the rounding of u took away.
    cdef vector_t k, f, lost, result
    cdef vector_t u = x + <real_t> 1
    cdef words_t near = LESS(SPLAT(-0.29), x) & LESS(x, SPLAT(0.41))
    f = split_exponent(u, &k) - <real_t> 1
    lost = BLEND(LESS(x, SPLAT(1)), x - (u - <real_t> 1), <real_t> 1 - (u - x))
    lost = BLEND(near, ZERO, QUOTIENT(lost, u))
    f = BLEND(near, x, f)
    k = BLEND(near, ZERO, k)
    result = with_limits(u, k * OF(0.693359375, 6.93147180369123816490e-01) + (
        logarithm_reduced(f) + (k * OF(-2.12194440054690583e-4, 1.90821492927058770002e-10) + lost)
    ))
    return BLEND(EQUAL(x, ZERO), x, result)


cdef inline vector_t logarithm_of_sum(vector_t x, vector_t y) noexcept nogil:
    # log(exp(x) + exp(y)).
    cdef vector_t high = larger(x, y)
    cdef vector_t apart = magnitude(x - y)
    cdef vector_t sum = high + logarithm_of_one_more(exponential(-apart))
    return BLEND(EQUAL(x, y), x + <real_t> 0.6931471805599453, sum)


cdef inline vector_t reduce_angle(vector_t x, words_t *quadrant) noexcept nogil:
    # x = k pi / 2 + r: the products with the first parts of pi / 2 are exact.
    cdef vector_t k = nearest_whole(x * <real_t> 0.6366197723675814)
    quadrant[0] = AS_WORDS(k + ROUNDER)
    if IS_SINGLE:
        x = x - k * <real_t> 1.5703125
        x = x - k * <real_t> 0.0004837512969970703125
        x = x - k * <real_t> 7.549533620476722717285156e-8
        x = x - k * <real_t> 2.563282919254561420530081e-12
        return x - k * <real_t> 6.12323399573676588613033e-17
    x = x - k * <real_t> 1.57079632673412561416626
    x = x - k * <real_t> 6.077100506303965976595549e-11
    return x - k * <real_t> 2.022266248795950732399685e-21


cdef inline words_t far(vector_t x) noexcept nogil:
    # NaN and infinity are.
    return ~LESS(magnitude(x), SPLAT(OF(12000, 1.6e6)))


cdef inline vector_t sine_reduced(vector_t r) noexcept nogil:
    cdef vector_t z = r * r
    return r + r * (z * sine_series(z))


cdef inline vector_t cosine_reduced(vector_t r) noexcept nogil:
    cdef vector_t z = r * r
    cdef vector_t half = z * <real_t> 0.5
    cdef vector_t rest = <real_t> 1 - half
    return rest + (((<real_t> 1 - rest) - half) + z * z * cosine_series(z))


cdef inline vector_t in_quadrant(vector_t r, words_t quadrant) noexcept nogil:
    # The sine of r + quadrant pi / 2.
    cdef vector_t value = BLEND(-(quadrant & 1), cosine_reduced(r), sine_reduced(r))
    return AS_REALS(AS_WORDS(value) ^ ((quadrant & 2) << SIGN_SHIFT))


cdef inline vector_t sine(vector_t x) noexcept nogil:
    cdef words_t quadrant
    cdef vector_t r
    if any_of(far(x)):
        return sine_of_any(x)
    r = reduce_angle(x, &quadrant)
    # The sums lose the sign of zero.
    return BLEND(LESS(ZERO, magnitude(x)), in_quadrant(r, quadrant), x)


cdef inline vector_t cosine(vector_t x) noexcept nogil:
    cdef words_t quadrant
    cdef vector_t r
    if any_of(far(x)):
        return cosine_of_any(x)
    r = reduce_angle(x, &quadrant)
    return in_quadrant(r, quadrant + 1)


cdef inline vector_t tangent(vector_t x) noexcept nogil:
    cdef words_t quadrant
    cdef vector_t r, s, c
    if any_of(far(x)):
        return tangent_of_any(x)
    r = reduce_angle(x, &quadrant)
    s = sine_reduced(r)
    c = cosine_reduced(r)
    quadrant = -(quadrant & 1)
    return BLEND(
        LESS(ZERO, magnitude(x)), QUOTIENT(BLEND(quadrant, -c, s), BLEND(quadrant, s, c)), x
    )


cdef inline vector_t arc_sine_part(vector_t size, words_t *large) noexcept nogil:
    # arcsin(size), or arcsin(sqrt((1 - size) / 2)) where size > 1/2.
    cdef vector_t z, s
    large[0] = LESS(SPLAT(0.5), size)
    z = (<real_t> 1 - size) * <real_t> 0.5
    s = BLEND(large[0], square_root(z), size)
    z = BLEND(large[0], z, size * size)
    return s + s * (z * arc_sine_series(z))


cdef inline vector_t arc_sine(vector_t x) noexcept nogil:
    cdef words_t large
    cdef vector_t part = arc_sine_part(magnitude(x), &large)
    cdef vector_t rest = (OF(1.5707963705062866, 1.5707963267948966) - part * <real_t> 2) + OF(
        -4.3711390001862426e-8, 6.123233995736766e-17
    )
    return with_sign_of(BLEND(large, rest, part), x)


cdef inline vector_t arc_cosine(vector_t x) noexcept nogil:
    cdef words_t large
    cdef vector_t part = arc_sine_part(magnitude(x), &large)
    cdef vector_t twice = part * <real_t> 2
    cdef real_t pi_high = OF(3.1415927410125732, 3.141592653589793)
    cdef real_t pi_low = OF(-8.742278000372485e-8, 1.2246467991473532e-16)
    twice = BLEND(LESS(x, ZERO), (pi_high - twice) + pi_low, twice)
    part = BLEND(LESS(x, ZERO), -part, part)
    return BLEND(large, twice, (pi_high * <real_t> 0.5 - part) + pi_low * <real_t> 0.5)


cdef inline vector_t arc_tangent(vector_t x) noexcept nogil:
    cdef vector_t size = magnitude(x)
    cdef words_t large = LESS(SPLAT(1), size)
    cdef vector_t t = BLEND(large, QUOTIENT(SPLAT(1), size), size)
    cdef vector_t z = t * t
    cdef vector_t part = t + t * (z * arc_tangent_series(z))
    cdef vector_t rest = (OF(1.5707963705062866, 1.5707963267948966) - part) + OF(
        -4.3711390001862426e-8, 6.123233995736766e-17
    )
    return with_sign_of(BLEND(large, rest, part), x)


cdef inline vector_t exact_product(vector_t a, vector_t b, vector_t *rest) noexcept nogil:
    # a b as its rounded value and what the rounding took away.
    cdef vector_t a_high = upper_half(a)
    cdef vector_t b_high = upper_half(b)
    cdef vector_t product = ROUNDED(a * b)
    rest[0] = (((a_high * b_high - product) + a_high * (b - b_high)) + (a - a_high) * b_high) + (
        (a - a_high) * (b - b_high)
    )
    return product


cdef inline vector_t exact_logarithm(vector_t x, vector_t *rest) noexcept nogil:
    # log2(x) in two parts, for finite x > 0.
    cdef real_t c_low = OF(3.851925982253235e-08, 4.0710547481862066e-17)
    cdef real_t d_low = OF(-7.028461650952758e-09, 5.0577616648125907e-17)
    cdef vector_t c = SPLAT(OF(2.885390043258667, 2.8853900817779268))
    cdef vector_t d = SPLAT(OF(0.9617967009544373, 0.9617966939259756))
    cdef vector_t k, f, sum, sum_low, s, s_low, product, product_low, z, z_low, cube, cube_low, high, low
    f = split_exponent(x, &k) - <real_t> 1
    sum = f + <real_t> 2
    sum_low = f - (sum - <real_t> 2)
    s = QUOTIENT(f, sum)
    product = exact_product(s, sum, &product_low)
    s_low = QUOTIENT(((f - product) - product_low) - s * sum_low, sum)
    z = exact_product(s, s, &z_low)
    z_low = z_low + s * s_low * <real_t> 2
    # The term of s^3, its factor of z first.
    cube = exact_product(z, d, &cube_low)
    cube_low = cube_low + (z_low * d + z * d_low) + z * z * power_series(z)
    # s (c + cube).
    sum = c + cube
    sum_low = (cube - (sum - c)) + (cube_low + c_low)
    product = exact_product(s, sum, &product_low)
    product_low = product_low + (s_low * sum + s * sum_low)
    high = k + product
    low = (product - (high - k)) + product_low
    # k may be 0: then `product` alone is the larger part.
    low = BLEND(EQUAL(k, ZERO), product_low, low)
    sum = high + low
    rest[0] = low - (sum - high)
    return sum


cdef inline vector_t power(vector_t x, vector_t y) noexcept nogil:
    cdef vector_t high, low, product, rest
    cdef words_t usual = LESS(ZERO, x) & LESS(x, SPLAT(INFINITY)) & LESS(magnitude(y), SPLAT(OF(1e30, 1e290)))
    if any_of(~usual):
        return power_of_any(x, y)
    high = exact_logarithm(x, &low)
    product = exact_product(high, y, &rest)
    rest = rest + low * y
    usual = LESS(magnitude(product), SPLAT(OF(200, 1200)))
    rest = BLEND(usual, rest, ZERO)
    return power_below_one(at_least(-product, OF(-200, -1200)), -rest)
