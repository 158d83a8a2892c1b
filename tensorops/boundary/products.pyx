"""Matrix products as users call them: NumPy's rules, then straight down to a kernel."""

cimport numpy as np

import numpy

from tensorops.dispatch import precision as _precision
from tensorops.dispatch.active import active_backend
from tensorops.dispatch.table import path_name as table_path_name

from tensorops.dispatch cimport table
from tensorops.dispatch.table cimport PATH_NUMPY, PATH_PACKED, PATH_SMALL, Decision
from tensorops.kernels.gemm cimport family as kernel_family
from tensorops.kernels.gemm.batched cimport MAX_BATCH_DIMS, Stack, count_of, fold, multiply_stack
from tensorops.kernels.gemm.family cimport Family, family_of, prepare
from tensorops.kernels.gemm.kernels cimport EPILOGUE_NONE
from tensorops.kernels.gemm.loops cimport run_plan
from tensorops.kernels.gemm.plan cimport PACK_AUTO, PACK_NEVER, Plan, Product, make_plan
from tensorops.runtime cimport calls
from tensorops.runtime.calls cimport DETOUR_BACKEND
from tensorops.runtime.openmp cimport thread_limit

np.import_array()

cdef object numpy_matmul = numpy.matmul
cdef int MATMUL = table.operation_number("matmul")

cdef enum:
    # Multiply-adds below which giving up the interpreter lock costs more than it lets others gain.
    RELEASE_WORK = 1 << 14


def matmul(a, b, /, out=None, *, backend=None, precision=None):
    """Return the matrix product of two arrays, as ``numpy.matmul`` does.

    Parameters
    ----------
    a : array_like of shape (..., M, K) or (K,)
        Left operand. float32 and float64 arrays are used in place, whatever their strides.
    b : array_like of shape (..., K, N) or (K,)
        Right operand. The batch dimensions of both broadcast.
    out : ndarray of shape (..., M, N), optional
        Where to put the result; may overlap an operand, may have any strides.
    backend : str, optional
        Compute with this backend; by default the path that was measured to be the fastest here.
    precision : {None, "highest", "high", "medium"}
        How accurate a float32 product is at least; None as `set_matmul_precision` says, "highest" as a rule.

    Returns
    -------
    ndarray or scalar
        `out` if given; a scalar if both operands have one dimension. The dtype is NumPy's choice.

    Raises
    ------
    TypeError
        If `out` is not an array, or cannot take the result's dtype.
    ValueError
        If the shapes do not match, `out` has another shape or is read-only, or `backend` or `precision` is
        not known.
    MemoryError
        If there is no memory for the result or for the kernels' work; nothing is written.

    See Also
    --------
    tensorops.explain : Which path a product takes, and why.
    tensorops.set_matmul_precision : The precision of all products, and what a lower one allows.

    Notes
    -----
    2*M*N*K flops. With eps of the dtype, an element's error is at most
    ``(8 * sqrt(K) + 16) * eps * (abs(a) @ abs(b))``, and none where every partial sum is
    representable. Operands of other dtypes, and subclasses of ndarray, go to NumPy; mixed dtypes are
    converted to NumPy's common dtype first. The interpreter lock is released. The same inputs, path
    and number of threads give the same bits.

    References
    ----------
    Goto, van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34(3), 2008.
    Van Zee, van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality", ACM TOMS
    41(3), 2015.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.matmul(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0]))
    array([21., 43.])
    """
    if precision is not None:
        _precision.asked_for(precision, "matmul")
    if backend is None and np.PyArray_CheckExact(a) and np.PyArray_CheckExact(b):
        result = matrices(<np.ndarray> a, <np.ndarray> b, out)
        if result is not None:
            return result
    return general(a, b, out, backend, precision)


cdef inline void extent(np.ndarray x, char **first, char **last) noexcept:
    """Find the bytes between which all elements of a non-empty array lie."""
    cdef Py_ssize_t reach
    cdef int d
    first[0] = <char *> np.PyArray_DATA(x)
    last[0] = first[0] + np.PyArray_ITEMSIZE(x)
    for d in range(np.PyArray_NDIM(x)):
        reach = np.PyArray_STRIDES(x)[d] * (np.PyArray_DIMS(x)[d] - 1)
        if reach < 0:
            first[0] += reach
        else:
            last[0] += reach


