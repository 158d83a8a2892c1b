"""Matrix product, one idea per function: what the course walks up before the packed kernels.

Every function computes ``c = a @ b`` on typed memoryviews, on one thread, with the interpreter lock
released, and does the same 2*M*N*K flops. Only the order of memory accesses differs.
"""

ctypedef fused real_t:
    float
    double


cdef int check(
    Py_ssize_t m, Py_ssize_t k, Py_ssize_t k2, Py_ssize_t n, Py_ssize_t rows, Py_ssize_t columns,
) except -1:
    if k != k2:
        raise ValueError(f"shapes ({m}, {k}) and ({k2}, {n}) do not match: {k} is not {k2}")
    if m != rows or n != columns:
        raise ValueError(f"the result has shape ({rows}, {columns}), expected ({m}, {n})")
    return 0


def naive(const real_t[:, :] a, const real_t[:, :] b, real_t[:, :] c):
    """Multiply by the definition: one dot product for each element of the result (i, j, k).

    The innermost loop walks down a column of `b`: in C order each step lands on another cache line.

    Parameters
    ----------
    a : ndarray of shape (M, K), float32 or float64
        Left operand.
    b : ndarray of shape (K, N), same dtype
        Right operand.
    c : ndarray of shape (M, N), same dtype
        Overwritten with the product; must not overlap an operand.

    Raises
    ------
    ValueError
        If the shapes do not match, or the dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> c = np.empty((2, 2))
    >>> naive(np.array([[1.0, 2.0], [3.0, 4.0]]), np.eye(2), c)
    >>> c
    array([[1., 2.],
           [3., 4.]])
    """
    cdef Py_ssize_t m = a.shape[0]
    cdef Py_ssize_t k = a.shape[1]
    cdef Py_ssize_t n = b.shape[1]
    cdef Py_ssize_t i, j, p
    cdef real_t total
    check(m, k, b.shape[0], n, c.shape[0], c.shape[1])
    with nogil:
        for i in range(m):
            for j in range(n):
                total = 0
                for p in range(k):
                    total = total + a[i, p] * b[p, j]
                c[i, j] = total


def reordered(const real_t[:, :] a, const real_t[:, ::1] b, real_t[:, ::1] c):
    """Multiply with the two inner loops exchanged: a row of `c` gathers scaled rows of `b` (i, k, j).

    In C order the innermost loop walks along `b` and `c`: a cache line serves all of its elements,
    and neighbours can be computed in one vector instruction.

    Parameters
    ----------
    a : ndarray of shape (M, K), float32 or float64
        Left operand.
    b : ndarray of shape (K, N), same dtype
        Right operand, C-contiguous.
    c : ndarray of shape (M, N), same dtype
        Overwritten with the product; C-contiguous, must not overlap an operand.

    Raises
    ------
    ValueError
        If the shapes do not match, the dtypes differ, or `b` or `c` is not C-contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> c = np.empty((2, 2))
    >>> reordered(np.array([[1.0, 2.0], [3.0, 4.0]]), np.eye(2), c)
    >>> c
    array([[1., 2.],
           [3., 4.]])
    """
    cdef Py_ssize_t m = a.shape[0]
    cdef Py_ssize_t k = a.shape[1]
    cdef Py_ssize_t n = b.shape[1]
    cdef Py_ssize_t i, j, p
    cdef real_t factor
    check(m, k, b.shape[0], n, c.shape[0], c.shape[1])
    with nogil:
        for i in range(m):
            for j in range(n):
                c[i, j] = 0
            for p in range(k):
                factor = a[i, p]
                for j in range(n):
                    c[i, j] = c[i, j] + factor * b[p, j]


def blocked(const real_t[:, :] a, const real_t[:, ::1] b, real_t[:, ::1] c, Py_ssize_t block=64):
    """Multiply with one block of `b` at a time, which all rows of `a` use while it is in the cache.

    The loops inside are those of `reordered`; nothing is copied.

    Parameters
    ----------
    a : ndarray of shape (M, K), float32 or float64
        Left operand.
    b : ndarray of shape (K, N), same dtype
        Right operand, C-contiguous.
    c : ndarray of shape (M, N), same dtype
        Overwritten with the product; C-contiguous, must not overlap an operand.
    block : int, default 64
        Rows of a block of `b`; it is eight times as wide, so that the innermost loop stays long. The
        default, 64 x 512, takes 128 KiB in float32.

    Raises
    ------
    ValueError
        If the shapes do not match, the dtypes differ, `b` or `c` is not C-contiguous, or `block` is
        less than 1.

    References
    ----------
    Lam, Rothberg, Wolf, "The Cache Performance and Optimizations of Blocked Algorithms", ASPLOS 1991.

    Examples
    --------
    >>> import numpy as np
    >>> c = np.empty((2, 2))
    >>> blocked(np.array([[1.0, 2.0], [3.0, 4.0]]), np.eye(2), c, block=1)
    >>> c
    array([[1., 2.],
           [3., 4.]])
    """
    cdef Py_ssize_t m = a.shape[0]
    cdef Py_ssize_t k = a.shape[1]
    cdef Py_ssize_t n = b.shape[1]
    cdef Py_ssize_t i, j, p, first_j, first_p, last_j, last_p
    cdef real_t factor
    check(m, k, b.shape[0], n, c.shape[0], c.shape[1])
    if block < 1:
        raise ValueError(f"block must be at least 1, not {block}")
    with nogil:
        for i in range(m):
            for j in range(n):
                c[i, j] = 0
        for first_p from 0 <= first_p < k by block:
            last_p = min(first_p + block, k)
            for first_j from 0 <= first_j < n by 8 * block:
                last_j = min(first_j + 8 * block, n)
                for i in range(m):
                    for p in range(first_p, last_p):
                        factor = a[i, p]
                        for j in range(first_j, last_j):
                            c[i, j] = c[i, j] + factor * b[p, j]
