"""How a convolution is computed: the blocks of its product, the regions of its images, the work memory."""

from tensorops.kernels.convolution.patches cimport patch_of
from tensorops.kernels.gemm.plan cimport THREAD_WORK, divided

cdef enum:
    # A strip of that depth stays in L2 beside the block of weights and the rows of the patch it is read from.
    DEPTH = 768
    BLOCK_BYTES = 384 << 10
    PATCH_BYTES = 512 << 10
    # Windows over which the packing of a block of weights is spread.
    GROUP_WINDOWS = 1024
    # Regions for each thread, of so many strips or more, so that threads end at the same time.
    REGIONS = 4
    STRIPS = 8
    LINE = 64


cdef inline Py_ssize_t even(Py_ssize_t total, Py_ssize_t largest, Py_ssize_t step) noexcept nogil:
    """Return the size of equal parts of at most about `largest`, a multiple of `step`."""
    return divided(total, (total + largest - 1) // max(largest, 1), step)


cdef inline size_t patch_bytes(const Convolution *c, Plan *plan) noexcept nogil:
    plan.patch = patch_of(&c.window, plan.rows, plan.columns)
    return plan.images * plan.channels * plan.patch.channel * c.kernels.itemsize


cdef void make_plan(const Convolution *convolution, int threads, Plan *plan) noexcept nogil:
    """Plan a convolution, of which no size is zero, for at most `threads` threads."""
    cdef const Convolution *c = convolution
    cdef Py_ssize_t size = c.kernels.itemsize
    cdef Py_ssize_t nr = c.kernels.nr
    cdef Py_ssize_t depth, windows
    cdef Convolution part = c[0]
    cdef double work
    plan.channels = 1
    plan.taps_h = 1
    if c.window.taps_h * c.window.taps_w <= DEPTH:
        plan.channels = even(c.channels, DEPTH // (c.window.taps_h * c.window.taps_w), 1)
        plan.taps_h = c.window.taps_h
        plan.taps_w = c.window.taps_w
    elif c.window.taps_w <= DEPTH:
        plan.taps_h = even(c.window.taps_h, DEPTH // c.window.taps_w, 1)
        plan.taps_w = c.window.taps_w
    else:
        plan.taps_w = even(c.window.taps_w, DEPTH, 1)
    plan.kc = plan.channels * plan.taps_h * plan.taps_w
    plan.mc = even(c.outputs, max(<Py_ssize_t> c.kernels.mr, BLOCK_BYTES // (plan.kc * size)), c.kernels.mr)
    part.window.taps_h = plan.taps_h
    part.window.taps_w = plan.taps_w
    plan.images = 1
    plan.rows = c.rows
    plan.columns = c.columns
    while patch_bytes(&part, plan) > PATCH_BYTES and plan.rows > 1:
        plan.rows = (plan.rows + 1) // 2
    while patch_bytes(&part, plan) > PATCH_BYTES and plan.columns > nr:
        plan.columns = (plan.columns + 1) // 2
    work = <double> c.images * c.rows * c.columns * c.outputs * c.channels
    work *= c.window.taps_h * c.window.taps_w
    if threads > 1:
        threads = <int> max(1, min(<double> threads, work / THREAD_WORK))
    plan.regions_w = (c.columns + plan.columns - 1) // plan.columns
    while True:
        plan.regions_h = (c.rows + plan.rows - 1) // plan.rows
        plan.regions = c.images * plan.regions_h * plan.regions_w
        if threads == 1 or plan.regions >= REGIONS * threads or plan.rows == 1:
            break
        if plan.rows * plan.columns <= STRIPS * nr and plan.regions >= threads:
            break
        plan.rows = (plan.rows + 1) // 2
    plan.rows = even(c.rows, plan.rows, 1)
    plan.direct = plan.regions_w == 1 and (c.y_row == c.columns * c.y_column or c.rows == 1)
    windows = plan.rows * plan.columns
    if plan.direct and plan.regions_h == 1 and c.y_image == windows * c.y_column:
        # The results of one image lie behind those of the one before, and so may strips.
        plan.images = min(
            divided(c.images, threads, 1), divided(GROUP_WINDOWS, windows, 1),
            max(<Py_ssize_t> 1, PATCH_BYTES // <Py_ssize_t> patch_bytes(&part, plan)),
        )
        plan.images = even(c.images, plan.images, 1)
        plan.regions = divided(c.images, plan.images, 1)
    plan.threads = <int> min(<Py_ssize_t> threads, plan.regions)
    plan.group = plan.regions
    if plan.kc < c.channels * c.window.taps_h * c.window.taps_w:
        plan.group = max(<Py_ssize_t> 1, GROUP_WINDOWS // (plan.images * windows))
    if c.y_column != 1 and c.activation != NULL:
        plan.direct = False
    # Beyond patch and strip, whole vectors are read and written.
    plan.patch_bytes = divided(patch_bytes(&part, plan) + nr * size, 1, LINE)
    plan.strip_bytes = divided((plan.kc + 2) * nr * size, 1, LINE)
    plan.block_bytes = divided((plan.kc + 1) * plan.mc * size, 1, LINE)
    plan.spill_bytes = 0 if plan.direct else divided(plan.mc * nr * size, 1, LINE)
    depth = plan.kc * sizeof(Py_ssize_t)
    plan.offset_bytes = divided(depth, 1, LINE)
    plan.work_bytes = (
        plan.patch_bytes + plan.strip_bytes + plan.block_bytes + plan.spill_bytes + plan.offset_bytes
    )
    plan.work_bytes = divided(plan.work_bytes, 1, 4096)
