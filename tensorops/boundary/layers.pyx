"""Fully connected layers as users call them: a product with an epilogue, and its gradients."""

cimport cython
cimport numpy as np

import math

import numpy

from tensorops.activations import ACTIVATIONS as _ACTIVATIONS
from tensorops.backends.owners import apply_by_owner
from tensorops.boundary.arguments import answers_for_itself, common_arrays
from tensorops.dispatch import precision as _precision
from tensorops.dispatch.active import active_backend

from tensorops.boundary.paths cimport choose, compute_by
from tensorops.boundary.products cimport folds_onto_itself, layout_of, overlaps, usable
from tensorops.dispatch cimport table
from tensorops.dispatch.table cimport PATH_PACKED, PATH_SMALL, Decision
from tensorops.kernels.gemm cimport family as kernel_family
from tensorops.kernels.gemm.batched cimport MAX_BATCH_DIMS, Stack, count_of
from tensorops.kernels.gemm.family cimport prepare
from tensorops.kernels.gemm.kernels cimport EPILOGUE_NONE, EPILOGUE_RELU
from tensorops.kernels.gemm.layers cimport (
    Backward, describe_backward, describe_layer, run_backward, run_layer,
)
from tensorops.kernels.gemm.plan cimport PACK_AUTO, PACK_NEVER, Packing, Product
from tensorops.runtime cimport calls

np.import_array()

cdef enum:
    # Multiply-adds below which giving up the interpreter lock costs more than it lets others gain.
    RELEASE_WORK = 1 << 14

# The number of a layer with each activation in the dispatcher's table, and of its epilogue.
cdef dict LAYERS = {
    name: (
        table.operation_number("linear", (("activation", name),)),
        epilogue,
    )
    for name, epilogue in zip(
        (None, *_ACTIVATIONS), (EPILOGUE_NONE, *range(EPILOGUE_RELU, EPILOGUE_RELU + len(_ACTIVATIONS))),
    )
}
cdef int BACKWARD = table.operation_number("linear_backward")


def linear(x, weight, bias=None, *, activation=None, out=None, precision=None):
    """Return a fully connected layer: ``activation(x @ weight + bias)``, in the product's own pass.

    Parameters
    ----------
    x : array_like of shape (..., K)
        Input. float32 and float64 arrays are used in place, whatever their strides.
    weight : array_like of shape (K, N)
        Weights.
    bias : array_like of shape (N,), optional
        Added to each row.
    activation : {None, "relu", "gelu", "gelu_tanh", "gelu_sigmoid", "silu", "sigmoid", "tanh"}
        Applied to each element of the result; gelu with the approximation behind its name.
    out : ndarray of shape (..., N), optional
        Where to put the result; may overlap an operand, may have any strides.
    precision : {None, "highest", "high", "medium"}
        How accurate a float32 product is at least; None as `set_matmul_precision` says, "highest" as a rule.

    Returns
    -------
    ndarray of shape (..., N)
        `out` if given. The dtype is the operands' common one.

    Raises
    ------
    TypeError
        If `out` is not an array, or cannot take the result's dtype.
    ValueError
        If the shapes do not fit each other, `out` has another shape or is read-only, or `activation` or
        `precision` is not known.
    MemoryError
        If there is no memory for the result or for the kernels' work; nothing is written.

    See Also
    --------
    tensorops.linear_backward : The gradients of a layer without activation.
    tensorops.matmul : The product alone.
    tensorops.set_matmul_precision : The precision of all products, and what a lower one allows.

    Notes
    -----
    2*M*K*N flops of the product for M rows. Bias and activation are applied to each tile of the result while
    it is in the cache. With eps of the dtype, the error of an element before the activation is at most
    ``(8 * sqrt(K) + 16) * eps * (abs(x) @ abs(weight) + abs(bias))``; an activation enlarges it by a factor
    of 1.13 at most and adds its own. Operands of other dtypes, and subclasses of ndarray, go to NumPy. The
    interpreter lock is released. The same inputs, path and number of threads give the same bits.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> x, weight = np.array([[1.0, 2.0]]), np.array([[3.0, -3.0], [4.0, -4.0]])
    >>> tensorops.linear(x, weight, np.array([1.0, 1.0]), activation="relu")
    array([[12.,  0.]])
    """
    if precision is not None:
        _precision.asked_for(precision, "linear")
    if not calls.to_be_told() and plain(x) and plain(weight):
        if (bias is None or plain(bias)) and (out is None or plain(out)):
            result = layer(x, weight, bias, activation, out)
            if result is not None:
                return result
    return general(x, weight, bias, activation, out, precision)


