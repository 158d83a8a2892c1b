# Written by ``python -m tensorops.boundary.generate`` from ``elementwise_table.py``.

cdef Operation relu_operation = Operation("relu", 0, 1, False, False, (), '')


def relu(x, /, out=None):
    """Return max(x, 0), element by element.

    Parameters
    ----------
    x : array_like
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray or scalar
        `out` if given.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `out` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    1 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.relu(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(relu_operation, x, None, None, out, 0, 0)


cdef Operation relu__operation = Operation("relu_", 0, 1, True, False, (), '')


def relu_(x, /):
    """Change `x` to max(x, 0), element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    1 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.relu_(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(relu__operation, x, None, None, x, 0, 0)


cdef Operation leaky_relu_operation = Operation("leaky_relu", 1, 1, False, False, ('slope',), '')


def leaky_relu(x, /, out=None, *, slope=0.01):
    """Return x where x > 0, else slope * x, element by element.

    Parameters
    ----------
    x : array_like
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    out : ndarray, optional
        Where to put the result; may be `x` itself.
    slope : float, default 0.01
        See above.

    Returns
    -------
    ndarray or scalar
        `out` if given.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `out` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    1 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.leaky_relu(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(leaky_relu_operation, x, None, None, out, slope, 0)


cdef Operation leaky_relu__operation = Operation("leaky_relu_", 1, 1, True, False, ('slope',), '')


def leaky_relu_(x, /, *, slope=0.01):
    """Change `x` to x where x > 0, else slope * x, element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    slope : float, default 0.01
        See above.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    1 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.leaky_relu_(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(leaky_relu__operation, x, None, None, x, slope, 0)


cdef Operation elu_operation = Operation("elu", 2, 1, False, False, ('alpha',), '')


def elu(x, /, out=None, *, alpha=1.0):
    """Return x where x > 0, else alpha * (exp(x) - 1), element by element.

    Parameters
    ----------
    x : array_like
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    out : ndarray, optional
        Where to put the result; may be `x` itself.
    alpha : float, default 1.0
        See above.

    Returns
    -------
    ndarray or scalar
        `out` if given.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `out` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    20 flops an element, one pass. An element's error is at most 4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.elu(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(elu_operation, x, None, None, out, alpha, 0)


cdef Operation elu__operation = Operation("elu_", 2, 1, True, False, ('alpha',), '')


def elu_(x, /, *, alpha=1.0):
    """Change `x` to x where x > 0, else alpha * (exp(x) - 1), element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    alpha : float, default 1.0
        See above.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    20 flops an element, one pass. An element's error is at most 4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.elu_(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(elu__operation, x, None, None, x, alpha, 0)


cdef Operation sigmoid_operation = Operation("sigmoid", 3, 1, False, False, (), '')


def sigmoid(x, /, out=None):
    """Return 1 / (1 + exp(-x)), element by element.

    Parameters
    ----------
    x : array_like
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray or scalar
        `out` if given.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `out` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    20 flops an element, one pass. An element's error is at most 4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.sigmoid(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(sigmoid_operation, x, None, None, out, 0, 0)


cdef Operation sigmoid__operation = Operation("sigmoid_", 3, 1, True, False, (), '')


def sigmoid_(x, /):
    """Change `x` to 1 / (1 + exp(-x)), element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    20 flops an element, one pass. An element's error is at most 4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.sigmoid_(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(sigmoid__operation, x, None, None, x, 0, 0)


cdef Operation tanh_operation = Operation("tanh", 4, 1, False, True, (), '')


def tanh(x, /, out=None):
    """Return the hyperbolic tangent of x, element by element.

    Parameters
    ----------
    x : array_like
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray or scalar
        `out` if given.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `out` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    20 flops an element, one pass. An element's error is at most 4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.tanh(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(tanh_operation, x, None, None, out, 0, 0)


cdef Operation tanh__operation = Operation("tanh_", 4, 1, True, True, (), '')


def tanh_(x, /):
    """Change `x` to the hyperbolic tangent of x, element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    20 flops an element, one pass. An element's error is at most 4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.tanh_(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(tanh__operation, x, None, None, x, 0, 0)


cdef dict gelu_forms = {
    "none": Operation("gelu", 5, 1, False, False, (), 'none'),
    "tanh": Operation("gelu", 6, 1, False, False, (), 'tanh'),
    "sigmoid": Operation("gelu", 7, 1, False, False, (), 'sigmoid'),
}


def gelu(x, /, out=None, *, approximate="none"):
    """Return x times the normal distribution function of x, element by element.

    Parameters
    ----------
    x : array_like
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    out : ndarray, optional
        Where to put the result; may be `x` itself.
    approximate : {"none", "tanh", "sigmoid"}
        The exact function, ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))``, or
        ``x / (1 + exp(-1.702 x))``.

    Returns
    -------
    ndarray or scalar
        `out` if given.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `out` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    30 flops an element, one pass. An element's error is at most
    ``4 * eps * max(abs(result), 2**-10 * abs(x))``.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.gelu(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(chosen("gelu", gelu_forms, approximate), x, None, None, out, 0, 0)


cdef dict gelu__forms = {
    "none": Operation("gelu_", 5, 1, True, False, (), 'none'),
    "tanh": Operation("gelu_", 6, 1, True, False, (), 'tanh'),
    "sigmoid": Operation("gelu_", 7, 1, True, False, (), 'sigmoid'),
}


def gelu_(x, /, *, approximate="none"):
    """Change `x` to x times the normal distribution function of x, element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    approximate : {"none", "tanh", "sigmoid"}
        The exact function, ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))``, or
        ``x / (1 + exp(-1.702 x))``.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    30 flops an element, one pass. An element's error is at most
    ``4 * eps * max(abs(result), 2**-10 * abs(x))``.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.gelu_(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(chosen("gelu_", gelu__forms, approximate), x, None, None, x, 0, 0)


cdef Operation silu_operation = Operation("silu", 8, 1, False, False, (), '')


def silu(x, /, out=None):
    """Return x / (1 + exp(-x)), element by element.

    Parameters
    ----------
    x : array_like
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray or scalar
        `out` if given.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `out` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    20 flops an element, one pass. An element's error is at most 4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.silu(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(silu_operation, x, None, None, out, 0, 0)


cdef Operation silu__operation = Operation("silu_", 8, 1, True, False, (), '')


def silu_(x, /):
    """Change `x` to x / (1 + exp(-x)), element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    20 flops an element, one pass. An element's error is at most 4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.silu_(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(silu__operation, x, None, None, x, 0, 0)


cdef Operation softplus_operation = Operation("softplus", 9, 1, False, False, (), '')


def softplus(x, /, out=None):
    """Return log(1 + exp(x)), element by element.

    Parameters
    ----------
    x : array_like
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray or scalar
        `out` if given.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `out` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    30 flops an element, one pass. An element's error is at most 4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.softplus(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(softplus_operation, x, None, None, out, 0, 0)


cdef Operation softplus__operation = Operation("softplus_", 9, 1, True, False, (), '')


def softplus_(x, /):
    """Change `x` to log(1 + exp(x)), element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    30 flops an element, one pass. An element's error is at most 4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.softplus_(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(softplus__operation, x, None, None, x, 0, 0)


cdef Operation exp_operation = Operation("exp", 10, 1, False, True, (), '')


def exp(x, /, out=None):
    """Return the exponential of x, element by element.

    Parameters
    ----------
    x : array_like
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray or scalar
        `out` if given.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `out` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    15 flops an element, one pass. An element's error is at most 4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.exp(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(exp_operation, x, None, None, out, 0, 0)


cdef Operation exp__operation = Operation("exp_", 10, 1, True, True, (), '')


def exp_(x, /):
    """Change `x` to the exponential of x, element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    15 flops an element, one pass. An element's error is at most 4 ulp.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.exp_(np.array([0.0, 2.0])).shape
    (2,)
    """
    return compute(exp__operation, x, None, None, x, 0, 0)


cdef Operation clip_operation = Operation("clip", 11, 1, False, True, ('low', 'high'), '')


def clip(x, /, low, high, out=None):
    """Return x, but not below low nor above high, element by element.

    Parameters
    ----------
    x : array_like
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    low : float
        See above.
    high : float
        See above.
    out : ndarray, optional
        Where to put the result; may be `x` itself.

    Returns
    -------
    ndarray or scalar
        `out` if given.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `out` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    2 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.clip(np.array([0.0, 2.0]), 1.0, 1.0).shape
    (2,)
    """
    return compute(clip_operation, x, None, None, out, low, high)


cdef Operation clip__operation = Operation("clip_", 11, 1, True, True, ('low', 'high'), '')


def clip_(x, /, low, high):
    """Change `x` to x, but not below low nor above high, element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    low : float
        See above.
    high : float
        See above.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    2 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.clip_(np.array([0.0, 2.0]), 1.0, 1.0).shape
    (2,)
    """
    return compute(clip__operation, x, None, None, x, low, high)


cdef Operation add__operation = Operation("add_", 12, 2, True, True, (), '')


def add_(x, y, /):
    """Change `x` to x + y, element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    y : array_like
        Any shape that broadcasts to that of `x`.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    1 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.add_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(add__operation, x, y, None, x, 0, 0)


cdef Operation sub__operation = Operation("sub_", 13, 2, True, True, (), '')


def sub_(x, y, /):
    """Change `x` to x - y, element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    y : array_like
        Any shape that broadcasts to that of `x`.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    1 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.sub_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(sub__operation, x, y, None, x, 0, 0)


cdef Operation mul__operation = Operation("mul_", 14, 2, True, True, (), '')


def mul_(x, y, /):
    """Change `x` to x * y, element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    y : array_like
        Any shape that broadcasts to that of `x`.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    1 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.mul_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(mul__operation, x, y, None, x, 0, 0)


cdef Operation div__operation = Operation("div_", 15, 2, True, True, (), '')


def div_(x, y, /):
    """Change `x` to x / y, element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    y : array_like
        Any shape that broadcasts to that of `x`.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    1 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.div_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(div__operation, x, y, None, x, 0, 0)


cdef Operation maximum__operation = Operation("maximum_", 16, 2, True, True, (), '')


def maximum_(x, y, /):
    """Change `x` to the larger of x and y, element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    y : array_like
        Any shape that broadcasts to that of `x`.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    1 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.maximum_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(maximum__operation, x, y, None, x, 0, 0)


cdef Operation minimum__operation = Operation("minimum_", 17, 2, True, True, (), '')


def minimum_(x, y, /):
    """Change `x` to the smaller of x and y, element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    y : array_like
        Any shape that broadcasts to that of `x`.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    1 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.minimum_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(minimum__operation, x, y, None, x, 0, 0)


cdef Operation axpy__operation = Operation("axpy_", 18, 2, True, False, ('alpha',), '')


def axpy_(y, x, /, alpha):
    """Change `y` to y + alpha * x, element by element.

    Parameters
    ----------
    y : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    x : array_like
        Any shape that broadcasts to that of `y`.
    alpha : float
        See above.

    Returns
    -------
    ndarray
        `y`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `y` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    2 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.axpy_(np.array([0.0, 2.0]), np.array([1.0, 1.0]), 1.0).shape
    (2,)
    """
    return compute(axpy__operation, y, x, None, y, alpha, 0)


cdef Operation scale_shift__operation = Operation("scale_shift_", 19, 3, True, False, (), '')


def scale_shift_(x, scale, shift, /):
    """Change `x` to x * scale + shift, element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    scale : array_like
        Any shape that broadcasts to that of `x`.
    shift : array_like
        Any shape that broadcasts to that of `x`.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    2 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.scale_shift_(np.array([0.0, 2.0]), np.array([1.0, 1.0]), np.array([0.5, 0.5])).shape
    (2,)
    """
    return compute(scale_shift__operation, x, scale, shift, x, 0, 0)


cdef Operation bias_add__operation = Operation("bias_add_", 12, 2, True, True, (), '')


def bias_add_(x, b, /):
    """Change `x` to x + b, element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    b : array_like
        Any shape that broadcasts to that of `x`.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    1 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.bias_add_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(bias_add__operation, x, b, None, x, 0, 0)


cdef Operation bias_relu__operation = Operation("bias_relu_", 20, 2, True, False, (), '')


def bias_relu_(x, b, /):
    """Change `x` to max(x + b, 0), element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    b : array_like
        Any shape that broadcasts to that of `x`.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    2 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.bias_relu_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(bias_relu__operation, x, b, None, x, 0, 0)


cdef dict bias_gelu__forms = {
    "none": Operation("bias_gelu_", 21, 2, True, False, (), 'none'),
    "tanh": Operation("bias_gelu_", 22, 2, True, False, (), 'tanh'),
    "sigmoid": Operation("bias_gelu_", 23, 2, True, False, (), 'sigmoid'),
}


def bias_gelu_(x, b, /, *, approximate="none"):
    """Change `x` to gelu(x + b), element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    b : array_like
        Any shape that broadcasts to that of `x`.
    approximate : {"none", "tanh", "sigmoid"}
        The exact function, ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))``, or
        ``x / (1 + exp(-1.702 x))``.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    31 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.bias_gelu_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(chosen("bias_gelu_", bias_gelu__forms, approximate), x, b, None, x, 0, 0)


