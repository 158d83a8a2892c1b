"""Fully connected layers as products: one with an epilogue, and the three that its gradients are."""

cimport numpy as np

from tensorops.activations import ACTIVATIONS as _ACTIVATIONS

from tensorops.kernels.gemm.batched cimport Stack, fold, multiply_stack
from tensorops.kernels.gemm.family cimport family_of, prepare
from tensorops.kernels.gemm.kernels cimport EPILOGUE_BIAS, EPILOGUE_NONE, EPILOGUE_RELU
from tensorops.kernels.gemm.plan cimport PACK_ALWAYS, PACK_AUTO, PACK_NEVER, Packing, Product
from tensorops.runtime.openmp cimport thread_limit

np.import_array()

cdef extern from *:
    """
    static const float tensorops_one_single = 1;
    static const double tensorops_one_double = 1;
    """
    const float tensorops_one_single
    const double tensorops_one_double

_PACKING = {"auto": PACK_AUTO, "never": PACK_NEVER, "always": PACK_ALWAYS}


cdef inline void matrix_at(np.ndarray x, int row, int column, Py_ssize_t *rs, Py_ssize_t *cs) noexcept:
    """Find the strides of two of an array's axes, in elements."""
    rs[0] = np.PyArray_STRIDES(x)[row] // np.PyArray_ITEMSIZE(x)
    cs[0] = np.PyArray_STRIDES(x)[column] // np.PyArray_ITEMSIZE(x)


cdef void describe_layer(
    np.ndarray x, np.ndarray weight, np.ndarray bias, np.ndarray out, int epilogue,
    Product *product, Stack *stack,
) noexcept:
    """Describe ``out = activation(x @ weight + bias)`` as a stack of products with one B, folded.

    The shapes fit; `bias` is contiguous or None.
    """
    cdef Py_ssize_t size = np.PyArray_ITEMSIZE(x)
    cdef int dims = np.PyArray_NDIM(x)
    cdef int d
    product.a = <const char *> np.PyArray_DATA(x)
    product.b = <const char *> np.PyArray_DATA(weight)
    product.c = <char *> np.PyArray_DATA(out)
    product.k = np.PyArray_DIMS(weight)[0]
    product.n = np.PyArray_DIMS(weight)[1]
    product.m = 1
    matrix_at(weight, 0, 1, &product.rs_b, &product.cs_b)
    matrix_at(x, max(dims - 2, 0), dims - 1, &product.rs_a, &product.cs_a)
    matrix_at(out, max(dims - 2, 0), dims - 1, &product.rs_c, &product.cs_c)
    if dims > 1:
        product.m = np.PyArray_DIMS(x)[dims - 2]
    else:
        product.rs_a = product.k
        product.rs_c = product.n
    product.accumulate = False
    product.epilogue = epilogue
    product.bias = NULL
    product.rs_bias = product.cs_bias = 0
    if bias is not None:
        product.bias = <const char *> np.PyArray_DATA(bias)
        product.cs_bias = 1
        if epilogue == EPILOGUE_NONE:
            product.epilogue = EPILOGUE_BIAS
    stack.dims = max(dims - 2, 0)
    for d in range(stack.dims):
        stack.shape[d] = np.PyArray_DIMS(x)[d]
        stack.a[d] = np.PyArray_STRIDES(x)[d] // size
        stack.b[d] = 0
        stack.c[d] = np.PyArray_STRIDES(out)[d] // size
    fold(product, stack)


cdef int run_layer(
    int itemsize, const Product *product, const Stack *stack, Packing packing, int threads,
) noexcept nogil:
    """Compute a layer; return -1 if there is no work memory."""
    return multiply_stack(family_of(itemsize), product, stack, packing, threads)