def linear_backward(grad, x, weight, *, bias=True, precision=None):
    """Return the gradients of a fully connected layer without activation.

    Parameters
    ----------
    grad : array_like of shape (..., N)
        Gradient of the layer's result; behind an activation, that activation's backward comes first.
    x : array_like of shape (..., K)
        The layer's input.
    weight : array_like of shape (K, N)
        The layer's weights.
    bias : bool, default True
        Whether the gradient of the bias is wanted.
    precision : {None, "highest", "high", "medium"}
        How accurate float32 products are at least; None as `set_matmul_precision` says, "highest" as a rule.

    Returns
    -------
    dx : ndarray of shape (..., K)
        ``grad @ weight.T``.
    dweight : ndarray of shape (K, N)
        ``x.T @ grad``, over all rows.
    dbias : ndarray of shape (N,), or None
        The sum of grad's rows; None if `bias` is false.

    Raises
    ------
    ValueError
        If the shapes do not fit each other, or `precision` is not known.
    MemoryError
        If there is no memory for the results or for the kernels' work.

    See Also
    --------
    tensorops.linear : The layer.

    Notes
    -----
    4*M*K*N flops for M rows. No operand is transposed in memory: the products read it turned. With eps of
    the dtype, the error is at most ``(8 * sqrt(L) + 16) * eps`` times the sum of the terms' magnitudes, L the
    number of terms: N for dx, M for dweight and dbias. Operands of other dtypes go to NumPy. The interpreter
    lock is released.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> grad, x, weight = np.array([[1.0, 0.0]]), np.array([[2.0, 3.0]]), np.array([[4.0, 5.0], [6.0, 7.0]])
    >>> dx, dweight, dbias = tensorops.linear_backward(grad, x, weight)
    >>> dx
    array([[4., 6.]])
    >>> dweight
    array([[2., 0.],
           [3., 0.]])
    >>> dbias
    array([1., 0.])
    """
    if precision is not None:
        _precision.asked_for(precision, "linear_backward")
    if not calls.to_be_told() and plain(grad) and plain(x) and plain(weight):
        result = gradients(grad, x, weight, bool(bias))
        if result is not None:
            return result
    return general_backward(grad, x, weight, bool(bias), precision)


cdef inline bint plain(object x) noexcept:
    return np.PyArray_CheckExact(x)


cdef inline bint computable(np.ndarray x, int dtype) noexcept:
    """Tell whether a kernel of this dtype can read an array as it lies."""
    return (dtype == np.NPY_FLOAT or dtype == np.NPY_DOUBLE) and usable(x, dtype)


cdef tuple known(object activation):
    """Return the numbers of a layer with this activation."""
    try:
        return <tuple> LAYERS[activation]
    except (KeyError, TypeError):
        raise ValueError(
            f"linear: activation must be None or one of {', '.join(_ACTIVATIONS)}, not {activation!r}"
        ) from None


cdef int mismatch(np.ndarray x, np.ndarray weight, np.ndarray bias) except -1:
    shapes = ", ".join([str((<object> array).shape) for array in (x, weight, bias) if array is not None])
    raise ValueError(
        f"linear: shapes {shapes} do not fit: they must be (..., K) of x, (K, N) of weight and (N,) of bias"
    )


cdef object layer(np.ndarray x, np.ndarray weight, np.ndarray bias, object activation, np.ndarray out):
    """Compute a layer of arrays; None if a dtype or an order of bytes asks for the general way."""
    cdef int dtype = np.PyArray_TYPE(x)
    cdef int dims = np.PyArray_NDIM(x)
    cdef int operation, epilogue, status, d
    cdef int itemsize = np.PyArray_ITEMSIZE(x)
    cdef np.npy_intp shape[MAX_BATCH_DIMS + 2]
    cdef np.ndarray c = None
    cdef Product product
    cdef Stack stack
    cdef Decision decision
    cdef Packing packing
    cdef bint fits
    operation, epilogue = known(activation)
    if not computable(x, dtype) or not computable(weight, dtype):
        return None
    if bias is not None and not computable(bias, dtype):
        return None
    if out is not None and np.PyArray_TYPE(out) != dtype:
        return None
    fits = dims >= 1 and np.PyArray_NDIM(weight) == 2 and (bias is None or np.PyArray_NDIM(bias) == 1)
    if not fits or np.PyArray_DIMS(x)[dims - 1] != np.PyArray_DIMS(weight)[0] or (
        bias is not None and np.PyArray_DIMS(bias)[0] != np.PyArray_DIMS(weight)[1]
    ):
        mismatch(x, weight, bias)
    for d in range(dims - 1):
        shape[d] = np.PyArray_DIMS(x)[d]
    shape[dims - 1] = np.PyArray_DIMS(weight)[1]
    if out is not None:
        check_out(out, dims, shape)
        if np.PyArray_ISBEHAVED(out) and (np.PyArray_ISCONTIGUOUS(out) or not folds_onto_itself(out)):
            if not overlaps(out, x) and not overlaps(out, weight) and (
                bias is None or not overlaps(out, bias)
            ):
                c = out
    if c is None:
        c = np.PyArray_EMPTY(dims, shape, dtype, 0)
    if bias is not None and not np.PyArray_ISCONTIGUOUS(bias):
        bias = numpy.ascontiguousarray(bias)
    if not kernel_family.ready:
        prepare()
    describe_layer(x, weight, bias, c, epilogue, &product, &stack)
    choose(
        operation, itemsize, product.m * count_of(&stack), product.k, product.n, 1,
        3 * layout_of(product.rs_a, product.cs_a) + layout_of(product.rs_b, product.cs_b), &decision,
    )
    if decision.path > PATH_PACKED:
        by_backend(x, weight, bias, activation, c, &decision, c is not out)
    else:
        packing = PACK_NEVER if decision.path == PATH_SMALL else PACK_AUTO
        if decision.path == PATH_SMALL:
            decision.threads = 1
        if <double> product.m * product.n * product.k < RELEASE_WORK and stack.dims == 0:
            status = run_layer(itemsize, &product, &stack, packing, decision.threads)
        else:
            with nogil:
                status = run_layer(itemsize, &product, &stack, packing, decision.threads)
        if status:
            raise MemoryError(
                f"linear: no work memory for operands of shapes {(<object> x).shape} and "
                f"{(<object> weight).shape}"
            )
    if out is not None and c is not out:
        numpy.copyto(out, c)
        return out
    return c


