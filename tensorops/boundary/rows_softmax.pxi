cdef RowOperation softmax_operation = RowOperation("softmax", SOFTMAX)
cdef RowOperation softmax__operation = RowOperation("softmax_", SOFTMAX, in_place=True)
cdef RowOperation log_softmax_operation = RowOperation("log_softmax", LOG_SOFTMAX)
cdef RowOperation softmax_backward_operation = RowOperation("softmax_backward", SOFTMAX_BACKWARD)


def softmax(x, axis=-1, out=None):
    """Return exp(x) divided by its sum along an axis.

    Parameters
    ----------
    x : array_like
        Arrays of float32 and float64 are used without a copy, whatever their strides. At least one
        dimension.
    axis : int, default -1
        The axis whose elements add up to 1.
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
        If there is no such axis, or `out` is of another shape, read-only, or overlaps `x` in part.

    Notes
    -----
    The largest element is subtracted first, so that no power overflows. With d the distances from it and p
    the result, an element's error is at most ``eps * p * (16 + 2 * (d + sum(p * d)))``. A row with NaN, with
    infinity, or with no element above minus infinity gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.softmax(np.array([[0.0, 0.0, 0.0, 0.0], [-np.inf, 3.0, 3.0, -np.inf]]))
    array([[0.25, 0.25, 0.25, 0.25],
           [0.  , 0.5 , 0.5 , 0.  ]])
    """
    return compute(softmax_operation, x, None, None, None, axis, 0, out)


def softmax_(x, axis=-1):
    """Change `x` to exp(x) divided by its sum along an axis.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    axis : int, default -1
        The axis whose elements add up to 1.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If `x` is no array, or not of a floating-point dtype.
    ValueError
        If there is no such axis, or `x` is read-only or has several elements at one place.

    Notes
    -----
    See `softmax` for its accuracy.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.softmax_(np.zeros((2, 2)), axis=0)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    return compute(softmax__operation, x, None, None, None, axis, 0, x)


def log_softmax(x, axis=-1, out=None):
    """Return the logarithm of softmax along an axis.

    Parameters
    ----------
    x : array_like
        Arrays of float32 and float64 are used without a copy, whatever their strides. At least one
        dimension.
    axis : int, default -1
        The axis that softmax is taken along.
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
        If there is no such axis, or `out` is of another shape, read-only, or overlaps `x` in part.

    Notes
    -----
    With d the distances from the largest element and p their softmax, an element's error is at most
    ``eps * (16 + 4 * d + 2 * sum(p * d))``.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.log_softmax(np.array([1000.0, 0.0]))
    array([    0., -1000.])
    """
    return compute(log_softmax_operation, x, None, None, None, axis, 0, out)


def softmax_backward(grad, y, axis=-1, out=None):
    """Return the gradient of softmax's operand: y * (grad - sum(grad * y)) along an axis.

    Parameters
    ----------
    grad : array_like
        Gradient of softmax's result.
    y : array_like of the shape of `grad`
        The result of softmax.
    axis : int, default -1
        The axis that softmax was taken along.
    out : ndarray of the same shape, optional
        Where to put the result; may be `grad` or `y` itself.

    Returns
    -------
    ndarray of the shape of `grad`
        `out` if given.

    Raises
    ------
    TypeError
        If the result's dtype does not fit `out`.
    ValueError
        If there is no such axis, the shapes differ, or `out` is read-only or overlaps an operand in part.

    Notes
    -----
    An element's error is at most ``eps * abs(y) * (4 * abs(grad) + 16 * sum(abs(grad * y)))``.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.softmax_backward(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    array([ 0.25, -0.25])
    """
    return compute(softmax_backward_operation, grad, y, None, None, axis, 0, out)