cdef void describe_backward(
    np.ndarray grad, np.ndarray x, np.ndarray weight, np.ndarray dx, np.ndarray dweight, np.ndarray dbias,
    Backward *backward,
) noexcept:
    """Describe a layer's gradients as products of matrices that are read turned where they lie.

    All are matrices whose shapes fit, `dbias` is a row or None.
    """
    cdef Product *inputs = &backward.products[0]
    cdef Product *weights = &backward.products[1]
    cdef Product *biases = &backward.products[2]
    cdef Py_ssize_t rows = np.PyArray_DIMS(x)[0]
    cdef Py_ssize_t k = np.PyArray_DIMS(weight)[0]
    cdef Py_ssize_t n = np.PyArray_DIMS(weight)[1]
    cdef int number
    inputs.m, inputs.k, inputs.n = rows, n, k
    inputs.a = <const char *> np.PyArray_DATA(grad)
    inputs.b = <const char *> np.PyArray_DATA(weight)
    inputs.c = <char *> np.PyArray_DATA(dx)
    matrix_at(grad, 0, 1, &inputs.rs_a, &inputs.cs_a)
    matrix_at(weight, 1, 0, &inputs.rs_b, &inputs.cs_b)
    matrix_at(dx, 0, 1, &inputs.rs_c, &inputs.cs_c)
    weights.m, weights.k, weights.n = k, rows, n
    weights.a = <const char *> np.PyArray_DATA(x)
    weights.b = <const char *> np.PyArray_DATA(grad)
    weights.c = <char *> np.PyArray_DATA(dweight)
    matrix_at(x, 1, 0, &weights.rs_a, &weights.cs_a)
    matrix_at(grad, 0, 1, &weights.rs_b, &weights.cs_b)
    matrix_at(dweight, 0, 1, &weights.rs_c, &weights.cs_c)
    backward.count = 2
    if dbias is not None:
        # The sum of grad's rows is a row of ones times grad: one number that is read with strides of 0.
        backward.count = 3
        biases[0] = weights[0]
        biases.m = 1
        biases.a = <const char *> &tensorops_one_single
        if np.PyArray_ITEMSIZE(grad) == 8:
            biases.a = <const char *> &tensorops_one_double
        biases.rs_a = biases.cs_a = 0
        biases.c = <char *> np.PyArray_DATA(dbias)
        biases.rs_c = n
        biases.cs_c = np.PyArray_STRIDES(dbias)[0] // np.PyArray_ITEMSIZE(dbias)
    for number in range(backward.count):
        backward.products[number].accumulate = False
        backward.products[number].epilogue = EPILOGUE_NONE
        backward.products[number].bias = NULL


cdef int run_backward(int itemsize, const Backward *backward, Packing packing, int threads) noexcept nogil:
    """Compute a layer's gradients; return -1 if there is no work memory."""
    cdef Stack stack
    cdef int number
    stack.dims = 0
    for number in range(backward.count):
        if multiply_stack(family_of(itemsize), &backward.products[number], &stack, packing, threads):
            return -1
    return 0


cdef int check(list arrays, tuple shapes, str meaning) except -1:
    """Raise an error unless the arrays are aligned, of one kernel's dtype and of these shapes."""
    found = tuple([array.shape for array in arrays])
    for array in arrays:
        if array.dtype.char not in "fd" or array.dtype != arrays[0].dtype or not array.dtype.isnative:
            raise TypeError(f"arrays must be of one dtype, float32 or float64, not {array.dtype}")
    if found != shapes or not all([array.flags.aligned for array in arrays]):
        raise ValueError(f"arrays must be aligned and have the shapes {meaning}, not {found}")
    return 0


cdef Packing packing_of(str pack) except *:
    if pack not in _PACKING:
        raise ValueError(f"pack must be one of {', '.join(_PACKING)}, not {pack!r}")
    return _PACKING[pack]


