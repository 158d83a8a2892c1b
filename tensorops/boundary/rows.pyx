"""Operations on rows as users call them: softmax, normalisation and cross entropy."""

cimport numpy as np
from libc.stdint cimport int64_t
from libc.string cimport memset

import numpy

from tensorops.backends.provided import provide
from tensorops.backends.owners import apply_by_owner
from tensorops.dispatch.active import active_backend

from tensorops.boundary.arrays cimport (
    apart, check_changed, check_out, check_writeable, foreign, is_same, overlaps, plain, same_shape,
)
from tensorops.boundary.paths cimport LAYOUT_C, choose, compute_by, layout_of
from tensorops.dispatch cimport table
from tensorops.dispatch.table cimport PATH_BLOCKED, Decision
from tensorops.kernels.rows cimport family
from tensorops.kernels.rows.family cimport prepare, rows_function, run_rows
from tensorops.kernels.rows.kernels cimport (
    CROSS_ENTROPY, CROSS_ENTROPY_BACKWARD, LOG_SOFTMAX, NORM, NORM_BACKWARD, SOFTMAX, SOFTMAX_BACKWARD, Lines,
)
from tensorops.runtime cimport calls

np.import_array()

cdef extern from "Python.h":
    # Without an exception to raise, what is out of range becomes the largest number.
    Py_ssize_t PyNumber_AsSsize_t(object number, void *exception) except? -1

cdef enum:
    # Elements below which giving up the interpreter lock costs more than it lets others gain.
    RELEASE_ELEMENTS = 1 << 12
    # A longer row that is not contiguous is not buffered: its array is copied.
    LONGEST_BUFFERED = 1 << 20


cdef class RowOperation:
    """What the boundary needs to know of one operation on rows."""

    cdef str name
    cdef int number           # in the dispatcher's table
    cdef int kind             # of the kernel
    cdef bint centred
    cdef bint in_place

    def __init__(self, name, kind, centred=False, in_place=False):
        self.name = name
        self.kind = kind
        self.centred = centred
        self.in_place = in_place
        self.number = table.operation_number(name)
        provide(name, self.kernel)

    def kernel(self, arrays, out, int threads=0, int axis=-1, double eps=0) -> None:
        """Compute by this library's kernels: what ``BlockedBackend`` runs."""
        results = out if isinstance(out, tuple) else (out,)
        run_arrays(self, list(arrays), list(results), axis, eps, threads)


cdef inline bint fits_columns(object x, int dtype, Py_ssize_t columns) noexcept:
    """Tell whether this is nothing, or one contiguous value a column."""
    return x is None or (
        plain(x, dtype) and np.PyArray_NDIM(<np.ndarray> x) == 1
        and np.PyArray_DIMS(<np.ndarray> x)[0] == columns
    )


cdef inline bint touches(object x, np.ndarray out) noexcept:
    return x is not None and (
        np.PyArray_DATA(<np.ndarray> x) == np.PyArray_DATA(out) or not apart(<np.ndarray> x, out)
    )