cdef Operation add_relu__operation = Operation("add_relu_", 20, 2, True, False, (), '')


def add_relu_(x, y, /):
    """Change `x` to max(x + y, 0), element by element.

    Parameters
    ----------
    x : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    y : array_like
        Any shape that broadcasts to that of `x`.

    Returns
    -------
    ndarray
        `x`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `x` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    2 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.add_relu_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(add_relu__operation, x, y, None, x, 0, 0)


cdef Operation relu_backward__operation = Operation("relu_backward_", 24, 2, True, False, (), '')


def relu_backward_(grad, y, /):
    """Change `grad` to grad where the result y of relu is positive, else 0, element by element.

    Parameters
    ----------
    grad : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    y : array_like
        Any shape that broadcasts to that of `grad`.

    Returns
    -------
    ndarray
        `grad`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `grad` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    1 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.relu_backward_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(relu_backward__operation, grad, y, None, grad, 0, 0)


cdef dict gelu_backward__forms = {
    "none": Operation("gelu_backward_", 25, 2, True, False, (), 'none'),
    "tanh": Operation("gelu_backward_", 26, 2, True, False, (), 'tanh'),
    "sigmoid": Operation("gelu_backward_", 27, 2, True, False, (), 'sigmoid'),
}


def gelu_backward_(grad, x, /, *, approximate="none"):
    """Change `grad` to grad times the derivative of gelu at x, element by element.

    Parameters
    ----------
    grad : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    x : array_like
        Any shape that broadcasts to that of `grad`.
    approximate : {"none", "tanh", "sigmoid"}
        The exact function, ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))``, or
        ``x / (1 + exp(-1.702 x))``.

    Returns
    -------
    ndarray
        `grad`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `grad` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    40 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.gelu_backward_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(chosen("gelu_backward_", gelu_backward__forms, approximate), grad, x, None, grad, 0, 0)


cdef Operation sigmoid_backward__operation = Operation("sigmoid_backward_", 28, 2, True, False, (), '')


def sigmoid_backward_(grad, y, /):
    """Change `grad` to grad * y * (1 - y), y the result of sigmoid, element by element.

    Parameters
    ----------
    grad : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    y : array_like
        Any shape that broadcasts to that of `grad`.

    Returns
    -------
    ndarray
        `grad`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `grad` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    3 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.sigmoid_backward_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(sigmoid_backward__operation, grad, y, None, grad, 0, 0)


