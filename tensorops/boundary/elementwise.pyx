"""Elementwise operations as users call them: one pass over the arrays, in place or into ``out``."""

cimport numpy as np

import numpy

from tensorops.backends.owners import apply_by_owner
from tensorops.dispatch.active import active_backend

from tensorops.boundary.arrays cimport (
    apart, check_changed, check_out, check_writeable, foreign, is_same, overlaps, plain, same_shape,
)
from tensorops.boundary.paths cimport LAYOUT_C, choose, compute_by, layout_of
from tensorops.dispatch cimport table
from tensorops.dispatch.table cimport PATH_BLOCKED, PATH_NUMPY, Decision
from tensorops.kernels.elementwise cimport family
from tensorops.kernels.elementwise.family cimport (
    OPERANDS, Sweep, prepare, run_flat, run_sweep, threads_for,
)
from tensorops.runtime cimport calls

np.import_array()

cdef enum:
    # Elements below which giving up the interpreter lock costs more than it lets others gain.
    RELEASE_ELEMENTS = 1 << 12
    # How an operand lies to the first: otherwise, element by element, or as one row for all of its rows.
    OTHERWISE
    WHOLE
    ROW


cdef class Operation:
    """What the boundary needs to know of one operation: its formula and the rules for its operands."""

    cdef str name
    cdef int number           # in the dispatcher's table
    cdef int formula
    cdef int count            # operands
    cdef bint in_place
    cdef bint numpy_semantics
    cdef tuple parameters
    cdef str approximate

    def __init__(self, name, formula, count, in_place, numpy_semantics, parameters, approximate):
        self.name = name
        self.formula = formula
        self.count = count
        self.in_place = in_place
        self.numpy_semantics = numpy_semantics
        self.parameters = parameters
        self.approximate = approximate
        self.number = table.operation_number(name, (("approximate", approximate),))

    cdef dict options(self, double p0, double p1):
        """Return the parameters by name."""
        cdef dict found = dict(zip(self.parameters, (p0, p1)))
        if self.approximate:
            found["approximate"] = self.approximate
        return found


cdef Operation chosen(str name, dict operations, approximate):
    found = operations.get(approximate) if isinstance(approximate, str) else None
    if found is None:
        raise ValueError(f"{name}: approximate must be one of {', '.join(operations)}, not {approximate!r}")
    return <Operation> found


cdef inline int form_of(object operand, np.ndarray first, int dtype):
    if not plain(operand, dtype):
        return OTHERWISE
    if same_shape(first, <np.ndarray> operand):
        return WHOLE
    if (
        np.PyArray_NDIM(<np.ndarray> operand) == 1 and np.PyArray_SIZE(first) > 0
        and np.PyArray_DIMS(<np.ndarray> operand)[0] == np.PyArray_DIMS(first)[np.PyArray_NDIM(first) - 1]
    ):
        return ROW
    return OTHERWISE


