# One set-associative level of a cache, whose sets keep the lines used last in front.

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>

    /* Move a line to the front of a set and the ones before it one place back; 1 where it was missing. */
    static inline int tensorops_use_line_scalar(uint32_t *tags, uint32_t line, ptrdiff_t ways)
    {
        uint32_t carried = tags[0], tag;
        tags[0] = line;
        if (carried == line) return 0;
        for (ptrdiff_t way = 1; way < ways; ++way) {
            tag = tags[way];
            tags[way] = carried;
            if (tag == line) return 0;
            carried = tag;
        }
        return 1;
    }

    #if defined(__SSE2__) && defined(__GNUC__)
    #include <emmintrin.h>
    /* The same for sets of 4 * vectors ways, without a branch on where the line is: that is the part that
       processors cannot predict. Tag i moves if the line is not among the tags before i. */
    static inline __attribute__((always_inline))
    int tensorops_use_line(uint32_t *tags, uint32_t line, const int vectors)
    {
        const __m128i wanted = _mm_set1_epi32((int) line);
        const __m128i ones = _mm_set1_epi32(-1);
        __m128i before = _mm_setzero_si128();   /* in all lanes: found in an earlier vector */
        __m128i carried = wanted;               /* in lane 0: the tag that comes in from the left */
        for (int v = 0; v < vectors; ++v) {
            __m128i old = _mm_loadu_si128((const __m128i *) (tags + 4 * v));
            __m128i equal = _mm_cmpeq_epi32(old, wanted);
            /* In each lane: found in this lane or to the left of it, then strictly to the left of it. */
            __m128i upto = _mm_or_si128(equal, _mm_slli_si128(equal, 4));
            upto = _mm_or_si128(upto, _mm_slli_si128(upto, 8));
            __m128i left = _mm_or_si128(_mm_slli_si128(upto, 4), before);
            __m128i moved = _mm_or_si128(
                _mm_slli_si128(old, 4), _mm_and_si128(carried, _mm_srli_si128(ones, 12)));
            __m128i kept = _mm_or_si128(_mm_and_si128(left, old), _mm_andnot_si128(left, moved));
            _mm_storeu_si128((__m128i *) (tags + 4 * v), kept);
            carried = _mm_srli_si128(old, 12);
            before = _mm_or_si128(before, _mm_shuffle_epi32(upto, 0xff));
        }
        return !_mm_cvtsi128_si32(before);
    }
    #else
    static inline int tensorops_use_line(uint32_t *tags, uint32_t line, const int vectors)
    {
        return tensorops_use_line_scalar(tags, line, 4 * vectors);
    }
    #endif
    """
    bint tensorops_use_line_scalar(uint32_t *tags, uint32_t line, Py_ssize_t ways) noexcept nogil
    bint tensorops_use_line(uint32_t *tags, uint32_t line, int vectors) noexcept nogil


cdef struct Level:
    uint32_t *tags          # `ways` of each set, the one used last in front; 0 is an empty way
    Py_ssize_t sets
    Py_ssize_t ways
    Py_ssize_t mask         # sets - 1 where that is a mask, else -1


cdef inline bint level_misses(const Level *level, uint32_t line) noexcept nogil:
    """Use a line in one level: it goes to the front of its set. Tell whether it was missing."""
    cdef Py_ssize_t index = line & level.mask if level.mask >= 0 else line % level.sets
    cdef uint32_t *tags = level.tags + index * level.ways
    if tags[0] == line:
        return False
    if level.ways == 8:
        return tensorops_use_line(tags, line, 2)
    if level.ways == 16:
        return tensorops_use_line(tags, line, 4)
    return tensorops_use_line_scalar(tags, line, level.ways)