cdef Operation tanh_backward__operation = Operation("tanh_backward_", 29, 2, True, False, (), '')


def tanh_backward_(grad, y, /):
    """Change `grad` to grad * (1 - y * y), y the result of tanh, element by element.

    Parameters
    ----------
    grad : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    y : array_like
        Any shape that broadcasts to that of `grad`.

    Returns
    -------
    ndarray
        `grad`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `grad` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    3 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.tanh_backward_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(tanh_backward__operation, grad, y, None, grad, 0, 0)


cdef Operation silu_backward__operation = Operation("silu_backward_", 30, 2, True, False, (), '')


def silu_backward_(grad, x, /):
    """Change `grad` to grad times the derivative of silu at x, element by element.

    Parameters
    ----------
    grad : ndarray
        Array of float32 or float64, of any strides; changed and returned.
    x : array_like
        Any shape that broadcasts to that of `grad`.

    Returns
    -------
    ndarray
        `grad`.

    Raises
    ------
    TypeError
        If the result's dtype does not fit the array that is written.
    ValueError
        If the shapes do not fit, `grad` is read-only, or operands overlap it
        in another way than NumPy has a meaning for.

    Notes
    -----
    30 flops an element, one pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.silu_backward_(np.array([0.0, 2.0]), np.array([1.0, 1.0])).shape
    (2,)
    """
    return compute(silu_backward__operation, grad, x, None, grad, 0, 0)