cdef int check_out(np.ndarray out, int dims, const np.npy_intp *shape) except -1:
    """Raise an error unless `out` is writeable and has this shape."""
    cdef bint fits = np.PyArray_NDIM(out) == dims
    cdef int d
    if fits:
        for d in range(dims):
            fits = fits and np.PyArray_DIMS(out)[d] == shape[d]
    if not fits:
        expected = tuple([shape[d] for d in range(dims)])
        raise ValueError(f"linear: out has shape {(<object> out).shape}, but the operands give {expected}")
    if not np.PyArray_ISWRITEABLE(out):
        raise ValueError("linear: out is read-only")
    return 0


cdef int by_backend(
    object x, object weight, object bias, object activation, object result, const Decision *decision,
    bint ours,
) except -1:
    """Let another backend compute into `result`: a matrix or a stack of matrices."""
    if x.ndim == 1:
        x, result = x[numpy.newaxis], result[numpy.newaxis]
    # As quiet as the kernels.
    with numpy.errstate(all="ignore"):
        compute_by(
            decision, "linear", [x, weight] if bias is None else [x, weight, bias], result,
            {} if activation is None else {"activation": activation}, ours,
        )
    return 0


cdef object general(
    object x, object weight, object bias, object activation, object out, object precision,
):
    """Bring any operands into the form of the kernels, or hand them to NumPy."""
    cdef tuple operands = (x, weight) if bias is None else (x, weight, bias)
    known(activation)
    params = {} if activation is None else {"activation": activation}
    if out is not None and not isinstance(out, numpy.ndarray):
        raise TypeError(f"linear: out must be an array, not {type(out).__name__}")
    foreign = [answers_for_itself(operand) for operand in operands]
    if any(foreign) or not (out is None or plain(out)):
        asked = {**params, **_precision.as_parameter(precision)}
        result = apply_by_owner("linear", operands, asked, out, active_backend())
        if result is not NotImplemented:
            return result
    if calls.to_be_told():
        return calls.told("linear", linear, operands, {**params, "out": out, "precision": precision})
    if any(foreign) or not (out is None or plain(out)):
        return by_numpy(operands, activation, out)
    arrays, common = common_arrays(operands)
    if common.char not in "fd" or (out is not None and out.dtype != common):
        check_shapes(arrays, out)
        return by_numpy(tuple(arrays), activation, out)
    x, weight = arrays[0], arrays[1]
    if bias is not None:
        bias = arrays[2]
    if out is not None and not out.dtype.isnative:
        check_shapes(arrays, out)
        numpy.copyto(out, layer(x, weight, bias, activation, None))
        return out
    return layer(x, weight, bias, activation, out)


@cython.wraparound(True)
cdef int check_shapes(object arrays, object out) except -1:
    """Raise an error unless shapes of operands that NumPy will compute fit, and `out` can be written."""
    cdef np.npy_intp shape[MAX_BATCH_DIMS + 2]
    cdef int d
    x, weight, bias = arrays[0], arrays[1], arrays[2] if len(arrays) > 2 else None
    if x.ndim < 1 or weight.ndim != 2 or x.shape[-1] != weight.shape[0]:
        mismatch(x, weight, bias)
    if bias is not None and bias.shape != weight.shape[1:]:
        mismatch(x, weight, bias)
    if out is not None:
        expected = (*x.shape[:-1], weight.shape[1])
        for d in range(len(expected)):
            shape[d] = expected[d]
        check_out(out, <int> len(expected), shape)
    return 0


