from libc.stddef cimport size_t

from tensorops.kernels.convolution.patches cimport Patch, Window
from tensorops.kernels.elementwise.kernels cimport sweep_t
from tensorops.kernels.gemm.kernels cimport Kernels

cdef enum:
    # Runs that one strip may be put together from: as many as it has columns.
    MAX_NR = 128

ctypedef struct Convolution:
    # y (images, outputs, rows, columns) = w (outputs, channels, taps) * x, plus bias, then the activation.
    # Strides count elements; those of w may be negative.
    const Kernels *kernels
    Window window
    Py_ssize_t images
    Py_ssize_t channels
    Py_ssize_t outputs
    Py_ssize_t rows
    Py_ssize_t columns
    const char *x
    Py_ssize_t x_image
    const char *w
    Py_ssize_t w_output
    Py_ssize_t w_channel
    Py_ssize_t w_row
    Py_ssize_t w_column
    const char *bias           # NULL if there is none
    Py_ssize_t bias_step
    char *y
    Py_ssize_t y_image
    Py_ssize_t y_output
    Py_ssize_t y_row
    Py_ssize_t y_column
    sweep_t activation         # NULL if there is none
    const double *parameters

ctypedef struct Plan:
    # The depth of the product, channels times taps, is cut into boxes of them.
    Py_ssize_t channels
    Py_ssize_t taps_h
    Py_ssize_t taps_w
    Py_ssize_t kc              # depth of a box
    Py_ssize_t mc              # outputs of a block
    Py_ssize_t images          # windows of a region, whose patch is copied at once
    Py_ssize_t rows
    Py_ssize_t columns
    Py_ssize_t regions         # in all
    Py_ssize_t regions_h
    Py_ssize_t regions_w
    Py_ssize_t group           # regions that are finished before the next ones are begun
    bint direct                # strips are written where they belong, else by way of a buffer
    Patch patch
    size_t patch_bytes         # parts of one thread's work memory
    size_t strip_bytes
    size_t block_bytes
    size_t spill_bytes
    size_t offset_bytes
    size_t work_bytes
    int threads

cdef void make_plan(const Convolution *convolution, int threads, Plan *plan) noexcept nogil