cdef bint overlaps(np.ndarray x, np.ndarray y) noexcept:
    """Tell whether two arrays may share memory."""
    cdef char *x_first
    cdef char *x_last
    cdef char *y_first
    cdef char *y_last
    if np.PyArray_SIZE(x) == 0 or np.PyArray_SIZE(y) == 0:
        return False
    extent(x, &x_first, &x_last)
    extent(y, &y_first, &y_last)
    return x_first < y_last and y_first < x_last


cdef bint folds_onto_itself(np.ndarray x):
    """Tell whether two elements of an array to be written may be one and the same in memory."""
    cdef Py_ssize_t covered = np.PyArray_ITEMSIZE(x)
    for stride, size in sorted((abs(x.strides[d]), x.shape[d]) for d in range(x.ndim) if x.shape[d] > 1):
        if stride < covered:
            return True
        covered += stride * (size - 1)
    return False


cdef inline void matrix_of(np.ndarray x, const char **data, Py_ssize_t *rs, Py_ssize_t *cs) noexcept:
    cdef Py_ssize_t size = np.PyArray_ITEMSIZE(x)
    data[0] = <const char *> np.PyArray_DATA(x)
    rs[0] = np.PyArray_STRIDES(x)[0] // size
    cs[0] = np.PyArray_STRIDES(x)[1] // size


cdef int matmul_for(object backend) except -1:
    """Return the operation's number for the backend that was asked for, here or by `use_backend`."""
    if backend is None:
        # The first question reads TENSOROPS_BACKEND, which may set the detour.
        backend = active_backend()
    return MATMUL if backend is None else table.operation_number("matmul", (), backend)


cdef object matrices(np.ndarray a, np.ndarray b, object out):
    """Multiply two ready-made matrices; None if anything asks for the general way."""
    cdef int dtype = np.PyArray_TYPE(a)
    cdef Product product
    cdef Plan plan
    cdef np.npy_intp dims[2]
    cdef np.ndarray c
    cdef const Family *family
    cdef Decision decision
    cdef int status
    cdef int operation = MATMUL
    if np.PyArray_NDIM(a) != 2 or np.PyArray_NDIM(b) != 2:
        return None
    if (dtype != np.NPY_FLOAT and dtype != np.NPY_DOUBLE) or not usable(a, dtype) or not usable(b, dtype):
        return None
    product.m = np.PyArray_DIMS(a)[0]
    product.k = np.PyArray_DIMS(a)[1]
    product.n = np.PyArray_DIMS(b)[1]
    if np.PyArray_DIMS(b)[0] != product.k:
        return None
    if calls.detours:
        if calls.to_be_told():
            return None
        operation = matmul_for(None)
    if out is None:
        dims[0] = product.m
        dims[1] = product.n
        c = np.PyArray_EMPTY(2, dims, dtype, 0)
    else:
        if not np.PyArray_CheckExact(out):
            return None
        c = <np.ndarray> out
        if np.PyArray_TYPE(c) != dtype or np.PyArray_NDIM(c) != 2 or not np.PyArray_ISBEHAVED(c):
            return None
        if np.PyArray_DIMS(c)[0] != product.m or np.PyArray_DIMS(c)[1] != product.n:
            return None
        if not np.PyArray_ISCONTIGUOUS(c) and folds_onto_itself(c):
            return None
        if overlaps(c, a) or overlaps(c, b):
            return None
    if not kernel_family.ready:
        prepare()
    matrix_of(a, &product.a, &product.rs_a, &product.cs_a)
    matrix_of(b, &product.b, &product.rs_b, &product.cs_b)
    matrix_of(c, <const char **> &product.c, &product.rs_c, &product.cs_c)
    product.accumulate = False
    product.epilogue = EPILOGUE_NONE
    product.bias = NULL
    table.look_up(
        operation, np.PyArray_ITEMSIZE(a), product.m, product.k, product.n, 1,
        3 * layout_of(product.rs_a, product.cs_a) + layout_of(product.rs_b, product.cs_b),
        thread_limit(), &decision,
    )
    if decision.path == PATH_NUMPY:
        return numpy_matmul(a, b, c)
    if decision.path > PATH_PACKED:
        return None
    family = family_of(np.PyArray_ITEMSIZE(a))
    if decision.path == PATH_SMALL:
        make_plan(family, &product, PACK_NEVER, 1, &plan)
    else:
        make_plan(family, &product, PACK_AUTO, decision.threads, &plan)
    if <double> product.m * product.n * product.k < RELEASE_WORK:
        status = run_plan(&plan)
    else:
        with nogil:
            status = run_plan(&plan)
    if status:
        no_memory(a, b)
    return c