cdef object by_numpy(tuple operands, object activation, object out):
    """Have NumPy compute other dtypes and subclasses; `out` is written when all else has succeeded."""
    from tensorops.numpy_twins import products as numpy_twins

    result = numpy_twins.linear(*operands, activation=activation)
    if out is None:
        return result
    numpy.copyto(out, result, casting="same_kind")
    return out


cdef object gradients(np.ndarray grad, np.ndarray x, np.ndarray weight, bint bias):
    """Compute the gradients of arrays; None if a dtype or an order of bytes asks for the general way."""
    cdef int dtype = np.PyArray_TYPE(x)
    cdef int itemsize = np.PyArray_ITEMSIZE(x)
    cdef int status
    cdef np.ndarray dx, dweight, upper, lower, inputs
    cdef np.ndarray dbias = None
    cdef Backward backward
    cdef Decision decision
    cdef Packing packing
    if not computable(grad, dtype) or not computable(x, dtype) or not computable(weight, dtype):
        return None
    check_backward(grad, x, weight)
    dx = np.PyArray_EMPTY(np.PyArray_NDIM(x), np.PyArray_DIMS(x), dtype, 0)
    dweight = np.PyArray_EMPTY(2, np.PyArray_DIMS(weight), dtype, 0)
    if bias:
        dbias = np.PyArray_EMPTY(1, &np.PyArray_DIMS(weight)[1], dtype, 0)
    if not kernel_family.ready:
        prepare()
    upper, lower, inputs = as_rows(grad), as_rows(x), as_rows(dx)
    describe_backward(upper, lower, weight, inputs, dweight, dbias, &backward)
    choose(
        BACKWARD, itemsize, np.PyArray_DIMS(lower)[0], np.PyArray_DIMS(weight)[0],
        np.PyArray_DIMS(weight)[1], 1,
        3 * layout_of(backward.products[0].rs_a, backward.products[0].cs_a)
        + layout_of(backward.products[1].cs_a, backward.products[1].rs_a), &decision,
    )
    if decision.path > PATH_PACKED:
        with numpy.errstate(all="ignore"):
            compute_by(
                &decision, "linear_backward", [upper, lower, weight], (inputs, dweight, dbias),
                {"bias": bool(bias)}, True,
            )
    else:
        packing = PACK_NEVER if decision.path == PATH_SMALL else PACK_AUTO
        if decision.path == PATH_SMALL:
            decision.threads = 1
        with nogil:
            status = run_backward(itemsize, &backward, packing, decision.threads)
        if status:
            raise MemoryError(
                f"linear_backward: no work memory for operands of shapes {(<object> grad).shape}, "
                f"{(<object> x).shape} and {(<object> weight).shape}"
            )
    return dx, dweight, dbias


@cython.wraparound(True)
cdef int check_backward(object grad, object x, object weight) except -1:
    """Raise an error unless the shapes fit each other."""
    cdef object left = grad.shape
    cdef object right = x.shape
    cdef object factors = weight.shape
    if len(factors) != 2 or not left or not right or left[:-1] != right[:-1] or (
        (right[-1], left[-1]) != factors
    ):
        raise ValueError(
            f"linear_backward: shapes {left}, {right} and {factors} do not fit: they must be (..., N) of "
            "grad, (..., K) of x and (K, N) of weight"
        )
    return 0


@cython.wraparound(True)
cdef np.ndarray as_rows(np.ndarray x):
    """Return the rows of an array as a matrix: a view wherever they lie evenly, as a rule."""
    cdef object shape
    if np.PyArray_NDIM(x) == 2:
        return x
    shape = (<object> x).shape
    return x.reshape((math.prod(shape[:-1]), shape[-1]))


cdef object general_backward(object grad, object x, object weight, bint bias, object precision):
    """Bring any operands into the form of the kernels, or hand them to NumPy."""
    cdef tuple operands = (grad, x, weight)
    foreign = any([answers_for_itself(operand) for operand in operands])
    if foreign:
        asked = {"bias": bias, **_precision.as_parameter(precision)}
        result = apply_by_owner("linear_backward", operands, asked, None, active_backend())
        if result is not NotImplemented:
            return result
    if calls.to_be_told():
        return calls.told(
            "linear_backward", linear_backward, operands, {"bias": bias, "precision": precision}
        )
    if not foreign:
        arrays, common = common_arrays(operands)
        if common.char in "fd":
            return gradients(arrays[0], arrays[1], arrays[2], bias)
        check_backward(arrays[0], arrays[1], arrays[2])
        operands = tuple(arrays)
    from tensorops.numpy_twins import products as numpy_twins

    return numpy_twins.linear_backward(*operands, bias=bias)