cdef object compute(Operation operation, object x, object y, object z, object out, double p0, double p1):
    """Compute contiguous arrays straight away, of one shape or with a row for all, others the general way."""
    cdef int dtype, threads
    cdef int form = WHOLE
    cdef int third_form = WHOLE
    cdef Py_ssize_t n, run
    cdef double parameters[2]
    cdef Decision decision
    cdef np.ndarray first, result
    cdef void *second
    cdef void *third
    if calls.detours and calls.to_be_told():
        return general(operation, x, y, z, out, p0, p1)
    if not np.PyArray_CheckExact(x):
        return general(operation, x, y, z, out, p0, p1)
    first = <np.ndarray> x
    dtype = np.PyArray_TYPE(first)
    if (dtype != np.NPY_FLOAT and dtype != np.NPY_DOUBLE) or not np.PyArray_ISCARRAY_RO(first):
        return general(operation, x, y, z, out, p0, p1)
    if np.PyArray_NDIM(first) == 0:
        return general(operation, x, y, z, out, p0, p1)
    second = third = np.PyArray_DATA(first)
    if out is not None:
        if not plain(out, dtype) or not np.PyArray_ISWRITEABLE(<np.ndarray> out):
            return general(operation, x, y, z, out, p0, p1)
        result = <np.ndarray> out
        if out is not x and (not same_shape(first, result) or not apart(first, result)):
            return general(operation, x, y, z, out, p0, p1)
    if operation.count > 1:
        form = form_of(y, first, dtype)
        if form == OTHERWISE:
            return general(operation, x, y, z, out, p0, p1)
        second = np.PyArray_DATA(<np.ndarray> y)
        if out is not None and (
            not apart(<np.ndarray> y, result) or form == ROW and second == np.PyArray_DATA(result)
        ):
            return general(operation, x, y, z, out, p0, p1)
    if operation.count > 2:
        third_form = form_of(z, first, dtype)
        if third_form == OTHERWISE:
            return general(operation, x, y, z, out, p0, p1)
        third = np.PyArray_DATA(<np.ndarray> z)
        if out is not None and (
            not apart(<np.ndarray> z, result) or third_form == ROW and third == np.PyArray_DATA(result)
        ):
            return general(operation, x, y, z, out, p0, p1)
    n = np.PyArray_SIZE(first)
    run = 1
    if form == ROW or third_form == ROW:
        run = np.PyArray_DIMS(first)[np.PyArray_NDIM(first) - 1]
    choose(operation.number, np.PyArray_ITEMSIZE(first), n, run, 1, 1, LAYOUT_C, &decision)
    if decision.path == PATH_NUMPY:
        # As quiet as the kernels.
        with numpy.errstate(all="ignore"):
            return by_numpy(operation, (x, y, z)[:operation.count], out, p0, p1)
    if decision.path != PATH_BLOCKED:
        return general(operation, x, y, z, out, p0, p1)
    if not family.ready:
        prepare()
    if out is None:
        result = np.PyArray_EMPTY(np.PyArray_NDIM(first), np.PyArray_DIMS(first), dtype, 0)
    if form == ROW or third_form == ROW:
        run_rows(
            operation.formula, first, second, third, result, form == ROW, third_form == ROW, p0, p1,
            threads_for(n, decision.threads),
        )
        return result
    parameters[0] = p0
    parameters[1] = p1
    if n < RELEASE_ELEMENTS:
        run_flat(
            operation.formula, np.PyArray_ITEMSIZE(first), n, np.PyArray_DATA(first), second, third,
            np.PyArray_DATA(result), parameters, 1,
        )
        return result
    threads = threads_for(n, decision.threads)
    with nogil:
        run_flat(
            operation.formula, np.PyArray_ITEMSIZE(first), n, np.PyArray_DATA(first), second, third,
            np.PyArray_DATA(result), parameters, threads,
        )
    return result


cdef void run_rows(
    int formula, np.ndarray first, void *second, void *third, np.ndarray result, bint second_repeats,
    bint third_repeats, double p0, double p1, int threads,
):
    """Compute contiguous rows with operands that are one row for all; none is empty."""
    cdef Sweep sweep
    cdef Py_ssize_t columns = np.PyArray_DIMS(first)[np.PyArray_NDIM(first) - 1]
    cdef int k
    sweep.formula = formula
    sweep.function = NULL
    sweep.several = False
    sweep.itemsize = np.PyArray_ITEMSIZE(first)
    sweep.dims = 2
    sweep.shape[0] = np.PyArray_SIZE(first) // columns
    sweep.shape[1] = columns
    sweep.parameters[0] = p0
    sweep.parameters[1] = p1
    sweep.data[0] = <char *> np.PyArray_DATA(first)
    sweep.data[1] = <char *> second
    sweep.data[2] = <char *> third
    sweep.data[3] = <char *> np.PyArray_DATA(result)
    for k in range(OPERANDS):
        sweep.strides[k][0] = columns * sweep.itemsize
        sweep.strides[k][1] = sweep.itemsize
    if second_repeats:
        sweep.strides[1][0] = 0
    if third_repeats:
        sweep.strides[2][0] = 0
    if np.PyArray_SIZE(first) < RELEASE_ELEMENTS:
        run_sweep(&sweep, 1)
        return
    with nogil:
        run_sweep(&sweep, threads)


cdef object by_numpy(Operation operation, tuple operands, object out, double p0, double p1):
    """Have NumPy compute what the kernels do not: other dtypes, subclasses, and conversions into `out`."""
    from tensorops.operations import OPERATIONS

    function = OPERATIONS[operation.name].numpy_function()
    return function(*operands, out=out, **operation.options(p0, p1))


