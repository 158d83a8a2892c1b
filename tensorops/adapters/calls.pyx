"""What a library's products call once they are replaced; compiled, since its matrices are small."""

cimport numpy as np

import numpy

from tensorops.boundary.products import matmul

np.import_array()


cdef inline bint is_matrix(object x) noexcept:
    return np.PyArray_CheckExact(x) and np.PyArray_NDIM(<np.ndarray> x) == 2


cdef inline bint has_shape(np.ndarray x, bint transposed, Py_ssize_t rows, Py_ssize_t columns) noexcept:
    cdef Py_ssize_t first = np.PyArray_DIMS(x)[0]
    cdef Py_ssize_t second = np.PyArray_DIMS(x)[1]
    return second == rows and first == columns if transposed else first == rows and second == columns


cdef bint fits(
    object left, object right, Py_ssize_t m, Py_ssize_t n, object k,
    bint left_transposed, bint right_transposed,
) except -1:
    """Tell whether the loops run over the whole of both matrices."""
    cdef Py_ssize_t depth
    if not is_matrix(left) or not is_matrix(right):
        return False
    depth = np.PyArray_DIMS(<np.ndarray> left)[0 if left_transposed else 1]
    if k is not None and <Py_ssize_t> k != depth:
        return False
    return has_shape(<np.ndarray> left, left_transposed, m, depth) and has_shape(
        <np.ndarray> right, right_transposed, depth, n
    )


def operator(a, b):
    """Return ``a @ b``, computed here where both are arrays; tensors go to their own operator.

    Parameters
    ----------
    a, b : object
        The operands.

    Returns
    -------
    object
        Their product.

    Examples
    --------
    >>> import numpy as np
    >>> operator(np.ones((2, 3)), np.ones(3))
    array([3., 3.])
    """
    if np.PyArray_CheckExact(a) and np.PyArray_CheckExact(b):
        return matmul(a, b)
    return a @ b


def fresh(left, right, m, n, k, bint left_transposed, bint right_transposed, shape, dtype=float):
    """Compute what nested loops add to new zeros, where they run over whole matrices.

    Parameters
    ----------
    left, right : object
        What the loops read.
    m, n, k : int
        Their bounds; `k` None where they multiply whole rows and columns.
    left_transposed, right_transposed : bool
        Whether they read the operand transposed.
    shape, dtype : object
        The arguments of ``numpy.zeros``.

    Returns
    -------
    ndarray or None
        The product; None where the loops have to run.

    Examples
    --------
    >>> import numpy as np
    >>> fresh(np.ones((1, 3)), np.ones((3, 2)), 1, 2, 3, False, False, (1, 2))
    array([[3., 3.]])
    >>> fresh([[1.0]], [[1.0]], 1, 1, 1, False, False, (1, 1)) is None
    True
    """
    if not fits(left, right, m, n, k, left_transposed, right_transposed) or shape != (m, n):
        return None
    if left.dtype is not dtype or right.dtype is not dtype:
        wanted = numpy.dtype(dtype)
        if left.dtype != wanted or right.dtype != wanted:
            result = numpy.zeros(shape, dtype)
            if not loops(result, left, right, m, n, k, False, left_transposed, right_transposed):
                return None
            return result
    return matmul(left.T if left_transposed else left, right.T if right_transposed else right)


def loops(
    result, left, right, m, n, k, bint accumulate, bint left_transposed, bint right_transposed,
) -> bool:
    """Compute what nested loops compute, where they run over whole matrices.

    Parameters
    ----------
    result, left, right : object
        What the loops write and read.
    m, n, k : int
        Their bounds; `k` None where they multiply whole rows and columns.
    accumulate : bool
        Whether the loops add to `result`.
    left_transposed, right_transposed : bool
        Whether they read the operand transposed.

    Returns
    -------
    bool
        False where the loops have to run: other containers, parts of matrices, sizes that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> result = np.ones((1, 2))
    >>> loops(result, np.ones((1, 3)), np.ones((3, 2)), 1, 2, 3, True, False, False)
    True
    >>> result
    array([[4., 4.]])
    """
    if not fits(left, right, m, n, k, left_transposed, right_transposed):
        return False
    if not is_matrix(result) or not has_shape(<np.ndarray> result, False, m, n):
        return False
    left = left.T if left_transposed else left
    right = right.T if right_transposed else right
    if not accumulate:
        if result.dtype == left.dtype == right.dtype:
            matmul(left, right, out=result)
        else:
            result[...] = matmul(left, right)
        return True
    if not numpy.can_cast(numpy.result_type(left, right), result.dtype, "same_kind"):
        return False
    if result.dtype.kind == "f":
        # The loops' sums have the result's precision.
        left = left.astype(numpy.promote_types(left.dtype, result.dtype), copy=False)
    result += matmul(left, right)
    return True
