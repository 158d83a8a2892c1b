# Parts of a vector, stores past the caches, and what is common to the lanes of a vector.

cdef extern from *:
    """
    #if defined(__x86_64__)
    #include <immintrin.h>
    #endif
    #if defined(__AVX512F__) && VECTOR_BYTES == 64
    #define LANE_MASK(n) ((unsigned) ((1u << (n)) - 1))
    static inline vector_t load_part(const real_t *from, Py_ssize_t n, vector_t rest) {
        if (IS_SINGLE) return (vector_t) _mm512_mask_loadu_ps((__m512) rest, LANE_MASK(n), from);
        return (vector_t) _mm512_mask_loadu_pd((__m512d) rest, LANE_MASK(n), from);
    }
    static inline void store_part(real_t *to, vector_t v, Py_ssize_t n) {
        if (IS_SINGLE) _mm512_mask_storeu_ps(to, LANE_MASK(n), (__m512) v);
        else _mm512_mask_storeu_pd(to, LANE_MASK(n), (__m512d) v);
    }
    #elif defined(__AVX2__) && VECTOR_BYTES == 32
    static inline __m256i lane_mask(Py_ssize_t n) {
        if (IS_SINGLE) return _mm256_cmpgt_epi32(
            _mm256_set1_epi32((int) n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        return _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long) n), _mm256_setr_epi64x(0, 1, 2, 3));
    }
    static inline vector_t load_part(const real_t *from, Py_ssize_t n, vector_t rest) {
        __m256i mask = lane_mask(n);
        vector_t v = IS_SINGLE ? (vector_t) _mm256_maskload_ps((const float *) from, mask)
                               : (vector_t) _mm256_maskload_pd((const double *) from, mask);
        return BLEND((words_t) mask, v, rest);
    }
    static inline void store_part(real_t *to, vector_t v, Py_ssize_t n) {
        if (IS_SINGLE) _mm256_maskstore_ps((float *) to, lane_mask(n), (__m256) v);
        else _mm256_maskstore_pd((double *) to, lane_mask(n), (__m256d) v);
    }
    #else
    static inline vector_t load_part(const real_t *from, Py_ssize_t n, vector_t rest) {
        memcpy(&rest, from, n * sizeof(real_t));
        return rest;
    }
    static inline void store_part(real_t *to, vector_t v, Py_ssize_t n) {
        memcpy(to, &v, n * sizeof(real_t));
    }
    #endif

    #if defined(__x86_64__) && VECTOR_BYTES == 64
    #define STREAM(to, v) _mm512_stream_ps((float *) (to), (__m512) (v))
    #elif defined(__x86_64__) && VECTOR_BYTES == 32
    #define STREAM(to, v) _mm256_stream_ps((float *) (to), (__m256) (v))
    #elif defined(__x86_64__)
    #define STREAM(to, v) _mm_stream_ps((float *) (to), (__m128) (v))
    #else
    #define STREAM(to, v) (*(vector_t *) (to) = (v))
    #endif
    #if defined(__x86_64__)
    #define STREAMS_END() _mm_sfence()
    #else
    #define STREAMS_END() ((void) 0)
    #endif

    /* Each lane takes the lane whose number differs in one bit: GCC makes one instruction of it. */
    #if defined(__GNUC__) && !defined(__clang__)
    static const word_t lane_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    #define EXCHANGED(v, bit) __builtin_shuffle(v, *(const words_t *) lane_numbers ^ (word_t) (bit))
    #else
    static inline vector_t EXCHANGED(vector_t v, int bit) {
        vector_t w = v;
        for (int i = 0; i < LANES; i++) w[i] = v[i ^ bit];
        return w;
    }
    #endif
    """
    vector_t load_part(const real_t *source, Py_ssize_t n, vector_t rest) noexcept nogil
    void store_part(real_t *target, vector_t v, Py_ssize_t n) noexcept nogil
    void STREAM(real_t *target, vector_t v) noexcept nogil
    void STREAMS_END() noexcept nogil
    vector_t EXCHANGED(vector_t v, int bit) noexcept nogil


cdef inline vector_t load(const real_t *source) noexcept nogil:
    return (<const unaligned_t *> source)[0]


cdef inline void store(real_t *target, vector_t v) noexcept nogil:
    (<unaligned_t *> target)[0] = v


cdef inline vector_t larger(vector_t x, vector_t peak) noexcept nogil:
    # NaN in x is passed over.
    return BLEND(LESS(peak, x), x, peak)


cdef inline vector_t peak_in_all_lanes(vector_t v) noexcept nogil:
    if LANES > 8:
        v = larger(EXCHANGED(v, 8), v)
    if LANES > 4:
        v = larger(EXCHANGED(v, 4), v)
    if LANES > 2:
        v = larger(EXCHANGED(v, 2), v)
    return larger(EXCHANGED(v, 1), v)


cdef inline vector_t sum_in_all_lanes(vector_t v) noexcept nogil:
    if LANES > 8:
        v += EXCHANGED(v, 8)
    if LANES > 4:
        v += EXCHANGED(v, 4)
    if LANES > 2:
        v += EXCHANGED(v, 2)
    return v + EXCHANGED(v, 1)


cdef inline real_t first_lane(vector_t v) noexcept nogil:
    return (<real_t *> &v)[0]


cdef inline void write(real_t *target, vector_t v, bint stream) noexcept nogil:
    if stream:
        STREAM(target, v)
    else:
        store(target, v)


cdef inline Py_ssize_t before_alignment(const real_t *target, Py_ssize_t n) noexcept nogil:
    # Elements before the first address at which a whole vector may be streamed.
    return min(n, <Py_ssize_t> ((-<size_t> target & (VECTOR_BYTES - 1)) // sizeof(real_t)))