cdef object general(Operation operation, object x, object y, object z, object out, double p0, double p1):
    """Bring any operands into the form of the kernels, or hand them to NumPy."""
    cdef tuple operands = (x, y, z)[:operation.count]
    cdef np.ndarray result
    cdef Decision decision
    if calls.to_be_told():
        # The numbers of some operations stand behind the operands, those with a default have names.
        options = operation.options(p0, p1)
        if "alpha" in options and operation.count > 1 or "low" in options:
            operands_and_numbers = operands + tuple(options.values())
            options = {}
        else:
            operands_and_numbers = operands
        if not operation.in_place:
            options["out"] = out
        return calls.told(
            operation.name, lambda *given: globals()[operation.name](*operands_and_numbers, **options),
            operands, {},
        )
    if operation.in_place:
        check_changed(operation.name, x)
    check_out(operation.name, out)
    if any([foreign(x) for x in operands]) or (out is not None and type(out) is not numpy.ndarray):
        owned = apply_by_owner(operation.name, operands, operation.options(p0, p1), out, active_backend())
        return by_numpy(operation, operands, out, p0, p1) if owned is NotImplemented else owned
    operands = tuple([
        operand if np.PyArray_CheckExact(operand) or type(operand) in (int, float) else numpy.asarray(operand)
        for operand in operands
    ])
    common = numpy.result_type(*operands)
    arrays = [numpy.asarray(operand) for operand in operands]
    try:
        shape = numpy.broadcast_shapes(*[array.shape for array in arrays])
    except ValueError:
        raise ValueError(
            f"{operation.name}: operands of shapes {', '.join([str(a.shape) for a in arrays])} "
            "do not broadcast"
        ) from None
    if out is not None:
        if out.shape != shape:
            raise ValueError(
                f"{operation.name}: operands of shapes {', '.join([str(a.shape) for a in arrays])} give "
                f"{shape}, which does not fit {'the array to be changed' if operation.in_place else 'out'} "
                f"of shape {out.shape}"
            )
        check_writeable(operation.name, out)
    if common.char not in "fd" or (out is not None and out.dtype != common):
        return by_numpy(operation, operands, out, p0, p1)
    arrays = [numpy.require(array, common, "A") for array in arrays]
    if out is None:
        first = arrays[0]
        result = numpy.empty_like(first) if first.shape == shape else numpy.empty(shape, common)
    else:
        result = out
        for number, array in enumerate(arrays):
            if is_same(array, out) or not overlaps(array, out):
                continue
            if not operation.numpy_semantics:
                raise ValueError(f"{operation.name}: an operand overlaps the array to be written")
            arrays[number] = array.copy()
        if not np.PyArray_ISBEHAVED(out):
            result = numpy.empty(shape, common)
    # How many elements a broadcast operand has, as the registry counts it.
    run = max([1] + [array.size for array in arrays if array.shape != shape])
    layout = layout_of(arrays)
    arrays = [numpy.broadcast_to(array, shape) for array in arrays]
    choose(
        operation.number, np.PyArray_ITEMSIZE(result), np.PyArray_SIZE(result), run, 1, 1,
        layout, &decision,
    )
    if decision.path == PATH_BLOCKED:
        run_arrays(operation, arrays, result, p0, p1, decision.threads)
    else:
        compute_by(
            &decision, operation.name, arrays, result, operation.options(p0, p1), result is not out,
        )
    if out is None:
        return result[()] if result.ndim == 0 else result
    if result is not out:
        numpy.copyto(out, result)
    return out


cdef int run_arrays(
    Operation operation, list arrays, np.ndarray result, double p0, double p1, int threads,
) except -1:
    cdef Sweep sweep
    cdef np.ndarray array
    cdef int k, d
    if np.PyArray_SIZE(result) == 0:
        return 0
    if not family.ready:
        prepare()
    sweep.formula = operation.formula
    sweep.function = NULL
    sweep.several = False
    sweep.itemsize = np.PyArray_ITEMSIZE(result)
    sweep.dims = np.PyArray_NDIM(result)
    sweep.parameters[0] = p0
    sweep.parameters[1] = p1
    for k in range(OPERANDS):
        if k == OPERANDS - 1:
            array = result
        else:
            array = arrays[k] if k < operation.count else arrays[0]
        sweep.data[k] = <char *> np.PyArray_DATA(array)
        for d in range(sweep.dims):
            sweep.shape[d] = np.PyArray_DIMS(array)[d]
            sweep.strides[k][d] = np.PyArray_STRIDES(array)[d]
    threads = threads_for(np.PyArray_SIZE(result), threads)
    with nogil:
        run_sweep(&sweep, threads)
    return 0


include "elementwise_functions.pxi"