cdef object compute(
    RowOperation operation, object x, object y, object weight, object bias, object axis, double eps,
    object out,
):
    """Compute rows of contiguous arrays straight away, anything else by the general way."""
    cdef int dtype, last
    cdef Py_ssize_t place, length, size
    cdef np.ndarray first, second, result
    cdef Decision decision
    cdef Lines lines
    place = PyNumber_AsSsize_t(axis, NULL)
    if calls.detours and calls.to_be_told():
        return told(operation, x, y, weight, bias, axis, eps, out)
    if not np.PyArray_CheckExact(x):
        return general(operation, x, y, weight, bias, place, eps, out)
    first = second = <np.ndarray> x
    dtype = np.PyArray_TYPE(first)
    last = np.PyArray_NDIM(first) - 1
    if (dtype != np.NPY_FLOAT and dtype != np.NPY_DOUBLE) or not np.PyArray_ISCARRAY_RO(first) or last < 0:
        return general(operation, x, y, weight, bias, place, eps, out)
    size = np.PyArray_SIZE(first)
    if not -last - 1 <= place <= last or size == 0:
        return general(operation, x, y, weight, bias, place, eps, out)
    if place < 0:
        place += last + 1
    length = np.PyArray_DIMS(first)[place]
    if not fits_columns(weight, dtype, length) or not fits_columns(bias, dtype, length):
        return general(operation, x, y, weight, bias, place, eps, out)
    if y is not None:
        if not plain(y, dtype) or not same_shape(first, <np.ndarray> y):
            return general(operation, x, y, weight, bias, place, eps, out)
        second = <np.ndarray> y
    if out is not None:
        if not plain(out, dtype) or not np.PyArray_ISWRITEABLE(<np.ndarray> out):
            return general(operation, x, y, weight, bias, place, eps, out)
        result = <np.ndarray> out
        if not same_shape(first, result) or not apart(first, result) or not apart(second, result):
            return general(operation, x, y, weight, bias, place, eps, out)
        if touches(weight, result) or touches(bias, result):
            return general(operation, x, y, weight, bias, place, eps, out)
    choose(
        operation.number, np.PyArray_ITEMSIZE(first), size // length, length, 1, 1, LAYOUT_C, &decision,
    )
    if decision.path != PATH_BLOCKED:
        return general(operation, x, y, weight, bias, place, eps, out)
    if not family.ready:
        prepare()
    if out is None:
        result = np.PyArray_EMPTY(last + 1, np.PyArray_DIMS(first), dtype, 0)
    memset(&lines, 0, sizeof(lines))
    lines.number = eps
    lines.centred = operation.centred
    lines.weight = NULL if weight is None else np.PyArray_DATA(<np.ndarray> weight)
    lines.bias = NULL if bias is None else np.PyArray_DATA(<np.ndarray> bias)
    if size >= RELEASE_ELEMENTS or place != last:
        run_rows(operation.kind, first, second, result, <int> place, &lines, decision.threads)
        return result
    lines.count = size // length
    lines.length = length
    lines.x = <const char *> np.PyArray_DATA(first)
    lines.y = <const char *> np.PyArray_DATA(second)
    lines.out = <char *> np.PyArray_DATA(result)
    lines.x_stride = lines.y_stride = lines.out_stride = length * np.PyArray_ITEMSIZE(first)
    rows_function(operation.kind, np.PyArray_ITEMSIZE(first))(&lines)
    return result


cdef dict options_of(RowOperation operation, object axis, double eps):
    if operation.kind == NORM or operation.kind == NORM_BACKWARD:
        return {"eps": eps}
    if operation.kind == CROSS_ENTROPY or operation.kind == CROSS_ENTROPY_BACKWARD:
        return {}
    return {"axis": axis}


cdef object told(
    RowOperation operation, object x, object y, object weight, object bias, object axis, double eps,
    object out,
):
    operands = tuple([operand for operand in (x, y, weight, bias) if operand is not None])
    options = options_of(operation, axis, eps)
    if not operation.in_place and operation.kind not in (NORM_BACKWARD, CROSS_ENTROPY):
        options["out"] = out
    return calls.told(operation.name, globals()[operation.name], operands, options)


cdef object by_numpy(RowOperation operation, tuple operands, dict options, object out):
    """Have NumPy compute other dtypes and subclasses, and convert into `out` if its casting rule allows."""
    from tensorops.operations import OPERATIONS

    result = OPERATIONS[operation.name].numpy_function()(*operands, **options)
    if out is None:
        return result
    numpy.copyto(out, result, casting="same_kind")
    return out


cdef object check_rows(RowOperation operation, list arrays, int whole, Py_ssize_t place):
    """Check the shapes of operands, of which so many are whole; return the axis, counted from the front."""
    first = arrays[0]
    if not -first.ndim <= place < first.ndim:
        raise ValueError(
            f"{operation.name}: axis {place} is out of range for an operand of shape {first.shape}"
        )
    if place < 0:
        place += first.ndim
    for number, array in enumerate(arrays):
        expected = first.shape if number < whole else (first.shape[place],)
        if array.shape != expected:
            raise ValueError(
                f"{operation.name}: operands of shapes {', '.join([str(a.shape) for a in arrays])} do not "
                f"fit: {array.shape} where {expected} is needed"
            )
    return place


