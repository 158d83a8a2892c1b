# A packed panel of B whose rows are put together from runs of contiguous elements: the columns of a
# convolution's matrix, which is never written down.

cdef void pack_runs(
    Py_ssize_t k, const Py_ssize_t *offsets, const void *source, int count, const Run *runs, void *panel,
) noexcept nogil:
    # Whole vectors are copied: what lies behind a run is written over by the next one, at last by the
    # next row's. So many elements may be read behind a run, and written behind the panel.
    cdef const real_t *row
    cdef real_t *target = <real_t *> panel
    cdef real_t *place
    cdef Py_ssize_t p, i
    cdef int r
    for p in range(k):
        row = <const real_t *> source + offsets[p]
        place = target
        for r in range(count):
            for i from 0 <= i < runs[r].length by LANES:
                (<unaligned_t *> (place + i))[0] = (<unaligned_t *> (row + runs[r].start + i))[0]
            place += runs[r].length
        target += NR
