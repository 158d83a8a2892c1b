# Vectors of which only the first few lanes exist in memory: the ends of rows.
#
# What lies beyond the end is neither read nor written. `read_part` is `load_part` for operands, which
# nothing in this module writes: it is an instruction that the compiler does not take for an access to
# memory, since beside one that it cannot analyse it would not keep a tile in registers.

cdef extern from *:
    """
    #if VECTOR_BYTES == 64 && defined(__AVX512F__)
    #include <immintrin.h>
    /* Instructions that take a mask: a whole vector costs no more. */
    typedef __mmask16 part_t;
    #define FIRST_LANES(count) ((part_t) ((1u << (count)) - 1))
    static inline vector_t read_part(const REAL *p, part_t part) {
        vector_t v;
        if (sizeof(REAL) == 4) __asm__("vmovups (%1), %0%{%2%}%{z%}" : "=v"(v) : "r"(p), "Yk"(part));
        else __asm__("vmovupd (%1), %0%{%2%}%{z%}" : "=v"(v) : "r"(p), "Yk"(part));
        return v;
    }
    static inline vector_t load_part(const REAL *p, part_t part) {
        return sizeof(REAL) == 4 ? (vector_t) _mm512_maskz_loadu_ps(part, p)
                                 : (vector_t) _mm512_maskz_loadu_pd((__mmask8) part, p);
    }
    static inline void store_part(REAL *p, part_t part, vector_t v) {
        if (sizeof(REAL) == 4) _mm512_mask_storeu_ps(p, part, (__m512) v);
        else _mm512_mask_storeu_pd(p, (__mmask8) part, (__m512d) v);
    }
    #else
    typedef int part_t;
    #define FIRST_LANES(count) (count)
    static inline vector_t load_part(const REAL *p, part_t count) {
        vector_t v = {0};
        if (count == LANES) return (vector_t) *(const unaligned_t *) p;
        for (int i = 0; i < LANES; i++)
            if (i < count) v[i] = p[i];
        return v;
    }
    #if VECTOR_BYTES == 32 && defined(__AVX__)
    #include <immintrin.h>
    static inline vector_t read_part(const REAL *p, part_t count) {
        static const int ends[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
        vector_t v;
        if (count == LANES) return (vector_t) *(const unaligned_t *) p;
        __m256i mask = _mm256_loadu_si256((const __m256i *) (ends + 8 - count * (int) (sizeof(REAL) / 4)));
        if (sizeof(REAL) == 4) __asm__("vmaskmovps (%1), %2, %0" : "=x"(v) : "r"(p), "x"(mask));
        else __asm__("vmaskmovpd (%1), %2, %0" : "=x"(v) : "r"(p), "x"(mask));
        return v;
    }
    #else
    #define read_part load_part
    #endif
    /* Called, so that the loop over a tile's rows stays short: the compiler must unroll it early. */
    static __attribute__((noinline)) void store_lanes(REAL *p, part_t count, vector_t v) {
        REAL lanes[LANES];
        int done = 0;
        memcpy(lanes, &v, sizeof(v));
        for (int size = LANES / 2; size; size /= 2)
            if (count & size) {
                memcpy(p + done, lanes + done, size * sizeof(REAL));
                done += size;
            }
    }
    static inline void store_part(REAL *p, part_t count, vector_t v) {
        if (count == LANES) *(unaligned_t *) p = v;
        else store_lanes(p, count, v);
    }
    #endif
    """
    ctypedef int part_t
    part_t FIRST_LANES(int count) noexcept nogil
    vector_t load_part(const real_t *p, part_t part) noexcept nogil
    vector_t read_part(const real_t *p, part_t part) noexcept nogil
    void store_part(real_t *p, part_t part, vector_t v) noexcept nogil
