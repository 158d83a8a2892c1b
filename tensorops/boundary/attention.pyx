"""Attention as users call it, and its gradients."""

cimport numpy as np

import numpy

from tensorops.backends.provided import provide
from tensorops.backends.owners import apply_by_owner
from tensorops.boundary.arguments import Later, answers_for_itself, common_arrays, result_for
from tensorops.dispatch.active import active_backend
from tensorops.kernels.attention.products import attend, attend_backward

from tensorops.boundary.paths cimport choose, compute_by, layout_of
from tensorops.dispatch cimport table
from tensorops.dispatch.table cimport PATH_BLOCKED, Decision
from tensorops.runtime cimport calls

np.import_array()

cdef object usual_scale = Later("tensorops.reference.attention", "usual_scale")
cdef object attention_dims = Later("tensorops.specs.attention", "attention_dims")
cdef object backward_dims = Later("tensorops.specs.attention", "backward_dims")

# The number of each in the dispatcher's table, by whether it is causal.
cdef int ATTENTION[2]
ATTENTION[0] = table.operation_number("attention", (("causal", False),))
ATTENTION[1] = table.operation_number("attention", (("causal", True),))
cdef int BACKWARD[2]
BACKWARD[0] = table.operation_number("attention_backward", (("causal", False),))
BACKWARD[1] = table.operation_number("attention_backward", (("causal", True),))


def attention(q, k, v, *, causal=False, scale=None, out=None):
    """Return for each query the mean of the values, weighted by the softmax of its products with the keys.

    Parameters
    ----------
    q : array_like of shape (..., L, D)
        Queries. float32 and float64 arrays are used in place, whatever their strides.
    k : array_like of shape (..., S, D)
        Keys.
    v : array_like of shape (..., S, E)
        Values. The leading dimensions of all three broadcast.
    causal : bool, default False
        Whether a query sees the keys up to its own place only: the first query sees the first key.
    scale : float, optional
        What the products are multiplied by before the softmax; one over the root of D by default.
    out : ndarray of shape (..., L, E), optional
        Where to put the result; any strides.

    Returns
    -------
    ndarray of shape (..., L, E)
        `out` if given; zeros where there is no key. The dtype is the operands' common one.

    Raises
    ------
    TypeError
        If `scale` is no number, or `out` is no array or cannot take the result's dtype.
    ValueError
        If the shapes do not fit each other, or `out` has another shape, is read-only or overlaps an operand.
    MemoryError
        If there is no memory for the result or for the kernels' work; nothing is written.

    See Also
    --------
    tensorops.attention_backward : The gradients.

    Notes
    -----
    ``2*L*S*(D + E)`` flops for each head, half of them where it is causal and L equals S. The matrix of
    scores is never written down: a block of it is computed, softened and multiplied with the values while it
    is in the cache, with a running maximum and sum for each query, and blocks of which no query sees anything
    are left out. Work memory is bounded whatever the sizes. With eps of the dtype and
    r(n) = ``(8 * sqrt(n) + 16) * eps``, the error is at most ``2 * (exp(2 * r(D) * m) - 1 + r(S))`` times the
    weighted mean of the values' magnitudes, m the largest ``abs(scale) * sum(abs(q) * abs(k))`` of the query.
    Operands of other dtypes, and subclasses of ndarray, go to NumPy. The interpreter lock is released. The
    same inputs, path and number of threads give the same bits.

    References
    ----------
    Dao et al., "FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness", 2022.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> values = np.array([[0.0, 2.0], [4.0, 4.0]])
    >>> tensorops.attention(np.ones((2, 3)), np.ones((2, 3)), values, causal=True)
    array([[0., 2.],
           [2., 3.]])
    """
    cdef Decision decision
    cdef tuple operands = (q, k, v)
    causal = bool(causal)
    params = {"causal": causal, "scale": scale}
    foreign = any([answers_for_itself(operand) for operand in operands])
    if foreign or (out is not None and type(out) is not numpy.ndarray):
        result = apply_by_owner("attention", operands, params, out, active_backend())
        if result is not NotImplemented:
            return result
    if calls.to_be_told():
        return calls.told("attention", attention, operands, {**params, "out": out})
    if foreign:
        arrays, common = list(operands), numpy.result_type(*operands)
    else:
        arrays, common = common_arrays(operands)
    dims = attention_dims("attention", [numpy.shape(array) for array in arrays])
    params["scale"] = scale_of("attention", scale, dims.depth)
    if foreign or common.char not in "fd":
        return by_numpy(tuple(arrays), params, dims.out, common, out)
    result = result_for("attention", out, dims.out, common, arrays)
    arrays = on_heads(arrays, dims.heads)
    choose(
        ATTENTION[<int> causal], common.itemsize, dims.queries, dims.keys, max(dims.depth, dims.width),
        dims.count, layout_of(arrays), &decision,
    )
    if decision.path == PATH_BLOCKED:
        by_kernel(arrays, result, decision.threads, **params)
    else:
        # As quiet as the kernels.
        with numpy.errstate(all="ignore"):
            compute_by(&decision, "attention", arrays, result, params, result is not out)
    if out is None or result is out:
        return result
    numpy.copyto(out, result, casting="same_kind")
    return out


