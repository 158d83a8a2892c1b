"""The table of functions that one micro-kernel module offers to the loops.

Matrices are passed as ``void *`` to elements of the module's dtype, so that the loops exist once.
Strides count elements: ``rs_x`` steps one row, ``cs_x`` one column.
"""

ctypedef void (*strip_packed_t)(
    Py_ssize_t m, Py_ssize_t k, const void *a, const void *b,
    void *c, Py_ssize_t rs_c, Py_ssize_t cs_c, int n, bint accumulate,
) noexcept nogil

ctypedef void (*strip_strided_t)(
    Py_ssize_t m, Py_ssize_t k, const void *a, Py_ssize_t rs_a, Py_ssize_t cs_a, Py_ssize_t step_a,
    const void *b, Py_ssize_t rs_b, void *c, Py_ssize_t rs_c, Py_ssize_t cs_c, int n, bint accumulate,
) noexcept nogil

ctypedef void (*pack_t)(
    Py_ssize_t width, Py_ssize_t k, const void *source, Py_ssize_t ws, Py_ssize_t ks, void *panel,
) noexcept nogil

ctypedef void (*lines_t)(
    Py_ssize_t n, Py_ssize_t k, const void *b, Py_ssize_t rs_b, Py_ssize_t cs_b, void *target,
) noexcept nogil

ctypedef void (*dots_t)(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const void *a, Py_ssize_t rs_a, const void *b, Py_ssize_t cs_b,
    void *c, Py_ssize_t rs_c, Py_ssize_t cs_c, bint accumulate,
) noexcept nogil

ctypedef void (*thin_t)(
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const void *a, Py_ssize_t rs_a, Py_ssize_t cs_a,
    const void *b, Py_ssize_t rs_b, void *c, Py_ssize_t rs_c, bint accumulate,
) noexcept nogil

ctypedef void (*place_t)(
    Py_ssize_t m, Py_ssize_t n, const void *sums, Py_ssize_t stride,
    void *c, Py_ssize_t rs_c, Py_ssize_t cs_c, bint accumulate,
) noexcept nogil

ctypedef void (*finish_t)(
    Py_ssize_t m, Py_ssize_t n, void *c, Py_ssize_t rs_c, Py_ssize_t cs_c,
    const void *bias, Py_ssize_t rs_bias, Py_ssize_t cs_bias,
) noexcept nogil

ctypedef struct Run:
    Py_ssize_t start
    Py_ssize_t length

ctypedef void (*pack_runs_t)(
    Py_ssize_t k, const Py_ssize_t *offsets, const void *source, int count, const Run *runs, void *panel,
) noexcept nogil

ctypedef double (*peak_t)(Py_ssize_t iterations) noexcept nogil

cdef enum:
    KERNELS_VERSION = 5
    # Products that are added up before their sum is added to C. The OpenBLAS kernels that cut deepest
    # sum up to 192 at a depth of 384; with as many, the error stays beside theirs.
    LONGEST_RUN = 192

cdef enum:
    # What is done to finished elements of C: a bias is added, then an activation applied.
    EPILOGUE_NONE
    EPILOGUE_BIAS
    EPILOGUE_RELU
    EPILOGUE_GELU
    EPILOGUE_GELU_TANH
    EPILOGUE_GELU_SIGMOID
    EPILOGUE_SILU
    EPILOGUE_SIGMOID
    EPILOGUE_TANH
    EPILOGUES

ctypedef struct Kernels:
    int version
    int itemsize
    int mr
    int nr
    int lanes
    const char *name
    strip_packed_t strip_packed    # C (m, n), n up to NR, from packed panels of A and a packed strip of B
    strip_strided_t strip_strided  # the same; tiles of A anywhere, step_a apart, B rows of unit column stride
    pack_t pack_a                  # up to MR rows of A into a zero-padded panel
    pack_t pack_b                  # up to NR columns of B into a zero-padded panel
    pack_runs_t pack_runs          # rows of B from runs, the same of each, `offsets` apart; see runs.pxi
    lines_t lines                  # columns of B (k, n) into contiguous lines
    dots_t dots                    # C (m, n), the rows of A and the columns of B contiguous
    thin_t thin                    # few rows of C or little depth; rows of B and of C contiguous
    place_t place                  # C (m, n) = or += sums (m, n), rows of the sums contiguous
    finish_t finish[EPILOGUES]     # C (m, n) = activation(C + bias); no bias where it is NULL
    peak_t peak                    # multiply-adds on registers alone; returns the flops done
