"""A convolution as a product: weights (outputs, depth) times the windows' columns (depth, windows).

The depth is channels times taps. The right matrix is never written down: each strip of NR columns is
packed from a padded patch of the image, used with all blocks of weights that are in the cache, and
forgotten. From the outside the loops are: groups of regions, blocks of MC outputs, boxes of the depth,
regions, strips of NR windows, tiles of MR outputs.

The bias is one more row of depth: a column of the weights, multiplied by ones.
"""

from libc.string cimport memcpy, memset

from tensorops.kernels.convolution.patches cimport Patch, Window, fill_patch, place_of_tap
from tensorops.kernels.convolution.plan cimport MAX_NR, Convolution, Plan, make_plan
from tensorops.kernels.gemm.kernels cimport Kernels, Run
from tensorops.runtime.openmp cimport run_parallel
from tensorops.runtime.workspace cimport borrow


cdef struct Box:
    # A part of the depth, and the window of its taps.
    Py_ssize_t first_channel
    Py_ssize_t channels
    Py_ssize_t first_row
    Py_ssize_t first_column
    Window window
    Py_ssize_t depth           # with the row of ones, if the bias is added here
    bint with_bias
    bint first
    bint last


cdef struct Work:
    # One thread's work memory.
    char *patch
    char *strip
    char *block
    char *spill
    Py_ssize_t *offsets


cdef struct Region:
    Py_ssize_t image
    Py_ssize_t images
    Py_ssize_t row
    Py_ssize_t column
    Py_ssize_t rows
    Py_ssize_t columns