cdef object by_owner(str op, tuple operands, dict params, object out, object backend):
    """Let the backend compute that an operand belongs to; NotImplemented if there is none."""
    from tensorops.backends.owners import apply_by_owner

    return apply_by_owner(op, operands, params, out, active_backend() if backend is None else backend)


cdef int no_memory(a, b) except -1:
    raise MemoryError(f"matmul: no work memory for operands of shapes {a.shape} and {b.shape}")


cdef bint answers_for_itself(object operand):
    """Tell whether NumPy lets the operand's type decide what a ufunc does or returns."""
    kind = type(operand)
    return hasattr(kind, "__array_ufunc__") or hasattr(kind, "__array_wrap__")


cdef object general(object a, object b, object out, object backend, object precision):
    """Bring any operands into the form of the kernels, or hand them to NumPy."""
    cdef int dtype
    cdef bint ready_made = np.PyArray_CheckExact(a) and np.PyArray_CheckExact(b)
    if not ready_made or not (out is None or np.PyArray_CheckExact(out)):
        # Before anybody is told of the call: it is told of the parts when they are computed.
        result = by_owner("matmul", (a, b), _precision.as_parameter(precision), out, backend)
        if result is not NotImplemented:
            return result
    if calls.to_be_told():
        return calls.told("matmul", matmul, (a, b), {"out": out, "backend": backend, "precision": precision})
    if backend is not None:
        from tensorops.backends import get_backend

        get_backend(backend)
    if isinstance(out, tuple) and len(out) == 1 and np.PyArray_CheckExact(out[0]):
        out = out[0]
    if out is not None and not np.PyArray_CheckExact(out):
        return numpy_matmul(a, b, out=out)
    if not np.PyArray_CheckExact(a):
        if answers_for_itself(a):
            return numpy_matmul(a, b, out=out)
        a = numpy.asarray(a)
    if not np.PyArray_CheckExact(b):
        if answers_for_itself(b):
            return numpy_matmul(a, b, out=out)
        b = numpy.asarray(b)
    kinds = a.dtype.kind + b.dtype.kind
    if "f" not in kinds or not set(kinds) <= set("fiub"):
        return numpy_matmul(a, b, out=out)
    common = numpy.result_type(a.dtype, b.dtype)
    if common.char not in "fd" or (out is not None and out.dtype != common):
        return numpy_matmul(a, b, out=out)
    dtype = common.num
    if not usable(a, dtype):
        a = numpy.require(a, common, "A")
    if not usable(b, dtype):
        b = numpy.require(b, common, "A")
    return stacks(a, b, out, backend)


