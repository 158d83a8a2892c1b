"""Stacks of products: folded into one product where the memory allows, else one after another.

Small products are shared out among the threads whole; large ones are computed in turn, each by all
threads.
"""

cimport numpy as np

import numpy as np

from tensorops.kernels.gemm.family cimport Family, family_of, prepare
from tensorops.kernels.gemm.kernels cimport EPILOGUE_NONE
from tensorops.kernels.gemm.loops cimport run_plan, run_serially
from tensorops.kernels.gemm.plan cimport (
    KIND_NOTHING, PACK_ALWAYS, PACK_AUTO, PACK_NEVER, THREAD_WORK, Packing, Plan, Product, make_plan,
)
from tensorops.runtime.openmp cimport run_parallel, thread_limit
from tensorops.runtime.workspace cimport borrow

np.import_array()

_KINDS = ("nothing", "zero", "dots", "thin", "tile", "blocks")
_PACKING = {"auto": PACK_AUTO, "never": PACK_NEVER, "always": PACK_ALWAYS}

cdef enum:
    # Multiply-adds that a product's own overhead counts for when a stack is shared out.
    ITEM_WORK = 1 << 11
    # Matrices larger than this are not asked for ahead of time.
    FETCH_BYTES = 1 << 15


cdef extern from *:
    """
    #define prefetch(p) __builtin_prefetch(p, 0, 2)
    """
    void prefetch(const void *) noexcept nogil


cdef struct Share:
    const Product *product
    const Stack *stack
    const Plan *plan
    Py_ssize_t count
    char *work


cdef void point_at(const Share *share, Plan *plan, Py_ssize_t number) noexcept nogil:
    """Point a plan at one product of the stack; the last batch dimension runs fastest."""
    cdef const Stack *stack = share.stack
    cdef Py_ssize_t size = plan.family.kernels.itemsize
    cdef Py_ssize_t index
    cdef const char *a = share.product.a
    cdef const char *b = share.product.b
    cdef char *c = share.product.c
    cdef int d
    for d in range(stack.dims - 1, -1, -1):
        index = number % stack.shape[d]
        number = number // stack.shape[d]
        a += index * stack.a[d] * size
        b += index * stack.b[d] * size
        c += index * stack.c[d] * size
    plan.product.a = b if plan.turned else a
    plan.product.b = a if plan.turned else b
    plan.product.c = c


cdef inline void fetch(
    const char *first, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t rs, Py_ssize_t cs, Py_ssize_t size,
) noexcept nogil:
    """Ask for the cache lines of a matrix whose rows are contiguous."""
    cdef Py_ssize_t i, at
    if cs != 1 or rows * columns * size > FETCH_BYTES:
        return
    for i in range(rows):
        at = 0
        while at < columns * size:
            prefetch(first + i * rs * size + at)
            at += 64