cdef bint make_box(const Convolution *c, const Plan *plan, Py_ssize_t number, Box *box) noexcept nogil:
    """Find the box of a number; return whether there is one."""
    cdef Py_ssize_t boxes_w = (c.window.taps_w + plan.taps_w - 1) // plan.taps_w
    cdef Py_ssize_t boxes_h = (c.window.taps_h + plan.taps_h - 1) // plan.taps_h
    cdef Py_ssize_t boxes = boxes_w * boxes_h * ((c.channels + plan.channels - 1) // plan.channels)
    if number >= boxes:
        return False
    box.first = number == 0
    box.last = number == boxes - 1
    box.with_bias = box.last and c.bias != NULL
    box.first_column = number % boxes_w * plan.taps_w
    box.first_row = number // boxes_w % boxes_h * plan.taps_h
    box.first_channel = number // (boxes_w * boxes_h) * plan.channels
    box.channels = min(plan.channels, c.channels - box.first_channel)
    box.window = c.window
    box.window.taps_h = min(plan.taps_h, c.window.taps_h - box.first_row)
    box.window.taps_w = min(plan.taps_w, c.window.taps_w - box.first_column)
    box.window.origin_h -= box.first_row
    box.window.origin_w -= box.first_column
    box.depth = box.channels * box.window.taps_h * box.window.taps_w + box.with_bias
    return True


cdef Region region_of(const Convolution *c, const Plan *plan, Py_ssize_t number) noexcept nogil:
    cdef Region region
    region.column = number % plan.regions_w * plan.columns
    region.row = number // plan.regions_w % plan.regions_h * plan.rows
    region.image = number // (plan.regions_w * plan.regions_h) * plan.images
    region.images = min(plan.images, c.images - region.image)
    region.rows = min(plan.rows, c.rows - region.row)
    region.columns = min(plan.columns, c.columns - region.column)
    return region


cdef void pack_weights(
    const Convolution *c, const Box *box, Py_ssize_t first, Py_ssize_t count, char *block,
) noexcept nogil:
    """Pack the weights of some outputs, tile by tile, and their bias behind them."""
    cdef const Kernels *kernels = c.kernels
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t mr = kernels.mr
    cdef Py_ssize_t ir, m, channel, i
    cdef const char *corner
    cdef const char *source
    cdef char *target
    cdef bint whole = (
        c.w_row == c.window.taps_w * c.w_column and c.w_channel == c.window.taps_h * c.w_row
        and box.window.taps_h == c.window.taps_h and box.window.taps_w == c.window.taps_w
    )
    corner = c.w + (
        box.first_channel * c.w_channel + box.first_row * c.w_row + box.first_column * c.w_column
        + first * c.w_output
    ) * size
    ir = 0
    while ir < count:
        m = min(mr, count - ir)
        target = block + ir * box.depth * size
        if whole:
            kernels.pack_a(m, box.depth - box.with_bias, corner, c.w_output, c.w_column, target)
            target += (box.depth - box.with_bias) * mr * size
        else:
            for channel in range(box.channels):
                for i in range(box.window.taps_h):
                    source = corner + (channel * c.w_channel + i * c.w_row) * size
                    kernels.pack_a(m, box.window.taps_w, source, c.w_output, c.w_column, target)
                    target += box.window.taps_w * mr * size
        if box.with_bias:
            kernels.pack_a(m, 1, c.bias + (first + ir) * c.bias_step * size, c.bias_step, 1, target)
        corner += mr * c.w_output * size
        ir += mr


cdef int runs_of(
    const Region *region, const Patch *patch, Py_ssize_t channels, Py_ssize_t start, Py_ssize_t count,
    Run *runs,
) noexcept nogil:
    """Cut a strip of a region's windows into runs of the patch; return how many there are."""
    cdef int found = 0
    cdef Py_ssize_t image = start // (region.rows * region.columns)
    cdef Py_ssize_t row = start // region.columns % region.rows
    cdef Py_ssize_t column = start % region.columns
    cdef Py_ssize_t place, length
    while count > 0:
        length = min(count, region.columns - column)
        place = image * channels * patch.channel + row * patch.columns + column
        if found and runs[found - 1].start + runs[found - 1].length == place:
            runs[found - 1].length += length
        else:
            runs[found].start = place
            runs[found].length = length
            found += 1
        count -= length
        column = 0
        row += 1
        if row == region.rows:
            row = 0
            image += 1
    return found


cdef inline void fill_with_ones(Py_ssize_t count, Py_ssize_t itemsize, char *row) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        if itemsize == 4:
            (<float *> row)[i] = 1
        else:
            (<double *> row)[i] = 1


cdef inline void move(
    const Convolution *c, const Region *region, char *y, Py_ssize_t start, Py_ssize_t count,
    Py_ssize_t outputs, char *spill, bint back,
) noexcept nogil:
    """Copy a strip from the buffer to where it belongs, or back."""
    cdef Py_ssize_t size = c.kernels.itemsize
    cdef Py_ssize_t nr = c.kernels.nr
    cdef Py_ssize_t o, i, place
    cdef char *ours
    cdef char *theirs
    for o in range(outputs):
        for i in range(count):
            place = (start + i) // region.columns * c.y_row + (start + i) % region.columns * c.y_column
            theirs = y + (o * c.y_output + place) * size
            ours = spill + (o * nr + i) * size
            if back:
                memcpy(ours, theirs, size)
            else:
                memcpy(theirs, ours, size)


cdef void compute_region(
    const Convolution *c, const Plan *plan, const Box *box, const Region *region,
    Py_ssize_t outputs, char *y, const Work *work,
) noexcept nogil:
    """Multiply the packed weights with the columns of a region."""
    cdef const Kernels *kernels = c.kernels
    cdef Py_ssize_t size = kernels.itemsize
    cdef Py_ssize_t nr = kernels.nr
    cdef Py_ssize_t windows = region.images * region.rows * region.columns
    cdef Py_ssize_t taps = box.depth - box.with_bias
    cdef Run runs[MAX_NR]
    cdef Py_ssize_t start, n, i
    cdef Py_ssize_t rs_c = c.y_output if plan.direct else nr
    cdef Py_ssize_t cs_c = c.y_column if plan.direct else 1
    cdef char *corner
    cdef int count
    cdef bint activate = box.last and c.activation != NULL
    start = 0
    while start < windows:
        n = min(nr, windows - start)
        count = runs_of(region, &plan.patch, box.channels, start, n, runs)
        kernels.pack_runs(taps, work.offsets, work.patch, count, runs, work.strip)
        if box.with_bias:
            fill_with_ones(nr, size, work.strip + taps * nr * size)
        corner = work.spill
        if plan.direct:
            corner = y + start * c.y_column * size
        elif not box.first:
            move(c, region, y, start, n, outputs, work.spill, True)
        kernels.strip_packed(
            outputs, box.depth, work.block, work.strip, corner, rs_c, cs_c, <int> n, not box.first
        )
        if not plan.direct:
            if activate:
                for i in range(outputs):
                    corner = work.spill + i * nr * size
                    c.activation(n, corner, corner, corner, corner, c.parameters)
            move(c, region, y, start, n, outputs, work.spill, False)
        start += nr
    if plan.direct and activate:
        for i in range(outputs):
            corner = y + i * c.y_output * size
            c.activation(windows, corner, corner, corner, corner, c.parameters)


cdef struct Team:
    const Convolution *convolution
    const Plan *plan
    char *work


cdef void run_member(void *context, int thread, int threads) noexcept nogil:
    """Compute the regions of one thread."""
    cdef const Team *team = <const Team *> context
    cdef const Convolution *c = team.convolution
    cdef const Plan *plan = team.plan
    cdef Py_ssize_t size = c.kernels.itemsize
    cdef Py_ssize_t last = plan.regions * (thread + 1) // threads
    cdef Py_ssize_t group = plan.regions * thread // threads
    cdef Py_ssize_t number, box_number, ic, outputs, i
    cdef Py_ssize_t place
    cdef Box box
    cdef Region region
    cdef Work work
    cdef Py_ssize_t taps
    work.patch = team.work + thread * plan.work_bytes
    work.strip = work.patch + plan.patch_bytes
    work.block = work.strip + plan.strip_bytes
    work.spill = work.block + plan.block_bytes
    work.offsets = <Py_ssize_t *> (work.spill + plan.spill_bytes)
    # Read behind the last run, never used: but no number may be there that is slow to compute with.
    memset(work.patch, 0, plan.patch_bytes)
    while group < last:
        ic = 0
        while ic < c.outputs:
            outputs = min(plan.mc, c.outputs - ic)
            box_number = 0
            while make_box(c, plan, box_number, &box):
                pack_weights(c, &box, ic, outputs, work.block)
                taps = box.window.taps_h * box.window.taps_w
                for i in range(box.depth - box.with_bias):
                    work.offsets[i] = place_of_tap(&box.window, &plan.patch, i // taps, i % taps)
                for number in range(group, min(last, group + plan.group)):
                    region = region_of(c, plan, number)
                    place = region.image * c.x_image + box.first_channel * c.window.channel
                    for i in range(region.images):
                        fill_patch(
                            &box.window, &plan.patch, c.x + (place + i * c.x_image) * size, box.channels,
                            region.row, region.column,
                            work.patch + i * box.channels * plan.patch.channel * size,
                        )
                    place = (
                        region.image * c.y_image + ic * c.y_output
                        + region.row * c.y_row + region.column * c.y_column
                    )
                    compute_region(c, plan, &box, &region, outputs, c.y + place * size, &work)
                box_number += 1
            ic += plan.mc
        group += plan.group


cdef int run_convolution(const Convolution *convolution, int threads) noexcept nogil:
    """Compute a convolution of which no size is zero; return -1, with nothing written, without memory."""
    cdef Plan plan
    cdef Team team
    make_plan(convolution, threads, &plan)
    team.convolution = convolution
    team.plan = &plan
    team.work = <char *> borrow(plan.work_bytes * plan.threads)
    if team.work == NULL:
        return -1
    run_parallel(run_member, &team, plan.threads)
    return 0
