"""Attention of ready-made arrays: what the boundary and the backends call."""

import functools

import numpy

from tensorops.kernels.attention cimport family as columns_family
from tensorops.kernels.attention.backward cimport Backward, run_backward
from tensorops.kernels.attention.forward cimport Attention, Matrix, run_attention
from tensorops.kernels.gemm cimport family as gemm_family
from tensorops.runtime.openmp cimport thread_limit


@functools.lru_cache(maxsize=16)
def _offsets(shape, strides):
    # Kept: a step of training asks for the same few again and again.
    offsets = numpy.zeros(shape, numpy.intp)
    for axis in range(len(shape)):
        steps = numpy.arange(shape[axis], dtype=numpy.intp) * strides[axis]
        offsets += steps.reshape([-1] + [1] * (len(shape) - 1 - axis))
    return offsets.ravel()


cdef object offsets_of(object array):
    """Return where the matrices of a stack begin, in bytes."""
    return _offsets(array.shape[:array.ndim - 2], array.strides[:array.ndim - 2])


cdef int describe(object array, object offsets, Matrix *matrix) except -1:
    cdef size_t address = array.__array_interface__["data"][0]
    cdef size_t places = offsets.__array_interface__["data"][0]
    matrix.data = <const char *> address
    matrix.offsets = <const Py_ssize_t *> places
    matrix.row = array.strides[array.ndim - 2] // array.itemsize
    matrix.column = array.strides[array.ndim - 1] // array.itemsize
    return 0


def attend(q, k, v, out, bint causal, double scale, int threads=0) -> None:
    """Compute the attention of arrays of one dtype into `out`; nothing is checked.

    Parameters
    ----------
    q : ndarray of shape (..., L, D)
        Queries, float32 or float64, of any strides.
    k : ndarray of shape (..., S, D)
        Keys, of the same dtype and leading dimensions.
    v : ndarray of shape (..., S, E)
        Values, of the same dtype and leading dimensions.
    out : ndarray of shape (..., L, E)
        Of the same dtype and leading dimensions; must not overlap an operand.
    causal : bool
        Whether a query sees the keys up to its own place only.
    scale : float
        What the scores are multiplied by.
    threads : int
        At most so many; 0 for as many as the library may use.

    Raises
    ------
    MemoryError
        If there is no work memory; nothing is written.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty((1, 2))
    >>> attend(np.zeros((1, 3)), np.zeros((2, 3)), np.array([[1.0, 2.0], [3.0, 4.0]]), out, False, 1.0)
    >>> out
    array([[2., 3.]])
    """
    cdef Attention a
    cdef int status
    cdef Py_ssize_t size = out.itemsize
    cdef Py_ssize_t dims = out.ndim
    if out.size == 0:
        return
    if k.shape[dims - 2] == 0:
        out[...] = 0
        return
    gemm_family.prepare()
    columns_family.prepare()
    a.kernels = gemm_family.family_of(size).kernels
    a.columns = columns_family.columns_of(size)
    a.queries = q.shape[dims - 2]
    a.depth = q.shape[dims - 1]
    a.keys = v.shape[dims - 2]
    a.width = v.shape[dims - 1]
    a.causal = causal
    a.scale = scale
    kept = [offsets_of(array) for array in (q, k, v, out)]
    a.heads = kept[0].size
    describe(q, kept[0], &a.q)
    describe(k, kept[1], &a.k)
    describe(v, kept[2], &a.v)
    describe(out, kept[3], &a.out)
    threads = min(threads, thread_limit()) if threads > 0 else thread_limit()
    with nogil:
        status = run_attention(&a, threads)
    if status:
        raise MemoryError(
            f"attention: no work memory for operands of shapes {q.shape}, {k.shape} and {v.shape}"
        )


def attend_backward(grad, q, k, v, result, out, bint causal, double scale, int threads=0) -> None:
    """Compute the gradients of attention of arrays of one dtype into `out`; nothing is checked.

    Parameters
    ----------
    grad : ndarray of shape (..., L, E)
        Gradient of the result, float32 or float64, of any strides.
    q : ndarray of shape (..., L, D)
        Queries, of the same dtype and leading dimensions, as are all.
    k : ndarray of shape (..., S, D)
        Keys.
    v : ndarray of shape (..., S, E)
        Values.
    result : ndarray of shape (..., L, E)
        What attention gave.
    out : tuple of three ndarray
        The gradients of q, k and v, of the shapes of these.
    causal : bool
        As in the call of attention.
    scale : float
        As in the call of attention.
    threads : int
        At most so many; 0 for as many as the library may use.

    Raises
    ------
    MemoryError
        If there is no work memory.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1))
    >>> out = np.empty((1, 1)), np.empty((2, 1)), np.empty((2, 1))
    >>> k, v = np.array([[2.0], [2.0]]), np.array([[1.0], [3.0]])
    >>> attend_backward(one, one, k, v, 2 * one, out, False, 1.0)
    >>> [part.ravel().tolist() for part in out]
    [[0.0], [-0.5, 0.5], [0.5, 0.5]]
    """
    cdef Backward b
    cdef int status
    cdef Py_ssize_t size = grad.itemsize
    cdef Py_ssize_t dims = grad.ndim
    for part in out:
        part[...] = 0
    if grad.shape[dims - 2] == 0 or k.shape[dims - 2] == 0 or 0 in grad.shape[:dims - 2]:
        return
    gemm_family.prepare()
    columns_family.prepare()
    b.forward.kernels = gemm_family.family_of(size).kernels
    b.forward.columns = columns_family.columns_of(size)
    b.forward.queries = q.shape[dims - 2]
    b.forward.depth = q.shape[dims - 1]
    b.forward.keys = v.shape[dims - 2]
    b.forward.width = v.shape[dims - 1]
    b.forward.causal = causal
    b.forward.scale = scale
    arrays = (q, k, v, result, grad, *out)
    kept = [offsets_of(array) for array in arrays]
    b.forward.heads = kept[0].size
    describe(q, kept[0], &b.forward.q)
    describe(k, kept[1], &b.forward.k)
    describe(v, kept[2], &b.forward.v)
    describe(result, kept[3], &b.forward.out)
    describe(grad, kept[4], &b.grad)
    describe(out[0], kept[5], &b.dq)
    describe(out[1], kept[6], &b.dk)
    describe(out[2], kept[7], &b.dv)
    threads = min(threads, thread_limit()) if threads > 0 else thread_limit()
    with nogil:
        status = run_backward(&b, threads)
    if status:
        raise MemoryError(
            f"attention_backward: no work memory for operands of shapes {q.shape}, {k.shape} and {v.shape}"
        )
