"""Calls of compiled expressions: ready-made arrays go straight to the kernel, all else is prepared first."""

cimport numpy as np
from cpython.pycapsule cimport PyCapsule_GetPointer

from tensorops.kernels.fused.loops cimport (
    MAX_DIMS, MAX_INPUTS, MAXIMUM, MINIMUM, NONE, SUM, Job, Operand, Reduction, kernel_t, loader,
    run_flat, run_job, storer,
)
from tensorops.runtime cimport calls
from tensorops.runtime.openmp cimport thread_limit

np.import_array()

cdef enum:
    # Elements below which giving up the interpreter lock costs more than it lets others gain.
    RELEASE_ELEMENTS = 1 << 11


cdef Reduction reduction_of(object name) except *:
    if name is None:
        return NONE
    if name == "sum":
        return SUM
    return MAXIMUM if name == "max" else MINIMUM


cdef class Kernel:
    """One compiled kernel.

    Parameters
    ----------
    module : module
        What was compiled; it holds the capsule of the kernel.
    dtype : dtype
        float32 or float64, what the kernel computes in.
    inputs : int
        Arrays that it reads.
    grain : int
        Elements for each thread: below, starting it takes longer than it saves.

    Attributes
    ----------
    dtype : dtype
        As given.
    """

    cdef kernel_t function
    cdef object module
    cdef readonly object dtype
    cdef int number
    cdef int real_size
    cdef int inputs
    cdef Py_ssize_t grain

    def __init__(self, module, dtype, int inputs, Py_ssize_t grain):
        self.function = <kernel_t> PyCapsule_GetPointer(module.capsule, b"tensorops.fuse.kernel")
        self.module = module
        self.dtype = dtype
        self.number = dtype.num
        self.real_size = dtype.itemsize
        self.inputs = inputs
        self.grain = grain

    cdef int threads(self, Py_ssize_t elements) noexcept:
        return <int> max(1, min(<Py_ssize_t> thread_limit(), elements // self.grain))

    def run(self, arrays, scalars, out, reduction=None) -> None:
        """Compute into `out`; nothing is checked but what would crash.

        Parameters
        ----------
        arrays : sequence of ndarray
            One for each input, all of one shape; broadcast ones have strides of 0.
        scalars : sequence of float
            The numbers that are the same for all elements.
        out : ndarray
            The result, of the arrays' shape; for a reduction float64, with strides of 0 along the axes
            that are reduced, and set to what the reduction starts from.
        reduction : {None, "sum", "max", "min"}
            What becomes of the elements.

        Raises
        ------
        ValueError
            If the number of arrays, their shapes or their dtypes do not fit.
        """
        cdef Job job
        cdef double numbers[MAX_INPUTS]
        cdef np.ndarray array
        cdef Operand *operand
        cdef int k, d, threads
        if len(arrays) != self.inputs or len(scalars) > MAX_INPUTS or out.ndim > MAX_DIMS:
            raise ValueError("another number of operands than the kernel has")
        if out.size == 0:
            return
        for k, number in enumerate(scalars):
            numbers[k] = number
        job.kernel = self.function
        job.real_size = self.real_size
        job.inputs = self.inputs
        job.scalars = numbers
        job.reduction = reduction_of(reduction)
        array = out
        job.dims = np.PyArray_NDIM(array)
        for d in range(job.dims):
            job.shape[d] = np.PyArray_DIMS(array)[d]
        for k in range(self.inputs + 1):
            array = arrays[k] if k < self.inputs else out
            if (<object> array).shape != out.shape:
                raise ValueError("operands of several shapes")
            operand = &job.operands[k]
            operand.data = <char *> np.PyArray_DATA(array)
            operand.size = np.PyArray_ITEMSIZE(array)
            operand.native = np.PyArray_TYPE(array) == self.number
            operand.load = loader(ord(array.dtype.kind), operand.size, self.real_size)
            if operand.load == NULL:
                raise ValueError(f"a kernel does not read {array.dtype}")
            for d in range(job.dims):
                operand.strides[d] = np.PyArray_STRIDES(array)[d]
        job.store = storer(ord(array.dtype.kind), operand.size, self.real_size, job.reduction)
        if job.store == NULL:
            raise ValueError(f"a kernel does not write {array.dtype}")
        threads = self.threads(np.PyArray_SIZE(array))
        with nogil:
            run_job(&job, threads)


cdef inline bint apart(np.ndarray x, np.ndarray out) noexcept:
    """Tell whether two contiguous arrays are the same memory, or share none."""
    cdef char *first = <char *> np.PyArray_DATA(x)
    cdef char *second = <char *> np.PyArray_DATA(out)
    if first == second:
        return True
    return first + np.PyArray_NBYTES(x) <= second or second + np.PyArray_NBYTES(out) <= first


cdef inline bint same_shape(np.ndarray x, np.ndarray y) noexcept:
    cdef int d
    if np.PyArray_NDIM(x) != np.PyArray_NDIM(y):
        return False
    for d in range(np.PyArray_NDIM(x)):
        if np.PyArray_DIMS(x)[d] != np.PyArray_DIMS(y)[d]:
            return False
    return True


cdef class Caller:
    """What a fused function is called through: it remembers the kernel of the last plain call.

    A call is plain if its arrays are contiguous, of one shape and of the kernel's dtype, and all else are
    Python's numbers that the kernel reads as they are.
    """

    cdef tuple pattern         # for each argument None for an array, or the type of a number
    cdef tuple slots           # arguments that the kernel reads as numbers
    cdef Kernel kernel

    def remember(self, pattern, slots, kernel) -> None:
        """Have calls of a pattern go straight to a kernel.

        Parameters
        ----------
        pattern : tuple of type or None
            For each argument None for an array, or the type of the number.
        slots : tuple of int
            Places of the arguments that the kernel reads as numbers, in its order.
        kernel : Kernel
            What computes such a call.
        """
        self.pattern = pattern
        self.slots = slots
        self.kernel = kernel

    def general(self, args, kwargs):
        """Compute a call that is not plain.

        Parameters
        ----------
        args : tuple
            As given.
        kwargs : dict
            As given.

        Raises
        ------
        NotImplementedError
            In this class.
        """
        raise NotImplementedError

    def __call__(self, *args, **kwargs):
        """Compute the expression.

        Parameters
        ----------
        *args, **kwargs
            The function's arguments, and ``out``.

        Returns
        -------
        ndarray or number
            The result.
        """
        if self.kernel is not None and not calls.detours:
            if not kwargs:
                result = self.plain(args, None)
                if result is not None:
                    return result
            elif len(kwargs) == 1 and "out" in kwargs:
                result = self.plain(args, kwargs["out"])
                if result is not None:
                    return result
        return self.general(args, kwargs)

    cdef object plain(self, tuple args, object out):
        """Return the result of a plain call, None for any other."""
        cdef Kernel kernel = self.kernel
        cdef tuple pattern = self.pattern
        cdef const char *data[MAX_INPUTS]
        cdef double numbers[MAX_INPUTS]
        cdef np.ndarray first = None
        cdef np.ndarray array, result
        cdef Py_ssize_t n
        cdef int count = 0
        cdef int k, threads
        if len(args) != len(pattern):
            return None
        for k in range(<int> len(args)):
            argument = args[k]
            if pattern[k] is None:
                if not np.PyArray_CheckExact(argument):
                    return None
                array = <np.ndarray> argument
                if np.PyArray_TYPE(array) != kernel.number or not np.PyArray_ISCARRAY_RO(array):
                    return None
                if first is None:
                    first = array
                    if np.PyArray_NDIM(array) == 0:
                        return None
                elif not same_shape(first, array):
                    return None
                data[count] = <const char *> np.PyArray_DATA(array)
                count += 1
            elif type(argument) is not pattern[k]:
                return None
        for k in range(<int> len(self.slots)):
            numbers[k] = args[<int> self.slots[k]]
        if out is None:
            result = np.PyArray_EMPTY(np.PyArray_NDIM(first), np.PyArray_DIMS(first), kernel.number, 0)
        else:
            if not np.PyArray_CheckExact(out):
                return None
            result = <np.ndarray> out
            if np.PyArray_TYPE(result) != kernel.number or not np.PyArray_ISCARRAY(result):
                return None
            if not same_shape(first, result):
                return None
            for k in range(<int> len(args)):
                if pattern[k] is None and not apart(<np.ndarray> args[k], result):
                    return None
        n = np.PyArray_SIZE(first)
        if n < RELEASE_ELEMENTS:
            kernel.function(n, data, <char *> np.PyArray_DATA(result), numbers)
            return result
        threads = kernel.threads(n)
        with nogil:
            run_flat(
                kernel.function, kernel.real_size, n, count, data, <char *> np.PyArray_DATA(result),
                numbers, threads,
            )
        return result
