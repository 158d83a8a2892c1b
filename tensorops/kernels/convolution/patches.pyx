"""Padded copies of a region of an image, in which every tap of a row of windows is a contiguous run."""

from libc.string cimport memcpy, memset


cdef Patch patch_of(const Window *window, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """Lay out the patch of a region of `rows` by `columns` windows."""
    cdef Patch patch
    patch.phases_h = min(window.step_h, window.taps_h)
    patch.phases_w = min(window.step_w, window.taps_w)
    patch.rows = rows + (window.taps_h - 1) // window.step_h
    patch.columns = columns + (window.taps_w - 1) // window.step_w
    patch.plane = patch.rows * patch.columns
    patch.channel = patch.phases_h * patch.phases_w * patch.plane
    return patch


cdef Py_ssize_t place_of_tap(
    const Window *window, const Patch *patch, Py_ssize_t channel, Py_ssize_t tap,
) noexcept nogil:
    """Return where the region's first window finds a tap of a channel."""
    cdef Py_ssize_t i = tap // window.taps_w
    cdef Py_ssize_t j = tap % window.taps_w
    cdef Py_ssize_t phase = i % window.step_h * patch.phases_w + j % window.step_w
    return (
        channel * patch.channel + phase * patch.plane
        + i // window.step_h * patch.columns + j // window.step_w
    )


cdef inline void copy_row(
    Py_ssize_t count, Py_ssize_t itemsize, const char *source, Py_ssize_t step, char *target,
) noexcept nogil:
    cdef Py_ssize_t i
    if step == itemsize:
        memcpy(target, source, count * itemsize)
    elif itemsize == 4:
        for i in range(count):
            memcpy(target + 4 * i, source + i * step, 4)
    else:
        for i in range(count):
            memcpy(target + 8 * i, source + i * step, 8)


cdef void fill_patch(
    const Window *window, const Patch *patch, const char *image, Py_ssize_t channels,
    Py_ssize_t first_row, Py_ssize_t first_column, char *target,
) noexcept nogil:
    """Copy what the region whose first window is (first_row, first_column) sees of some channels."""
    cdef Py_ssize_t size = window.itemsize
    cdef Py_ssize_t c, i, j, a, row, column, before, inside
    cdef const char *source
    for c in range(channels):
        for i in range(patch.phases_h):
            for j in range(patch.phases_w):
                # Columns of the patch before the image, and inside it.
                column = first_column * window.step_w + j - window.origin_w
                before = 0
                if column < 0:
                    before = min((-column + window.step_w - 1) // window.step_w, patch.columns)
                column += before * window.step_w
                inside = 0
                if column < window.width:
                    inside = min((window.width - 1 - column) // window.step_w + 1, patch.columns - before)
                for a in range(patch.rows):
                    row = (first_row + a) * window.step_h + i - window.origin_h
                    if row < 0 or row >= window.height or inside == 0:
                        memset(target, 0, patch.columns * size)
                    else:
                        source = image + (
                            c * window.channel + row * window.row + column * window.column
                        ) * size
                        if before:
                            memset(target, 0, before * size)
                        copy_row(
                            inside, size, source, window.step_w * window.column * size, target + before * size
                        )
                        if before + inside < patch.columns:
                            memset(
                                target + (before + inside) * size, 0,
                                (patch.columns - before - inside) * size,
                            )
                    target += patch.columns * size