cdef void run_share(void *context, int thread, int threads) noexcept nogil:
    """Compute one thread's consecutive products of a stack."""
    cdef Share *share = <Share *> context
    cdef Plan plan = share.plan[0]
    cdef Plan following = share.plan[0]
    cdef Product *product = &following.product
    cdef Py_ssize_t size = plan.family.kernels.itemsize
    cdef Py_ssize_t stop = share.count * (thread + 1) // threads
    cdef Py_ssize_t number
    for number in range(share.count * thread // threads, stop):
        point_at(share, &plan, number)
        if number + 1 < stop:
            # Matrices that are read once come from far away: the next ones are asked for in time.
            point_at(share, &following, number + 1)
            fetch(product.a, product.m, product.k, product.rs_a, product.cs_a, size)
            fetch(product.b, product.k, product.n, product.rs_b, product.cs_b, size)
            fetch(product.c, product.m, product.n, product.rs_c, product.cs_c, size)
        run_serially(&plan, share.work + thread * plan.work_bytes)


cdef void fold(Product *product, Stack *stack) noexcept nogil:
    """Merge batch dimensions into the rows of one taller product, as far as the strides allow.

    Rows of consecutive products that lie evenly spaced, times one common B, are one product.
    """
    cdef int last
    while stack.dims:
        last = stack.dims - 1
        if stack.shape[last] != 1:
            if stack.b[last] != 0 or stack.a[last] != product.m * product.rs_a:
                return
            if stack.c[last] != product.m * product.rs_c:
                return
        product.m *= stack.shape[last]
        stack.dims = last


cdef Py_ssize_t count_of(const Stack *stack) noexcept nogil:
    """Return the number of products in a stack."""
    cdef Py_ssize_t count = 1
    cdef int d
    for d in range(stack.dims):
        count *= stack.shape[d]
    return count


cdef int multiply_stack(
    const Family *family, const Product *product, const Stack *stack, Packing packing, int threads,
) noexcept nogil:
    """Compute every product of a folded stack; return -1 if there is no work memory."""
    cdef Plan plan
    cdef Share share
    cdef Py_ssize_t number
    cdef double work = <double> product.m * product.n * product.k + ITEM_WORK
    cdef bint shared
    share.count = count_of(stack)
    if share.count == 0:
        return 0
    # Small products are shared out whole; a large one occupies all threads by itself.
    shared = share.count > 1 and (threads == 1 or (share.count >= threads and work < 16.0 * THREAD_WORK))
    make_plan(family, product, packing, 1 if shared else threads, &plan)
    if plan.kind == KIND_NOTHING:
        return 0
    share.product = product
    share.stack = stack
    share.plan = &plan
    if shared:
        threads = <int> max(1.0, min(<double> threads, work * share.count / THREAD_WORK))
        share.work = NULL
        if plan.work_bytes:
            share.work = <char *> borrow(plan.work_bytes * threads)
            if share.work == NULL:
                return -1
        run_parallel(run_share, &share, threads)
        return 0
    for number in range(share.count):
        point_at(&share, &plan, number)
        if run_plan(&plan):
            return -1
    return 0


cdef int describe(
    np.ndarray a, np.ndarray b, np.ndarray c, Product *product, Stack *stack,
) except -1:
    """Fill in the strides of operands that have the same batch dimensions."""
    cdef int dims = a.ndim - 2
    cdef Py_ssize_t size = a.itemsize
    cdef int d
    product.m = a.shape[dims]
    product.k = a.shape[dims + 1]
    product.n = b.shape[dims + 1]
    product.a = <const char *> np.PyArray_DATA(a)
    product.b = <const char *> np.PyArray_DATA(b)
    product.c = <char *> np.PyArray_DATA(c)
    product.rs_a = a.strides[dims] // size
    product.cs_a = a.strides[dims + 1] // size
    product.rs_b = b.strides[dims] // size
    product.cs_b = b.strides[dims + 1] // size
    product.rs_c = c.strides[dims] // size
    product.cs_c = c.strides[dims + 1] // size
    stack.dims = dims
    for d in range(dims):
        stack.shape[d] = c.shape[d]
        stack.a[d] = a.strides[d] // size
        stack.b[d] = b.strides[d] // size
        stack.c[d] = c.strides[d] // size
    return 0


def matmul_into(
    np.ndarray a not None, np.ndarray b not None, np.ndarray out not None,
    str pack not None="auto", int threads=0, bint accumulate=False,
) -> None:
    """Compute ``out = a @ b`` or ``out += a @ b`` for a stack of matrices with the packed kernels.

    Parameters
    ----------
    a : ndarray of shape (..., M, K), float32 or float64
        Left operand, any strides.
    b : ndarray of shape (..., K, N), same dtype and batch dimensions
        Right operand, any strides.
    out : ndarray of shape (..., M, N), same dtype
        The result; must not overlap an operand.
    pack : {"auto", "never", "always"}
        Whether panels of the operands are copied into the order the micro-kernel reads; "never"
        copies only what it cannot read in place.
    threads : int, default 0
        At most so many; 0 for as many as the library may use.
    accumulate : bool, default False
        Add the product to `out`, which is not read otherwise.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or they differ.
    ValueError
        If shapes or strides are not as above, or `pack` is unknown.
    MemoryError
        If there is no work memory.

    Notes
    -----
    The interpreter lock is released. This is the kernels' own entry: `tensorops.matmul` broadcasts,
    promotes and allocates before it comes here.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty((2, 1), np.float32)
    >>> matmul_into(np.eye(2, dtype=np.float32), np.ones((2, 1), np.float32), out)
    >>> out
    array([[1.],
           [1.]], dtype=float32)
    """
    cdef Product product
    cdef Stack stack
    cdef const Family *family
    cdef Packing packing
    cdef int status
    shapes = f"shapes {np.shape(a)}, {np.shape(b)} and {np.shape(out)}"
    if pack not in _PACKING:
        raise ValueError(f"pack must be one of {', '.join(_PACKING)}, not {pack!r}")
    packing = _PACKING[pack]
    for array in (a, b, out):
        if array.dtype.char not in "fd" or array.dtype != out.dtype or not array.dtype.isnative:
            raise TypeError(f"operands must be of one dtype, float32 or float64, not {array.dtype}")
        if array.ndim != out.ndim or array.ndim < 2 or not array.flags.aligned:
            raise ValueError(f"operands must be aligned and have the same two or more dimensions: {shapes}")
    *batch, m, k = np.shape(a)
    *batch_b, k_b, n = np.shape(b)
    if k != k_b or batch != batch_b or [*batch, m, n] != list(np.shape(out)):
        raise ValueError(f"operands must have shapes (..., M, K), (..., K, N) and (..., M, N), not {shapes}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    prepare()
    family = family_of(<int> a.itemsize)
    describe(a, b, out, &product, &stack)
    product.accumulate = accumulate
    product.epilogue = EPILOGUE_NONE
    product.bias = NULL
    fold(&product, &stack)
    if threads < 1:
        threads = thread_limit()
    with nogil:
        status = multiply_stack(family, &product, &stack, packing, threads)
    if status:
        raise MemoryError("tensorops: no work memory for a product of " + shapes)


def kernel_of(
    np.ndarray a not None, np.ndarray b not None, np.ndarray out not None, str pack not None="auto",
) -> str:
    """Return which kernel computes a product.

    Parameters
    ----------
    a, b, out : ndarray of shapes (M, K), (K, N) and (M, N), float32 or float64
        Operands and result, as `matmul_into` takes them.
    pack : {"auto", "never", "always"}
        As for `matmul_into`.

    Returns
    -------
    str
        ``"dots"``, ``"thin"``, ``"tile"`` or ``"blocks"``; ``"nothing"`` without an element, ``"zero"``
        without depth.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.ones((3, 900)), np.ones((900, 2))
    >>> kernel_of(a, np.asfortranarray(b), np.empty((3, 2)))
    'dots'
    """
    cdef Product product
    cdef Stack stack
    cdef Plan plan
    prepare()
    describe(a, b, out, &product, &stack)
    product.accumulate = False
    make_plan(family_of(<int> a.itemsize), &product, _PACKING[pack], 1, &plan)
    return _KINDS[plan.kind]