def attention_backward(grad, q, k, v, out, *, causal=False, scale=None):
    """Return the gradients of attention by queries, keys and values.

    Parameters
    ----------
    grad : array_like of shape (..., L, E)
        Gradient of the result.
    q : array_like of shape (..., L, D)
        Queries.
    k : array_like of shape (..., S, D)
        Keys.
    v : array_like of shape (..., S, E)
        Values. The leading dimensions of all operands are the same.
    out : array_like of shape (..., L, E)
        The result of `attention`, which is read.
    causal : bool, default False
        As in the call of `attention`.
    scale : float, optional
        As in the call of `attention`.

    Returns
    -------
    dq : ndarray of shape (..., L, D)
        Gradient of the queries.
    dk : ndarray of shape (..., S, D)
        Gradient of the keys.
    dv : ndarray of shape (..., S, E)
        Gradient of the values.

    Raises
    ------
    TypeError
        If `scale` is no number.
    ValueError
        If the shapes do not fit each other.
    MemoryError
        If there is no memory for the results or for the kernels' work.

    See Also
    --------
    tensorops.attention : What is differentiated.

    Notes
    -----
    ``L*S*(6*D + 4*E)`` flops for each head, and the scores twice more, for they are computed anew and never
    kept; threads share the heads. Work memory grows with D and E, not with L and S. The registry states the
    error bound. Operands of other dtypes, and subclasses of ndarray, go to NumPy. The interpreter lock is
    released.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> q, k, v = np.array([[1.0]]), np.array([[2.0], [2.0]]), np.array([[1.0], [3.0]])
    >>> out = tensorops.attention(q, k, v)
    >>> [part.ravel().tolist() for part in tensorops.attention_backward(np.ones((1, 1)), q, k, v, out)]
    [[0.0], [-0.5, 0.5], [0.5, 0.5]]
    """
    cdef Decision decision
    cdef tuple operands = (grad, q, k, v, out)
    causal = bool(causal)
    params = {"causal": causal, "scale": scale}
    foreign = any([answers_for_itself(operand) for operand in operands])
    if foreign:
        result = apply_by_owner("attention_backward", operands, params, None, active_backend())
        if result is not NotImplemented:
            return result
    if calls.to_be_told():
        return calls.told("attention_backward", attention_backward, operands, params)
    if foreign:
        arrays, common = list(operands), numpy.result_type(*operands)
    else:
        arrays, common = common_arrays(operands)
    dims = backward_dims([numpy.shape(array) for array in arrays])
    params["scale"] = scale_of("attention_backward", scale, dims.depth)
    if foreign or common.char not in "fd":
        from tensorops.numpy_twins import attention as numpy_twins

        return numpy_twins.attention_backward(*arrays, **params)
    results = tuple([numpy.empty(array.shape, common) for array in arrays[1:4]])
    choose(
        BACKWARD[<int> causal], common.itemsize, dims.queries, dims.keys, max(dims.depth, dims.width),
        dims.count, layout_of(arrays), &decision,
    )
    if decision.path == PATH_BLOCKED:
        backward_by_kernel(arrays, results, decision.threads, **params)
    else:
        with numpy.errstate(all="ignore"):
            compute_by(&decision, "attention_backward", arrays, results, params, True)
    return results


