cdef RowOperation layer_norm_operation = RowOperation("layer_norm", NORM, centred=True)
cdef RowOperation rms_norm_operation = RowOperation("rms_norm", NORM)
cdef RowOperation layer_norm_backward_operation = RowOperation(
    "layer_norm_backward", NORM_BACKWARD, centred=True,
)
cdef RowOperation rms_norm_backward_operation = RowOperation("rms_norm_backward", NORM_BACKWARD)


def layer_norm(x, weight=None, bias=None, eps=1e-5, out=None):
    """Return rows with mean 0 and variance 1, times a weight, plus a bias.

    Parameters
    ----------
    x : array_like of shape (..., columns)
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    weight : array_like of shape (columns,), optional
        Factor of each column; 1 by default.
    bias : array_like of shape (columns,), optional
        What is added to each column; 0 by default.
    eps : float, default 1e-5
        Added to the variance.
    out : ndarray of the shape of `x`, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray of the shape of `x`
        `out` if given.

    Raises
    ------
    TypeError
        If the result's dtype does not fit `out`.
    ValueError
        If the shapes do not fit, or `out` is read-only, overlaps `x` in part, or `weight` or `bias` at all.

    Notes
    -----
    The variance is the mean square of the distances from the mean, as a network's layer takes it. With s the
    root of variance plus `eps` and n the normed rows, an element's error is at most ``eps * (abs(weight) *
    (10 * abs(n) + 4 * (1 + abs(mean) / s)) + 2 * abs(bias))``, the first factor being that of the dtype.
    The squares must be in its range.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.layer_norm(np.array([[1.0, 3.0], [5.0, 5.0]]), np.array([2.0, 2.0]), eps=0.25).round(3)
    array([[-1.789,  1.789],
           [ 0.   ,  0.   ]])
    """
    if weight is None and bias is not None:
        weight = numpy.ones_like(bias)
    return compute(layer_norm_operation, x, None, weight, bias, -1, eps, out)


def rms_norm(x, weight=None, eps=1e-5, out=None):
    """Return rows with a mean square of 1, times a weight.

    Parameters
    ----------
    x : array_like of shape (..., columns)
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    weight : array_like of shape (columns,), optional
        Factor of each column; 1 by default.
    eps : float, default 1e-5
        Added to the mean square.
    out : ndarray of the shape of `x`, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray of the shape of `x`
        `out` if given.

    Raises
    ------
    TypeError
        If the result's dtype does not fit `out`.
    ValueError
        If the shapes do not fit, or `out` is read-only, overlaps `x` in part, or `weight` at all.

    Notes
    -----
    An element's error is at most ``10 * eps * abs(result)``, eps being that of the dtype. The squares must be
    in its range.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.rms_norm(np.array([3.0, 3.0, -3.0]), eps=0.0)
    array([ 1.,  1., -1.])
    """
    return compute(rms_norm_operation, x, None, weight, None, -1, eps, out)


cdef tuple norm_backward(
    RowOperation operation, object grad, object x, object weight, double eps, int outputs,
):
    cdef Decision decision
    if calls.detours and calls.to_be_told():
        return told(operation, grad, x, weight, None, -1, eps, None)
    operands = (grad, x) if weight is None else (grad, x, weight)
    options = {"eps": eps}
    if any([foreign(operand) for operand in operands]):
        owned = apply_by_owner(operation.name, operands, options, None, active_backend())
        return by_numpy(operation, operands, options, None) if owned is NotImplemented else owned
    arrays = [numpy.asarray(operand) for operand in operands]
    check_rows(operation, arrays, 2, -1)
    common = numpy.result_type(*arrays)
    if common.char not in "fd":
        return by_numpy(operation, tuple(arrays), options, None)
    arrays = [numpy.require(array, common.newbyteorder("="), "A") for array in arrays]
    columns = arrays[0].shape[arrays[0].ndim - 1]
    results = (numpy.empty_like(arrays[1]), *[numpy.zeros(columns, common) for _ in range(outputs - 1)])
    if results[0].size:
        choose(
            operation.number, results[0].itemsize, results[0].size // columns, columns, 1, 1,
            layout_of(arrays), &decision,
        )
        if decision.path == PATH_BLOCKED:
            run_arrays(operation, arrays, list(results), -1, eps, decision.threads)
        else:
            compute_by(&decision, operation.name, arrays, results, options, True)
    return results


def layer_norm_backward(grad, x, weight=None, eps=1e-5):
    """Return the gradients of layer_norm's operand, weight and bias.

    Parameters
    ----------
    grad : array_like of shape (..., columns)
        Gradient of layer_norm's result.
    x : array_like of the shape of `grad`
        Operand of layer_norm.
    weight : array_like of shape (columns,), optional
        Its weight.
    eps : float, default 1e-5
        What it added to the variance.

    Returns
    -------
    dx : ndarray of the shape of `x`
        Gradient of the operand.
    dweight : ndarray of shape (columns,)
        Gradient of the weight; of one of ones where there was none.
    dbias : ndarray of shape (columns,)
        Gradient of the bias.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    Mean and variance are computed again, which costs less than to keep them. Sums over the rows are kept in
    float64. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> x = np.array([[1.0, 3.0], [0.0, 2.0]])
    >>> dx, dweight, dbias = tensorops.layer_norm_backward(np.ones((2, 2)), x)
    >>> dx.round(3), dweight.round(3), dbias
    (array([[0., 0.],
           [0., 0.]]), array([-2.,  2.]), array([2., 2.]))
    """
    return norm_backward(layer_norm_backward_operation, grad, x, weight, eps, 3)


def rms_norm_backward(grad, x, weight=None, eps=1e-5):
    """Return the gradients of rms_norm's operand and weight.

    Parameters
    ----------
    grad : array_like of shape (..., columns)
        Gradient of rms_norm's result.
    x : array_like of the shape of `grad`
        Operand of rms_norm.
    weight : array_like of shape (columns,), optional
        Its weight.
    eps : float, default 1e-5
        What it added to the mean square.

    Returns
    -------
    dx : ndarray of the shape of `x`
        Gradient of the operand.
    dweight : ndarray of shape (columns,)
        Gradient of the weight; of one of ones where there was none.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    Sums over the rows are kept in float64. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> dx, dweight = tensorops.rms_norm_backward(np.ones((1, 2)), np.array([[1.0, 1.0]]), eps=0.0)
    >>> dx, dweight
    (array([[0., 0.]]), array([1., 1.]))
    """
    return norm_backward(rms_norm_backward_operation, grad, x, weight, eps, 2)