cdef object general(
    RowOperation operation, object x, object y, object weight, object bias, Py_ssize_t place, double eps,
    object out,
):
    """Bring any operands into the form of the kernels, or hand them to NumPy or another backend."""
    cdef Decision decision
    cdef int whole = 1 if y is None else 2
    operands = tuple([operand for operand in (x, y, weight, bias) if operand is not None])
    options = options_of(operation, place, eps)
    if operation.in_place:
        check_changed(operation.name, x)
    check_out(operation.name, out)
    if any([foreign(operand) for operand in (*operands, out) if operand is not None]):
        owned = apply_by_owner(operation.name, operands, options, out, active_backend())
        return by_numpy(operation, operands, options, out) if owned is NotImplemented else owned
    arrays = [numpy.asarray(operand) for operand in operands]
    axis = check_rows(operation, arrays, whole, place)
    common = numpy.result_type(*arrays)
    if out is not None:
        if out.shape != arrays[0].shape:
            raise ValueError(
                f"{operation.name}: the result for an operand of shape {arrays[0].shape} does not fit an "
                f"array of shape {out.shape}"
            )
        check_writeable(operation.name, out)
    if common.char not in "fd":
        return by_numpy(operation, tuple(arrays), options, out)
    arrays = [numpy.require(array, common.newbyteorder("="), "A") for array in arrays]
    result = result_for(operation, arrays, whole, out)
    if result.size:
        columns = result.shape[axis]
        choose(
            operation.number, result.itemsize, result.size // columns, columns, 1, 1,
            layout_of(arrays), &decision,
        )
        if decision.path == PATH_BLOCKED:
            run_arrays(operation, arrays, [result], axis, eps, decision.threads)
        else:
            compute_by(&decision, operation.name, arrays, result, options, result is not out)
    if out is None or result is out:
        return result
    numpy.copyto(out, result)
    return out


cdef object result_for(RowOperation operation, list arrays, int whole, object out):
    """Return an array that a kernel can write: `out` where it is one."""
    if out is None:
        return numpy.empty_like(arrays[0])
    for number, array in enumerate(arrays):
        if not (number < whole and is_same(array, out)) and overlaps(array, out):
            raise ValueError(f"{operation.name}: an operand overlaps the array to be written")
    if not numpy.can_cast(arrays[0].dtype, out.dtype, "same_kind"):
        raise TypeError(
            f"{operation.name}: a result of {arrays[0].dtype} does not fit an array of {out.dtype}"
        )
    if out.dtype == arrays[0].dtype and np.PyArray_ISBEHAVED(out):
        return out
    return numpy.empty(out.shape, arrays[0].dtype)


cdef bint too_long(list arrays, int axis):
    """Tell whether rows are neither contiguous nor columns, and longer than the buffer."""
    first = arrays[0]
    if first.shape[axis] * first.itemsize <= LONGEST_BUFFERED:
        return False
    for d in range(first.ndim):
        if all([array.strides[d] == array.itemsize for array in arrays]):
            return False
    return True


cdef int run_arrays(
    RowOperation operation, list arrays, list results, int axis, double eps, int threads,
) except -1:
    """Compute arrays of one dtype and any strides by the kernels."""
    cdef Lines lines
    cdef double total = 0
    cdef np.ndarray x = arrays[0]
    cdef np.ndarray y = x
    cdef np.ndarray out = x if operation.kind == CROSS_ENTROPY else results[0]
    cdef np.ndarray weight_grad = None
    cdef np.ndarray bias_grad = None
    cdef list columns = [numpy.ascontiguousarray(array) for array in arrays[1:]]
    memset(&lines, 0, sizeof(lines))
    if axis < 0:
        axis += x.ndim
    if operation.kind in (SOFTMAX_BACKWARD, NORM_BACKWARD, CROSS_ENTROPY, CROSS_ENTROPY_BACKWARD):
        y = arrays[1]
        columns = columns[1:]
    if operation.kind in (CROSS_ENTROPY, CROSS_ENTROPY_BACKWARD):
        y = numpy.require(y, numpy.int64, "A")
        eps = 1.0 / y.size if y.size else 0
    elif too_long([x, y, out], axis):
        moved = [numpy.moveaxis(array, axis, -1).copy() for array in arrays[:1 if y is x else 2]]
        inner = numpy.empty_like(moved[0])
        run_arrays(operation, [*moved, *columns], [inner, *results[1:]], -1, eps, threads)
        numpy.moveaxis(out, axis, -1)[...] = inner
        return 0
    lines.number = eps
    lines.centred = operation.centred
    lines.total = &total
    if columns:
        lines.weight = np.PyArray_DATA(<np.ndarray> columns[0])
    if len(columns) > 1:
        lines.bias = np.PyArray_DATA(<np.ndarray> columns[1])
    if operation.kind == NORM_BACKWARD:
        weight_grad = numpy.zeros_like(results[1], order="C")
        bias_grad = None if len(results) < 3 else numpy.zeros_like(results[2], order="C")
    run_rows(operation.kind, x, y, out, axis, &lines, threads, weight_grad, bias_grad)
    if operation.kind == NORM_BACKWARD:
        for gradient, target in zip((weight_grad, bias_grad), results[1:]):
            numpy.copyto(target, gradient)
    if operation.kind == CROSS_ENTROPY:
        results[0][...] = total / y.size if y.size else numpy.nan
    return 0


include "rows_norms.pxi"
include "rows_softmax.pxi"
include "rows_entropy.pxi"