def backward_by_kernel(arrays, out, threads=0, *, causal=False, scale=None) -> None:
    """Compute gradients of arrays of one dtype by this library's kernels: see `attention_backward`.

    Parameters
    ----------
    arrays : sequence of ndarray
        Gradient, queries, keys, values and the result of attention.
    out : tuple of three ndarray
        The gradients.
    threads : int, optional
        At most so many; 0 for as many as the library may use.
    causal : bool, optional
        As in the call of attention.
    scale : float, optional
        As in the call of attention.

    Examples
    --------
    >>> import numpy as np
    >>> one, out = np.ones((1, 1)), tuple(np.empty((3, 1, 1)))
    >>> backward_by_kernel([one] * 5, out)
    >>> [part.item() for part in out]
    [0.0, 0.0, 1.0]
    """
    grad, q, k, v, result = arrays
    scale = usual_scale(q.shape[q.ndim - 1]) if scale is None else scale
    attend_backward(grad, q, k, v, result, out, causal, scale, threads)


cdef list on_heads(list arrays, tuple heads):
    """Give every operand the leading dimensions of the result."""
    return [
        array if array.shape[:array.ndim - 2] == heads
        else numpy.broadcast_to(array, heads + array.shape[array.ndim - 2:])
        for array in arrays
    ]


cdef object scale_of(str op, object scale, object depth):
    """Return what the scores are multiplied by."""
    if scale is None:
        return usual_scale(depth)
    if isinstance(scale, bool) or not hasattr(type(scale), "__float__"):
        raise TypeError(f"{op}: scale must be a number, not {type(scale).__name__}")
    return float(scale)


def by_kernel(arrays, out, threads=0, *, causal=False, scale=None) -> None:
    """Compute the attention of arrays of one dtype by this library's kernels: see `attention`.

    Parameters
    ----------
    arrays : sequence of ndarray
        Queries, keys and values, of the same leading dimensions.
    out : ndarray
        The result.
    threads : int, optional
        At most so many; 0 for as many as the library may use.
    causal : bool, optional
        Whether a query sees the keys up to its own place only.
    scale : float, optional
        What the scores are multiplied by.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty((1, 1))
    >>> by_kernel([np.ones((1, 1)), np.ones((2, 1)), np.array([[1.0], [2.0]])], out)
    >>> out.item()
    1.5
    """
    q, k, v = on_heads(list(arrays), out.shape[:out.ndim - 2])
    attend(q, k, v, out, causal, usual_scale(q.shape[q.ndim - 1]) if scale is None else scale, threads)


cdef object by_numpy(tuple operands, dict params, tuple shape, object common, object out):
    """Have NumPy compute other dtypes and subclasses; `out` is written when all else has succeeded."""
    if out is not None:
        common = numpy.result_type(common, 1.0) if common.kind in "iub" else common
        result_for("attention", out, shape, common, [numpy.asarray(operand) for operand in operands])
    from tensorops.numpy_twins import attention as numpy_twins

    result = numpy_twins.attention(*operands, **params)
    if out is None:
        return result
    numpy.copyto(out, result, casting="same_kind")
    return out


provide("attention", by_kernel)
provide("attention_backward", backward_by_kernel)
