ctypedef struct Window:
    # One image's channels, and how a window of taps steps over them; strides count elements.
    Py_ssize_t itemsize
    Py_ssize_t height          # of the image
    Py_ssize_t width
    Py_ssize_t channel         # strides of the image
    Py_ssize_t row
    Py_ssize_t column
    Py_ssize_t taps_h
    Py_ssize_t taps_w
    Py_ssize_t step_h          # rows and columns from one window to the next
    Py_ssize_t step_w
    Py_ssize_t origin_h        # rows and columns that the first window lies before the image
    Py_ssize_t origin_w

ctypedef struct Patch:
    # The part of some channels that the windows of a region see, padded with zeros. Rows and columns
    # that are a step apart lie side by side, so that each tap of a row of windows is one run.
    Py_ssize_t phases_h
    Py_ssize_t phases_w
    Py_ssize_t rows
    Py_ssize_t columns
    Py_ssize_t plane           # elements of one phase
    Py_ssize_t channel         # elements of one channel

cdef Patch patch_of(const Window *window, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
cdef Py_ssize_t place_of_tap(
    const Window *window, const Patch *patch, Py_ssize_t channel, Py_ssize_t tap,
) noexcept nogil
cdef void fill_patch(
    const Window *window, const Patch *patch, const char *image, Py_ssize_t channels,
    Py_ssize_t first_row, Py_ssize_t first_column, char *target,
) noexcept nogil