def linear_into(
    np.ndarray x not None, np.ndarray weight not None, np.ndarray bias, np.ndarray out not None,
    str activation=None, str pack not None="auto", int threads=0,
) -> None:
    """Compute ``out = activation(x @ weight + bias)`` with the kernels.

    Parameters
    ----------
    x : ndarray of shape (..., K), float32 or float64
        Input, any strides.
    weight : ndarray of shape (K, N), same dtype
        Weights, any strides.
    bias : ndarray of shape (N,), same dtype, or None
        Added to each row.
    out : ndarray of shape (..., N), same dtype
        The result; must not overlap an operand.
    activation : str, optional
        One of ``tensorops.activations.ACTIVATIONS``.
    pack : {"auto", "never", "always"}
        Whether panels of the operands are packed.
    threads : int, default 0
        At most so many; 0 for as many as the library may use.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or they differ.
    ValueError
        If shapes are not as above, or `activation` or `pack` is unknown.
    MemoryError
        If there is no work memory.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty((1, 2))
    >>> linear_into(np.ones((1, 3)), np.ones((3, 2)), np.array([1.0, -9.0]), out, "relu")
    >>> out
    array([[4., 0.]])
    """
    cdef Product product
    cdef Stack stack
    cdef int epilogue, status
    cdef int itemsize = <int> out.itemsize
    cdef Packing packing = packing_of(pack)
    if activation is not None and activation not in _ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(_ACTIVATIONS)}, not {activation!r}")
    if x.ndim < 1 or weight.ndim != 2:
        raise ValueError("x must have one dimension or more, and weight two")
    arrays = [x, weight, out] + ([] if bias is None else [bias])
    k, n = (<object> weight).shape
    *leading, _ = (<object> x).shape
    shapes = ((*leading, k), (k, n), (*leading, n), (n,))
    check(arrays, shapes[:len(arrays)], "(..., K), (K, N), (..., N) and (N,)")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    if bias is not None and not bias.flags.c_contiguous:
        bias = bias.copy()
    epilogue = EPILOGUE_NONE if activation is None else EPILOGUE_RELU + <int> _ACTIVATIONS.index(activation)
    prepare()
    describe_layer(x, weight, bias, out, epilogue, &product, &stack)
    if threads < 1:
        threads = thread_limit()
    with nogil:
        status = run_layer(itemsize, &product, &stack, packing, threads)
    if status:
        raise MemoryError("tensorops: no work memory for a layer")


def linear_backward_into(
    np.ndarray grad not None, np.ndarray x not None, np.ndarray weight not None, np.ndarray dx not None,
    np.ndarray dweight not None, np.ndarray dbias, str pack not None="auto", int threads=0,
) -> None:
    """Compute ``dx = grad @ weight.T``, ``dweight = x.T @ grad`` and ``dbias = grad.sum(axis=0)``.

    Parameters
    ----------
    grad : ndarray of shape (M, N), float32 or float64
        Gradient of the layer's result, any strides.
    x : ndarray of shape (M, K), same dtype
        The layer's input, any strides.
    weight : ndarray of shape (K, N), same dtype
        The layer's weights, any strides.
    dx, dweight : ndarray of shapes (M, K) and (K, N), same dtype
        Results; they must not overlap an operand.
    dbias : ndarray of shape (N,), same dtype, or None
        Result, where it is wanted.
    pack : {"auto", "never", "always"}
        Whether panels of the operands are packed.
    threads : int, default 0
        At most so many; 0 for as many as the library may use.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or they differ.
    ValueError
        If shapes are not as above, or `pack` is unknown.
    MemoryError
        If there is no work memory.

    Examples
    --------
    >>> import numpy as np
    >>> dx, dweight, dbias = np.empty((1, 2)), np.empty((2, 1)), np.empty(1)
    >>> linear_backward_into(np.ones((1, 1)), np.ones((1, 2)), np.eye(2, 1), dx, dweight, dbias)
    >>> dx, dbias
    (array([[1., 0.]]), array([1.]))
    """
    cdef Backward backward
    cdef int status
    cdef int itemsize = <int> grad.itemsize
    cdef Packing packing = packing_of(pack)
    if x.ndim != 2 or weight.ndim != 2:
        raise ValueError("x and weight must have two dimensions")
    arrays = [grad, x, weight, dx, dweight] + ([] if dbias is None else [dbias])
    m, (k, n) = len(x), (<object> weight).shape
    shapes = ((m, n), (m, k), (k, n), (m, k), (k, n), (n,))
    check(arrays, shapes[:len(arrays)], "(M, N), (M, K), (K, N), (M, K), (K, N) and (N,)")
    if not all([array.flags.writeable for array in arrays[3:]]):
        raise ValueError("a result is read-only")
    prepare()
    describe_backward(grad, x, weight, dx, dweight, dbias, &backward)
    if threads < 1:
        threads = thread_limit()
    with nogil:
        status = run_backward(itemsize, &backward, packing, threads)
    if status:
        raise MemoryError("tensorops: no work memory for a layer's gradients")