cdef object stacks(np.ndarray a, np.ndarray b, np.ndarray out, object backend):
    """Multiply arrays of one dtype and any number of dimensions."""
    cdef int dims_a = a.ndim
    cdef int dims_b = b.ndim
    cdef Py_ssize_t size = np.PyArray_ITEMSIZE(a)
    cdef bint row = dims_a == 1
    cdef bint column = dims_b == 1
    cdef Product product
    cdef Stack stack
    cdef np.npy_intp shape[MAX_BATCH_DIMS + 2]
    cdef int d, at_a, at_b, dims, status
    cdef Decision decision
    cdef Py_ssize_t size_a, size_b, columns
    cdef np.ndarray c
    cdef const Family *family
    if dims_a == 0 or dims_b == 0:
        raise ValueError(
            f"matmul: operands need one dimension or more; their shapes are {np_shape(a)} and {np_shape(b)}"
        )
    product.m = 1 if row else a.shape[dims_a - 2]
    product.k = a.shape[dims_a - 1]
    columns = 1 if column else b.shape[dims_b - 1]
    product.n = columns
    if product.k != (b.shape[0] if column else b.shape[dims_b - 2]):
        raise ValueError(
            f"matmul: shapes {np_shape(a)} and {np_shape(b)} do not match: the last dimension of the first "
            f"operand must be the {'only' if column else 'second to last'} one of the second"
        )
    dims_a = max(dims_a - 2, 0)
    dims_b = max(dims_b - 2, 0)
    stack.dims = max(dims_a, dims_b)
    for d in range(stack.dims):
        at_a = d - (stack.dims - dims_a)
        at_b = d - (stack.dims - dims_b)
        size_a = a.shape[at_a] if at_a >= 0 else 1
        size_b = b.shape[at_b] if at_b >= 0 else 1
        if size_a != size_b and size_a != 1 and size_b != 1:
            raise ValueError(
                f"matmul: shapes {np_shape(a)} and {np_shape(b)}: their batch dimensions do not broadcast"
            )
        stack.shape[d] = size_b if size_a == 1 else size_a
        stack.a[d] = a.strides[at_a] // size if size_a != 1 else 0
        stack.b[d] = b.strides[at_b] // size if size_b != 1 else 0
        shape[d] = stack.shape[d]
    dims = stack.dims
    if not row:
        shape[dims] = product.m
        dims += 1
    if not column:
        shape[dims] = product.n
        dims += 1
    expected = tuple([shape[d] for d in range(dims)])
    c = None
    if out is not None:
        if np_shape(out) != expected:
            if out.ndim >= dims - stack.dims and np_shape(out)[out.ndim - (dims - stack.dims):] == (
                expected[stack.dims:]
            ):
                # Only the batch dimensions differ: NumPy repeats or squeezes some of them.
                return numpy_matmul(a, b, out=out)
            raise ValueError(
                f"matmul: out has shape {np_shape(out)}, but operands of shapes {np_shape(a)} and "
                f"{np_shape(b)} give {expected}"
            )
        if not out.flags.writeable:
            raise ValueError("matmul: out is read-only")
        if np.PyArray_ISBEHAVED(out) and not folds_onto_itself(out):
            if not overlaps(out, a) and not overlaps(out, b):
                c = out
    if c is None:
        c = np.PyArray_EMPTY(dims, shape, np.PyArray_TYPE(a), 0)
    if not kernel_family.ready:
        prepare()
    product.a = <const char *> np.PyArray_DATA(a)
    product.b = <const char *> np.PyArray_DATA(b)
    product.c = <char *> np.PyArray_DATA(c)
    product.cs_a = a.strides[a.ndim - 1] // size
    product.rs_a = product.k if row else a.strides[a.ndim - 2] // size
    product.cs_b = 1 if column else b.strides[b.ndim - 1] // size
    product.rs_b = b.strides[b.ndim - (1 if column else 2)] // size
    product.cs_c = 1
    product.rs_c = columns
    d = stack.dims
    if not row:
        product.rs_c = c.strides[d] // size
        d += 1
    if not column:
        product.cs_c = c.strides[d] // size
    for d in range(stack.dims):
        stack.c[d] = c.strides[d] // size
    product.accumulate = False
    product.epilogue = EPILOGUE_NONE
    product.bias = NULL
    fold(&product, &stack)
    decision.path = PATH_SMALL
    decision.threads = 1
    if c.size or backend is not None or calls.detours & DETOUR_BACKEND:
        table.look_up(
            matmul_for(backend), <int> size, product.m, product.k, product.n, count_of(&stack),
            3 * layout_of(product.rs_a, product.cs_a) + layout_of(product.rs_b, product.cs_b),
            thread_limit(), &decision,
        )
    if decision.path == PATH_NUMPY:
        numpy_matmul(a, b, c)
    elif decision.path > PATH_PACKED:
        by_backend(a, b, c, row, column, backend, decision, c is not out)
    else:
        family = family_of(<int> size)
        with nogil:
            if decision.path == PATH_SMALL:
                status = multiply_stack(family, &product, &stack, PACK_NEVER, 1)
            else:
                status = multiply_stack(family, &product, &stack, PACK_AUTO, decision.threads)
        if status:
            no_memory(a, b)
    if out is None:
        return c[()] if dims == 0 else c
    if c is not out:
        numpy.copyto(out, c)
    return out


cdef tuple np_shape(np.ndarray x):
    return tuple([x.shape[d] for d in range(x.ndim)])


cdef int by_backend(
    object a, object b, object c, bint row, bint column, object backend, Decision decision, bint ours,
) except -1:
    """Let a backend's Python object compute into `c`: stacks of matrices with equal batch shapes."""
    from tensorops.dispatch import running

    result = c
    if row:
        a = a[numpy.newaxis, :]
    if column:
        b = b[:, numpy.newaxis]
        result = result[..., numpy.newaxis]
    if row:
        result = result[..., numpy.newaxis, :]
    batch = result.shape[:result.ndim - 2]
    if a.shape[:a.ndim - 2] != batch:
        a = numpy.broadcast_to(a, batch + a.shape[a.ndim - 2:])
    if b.shape[:b.ndim - 2] != batch:
        b = numpy.broadcast_to(b, batch + b.shape[b.ndim - 2:])
    running.compute(
        table_path_name(decision.path), "matmul", (a, b), result, {"threads": decision.threads},
        ours=ours, backend=backend,
    )
    return 0
