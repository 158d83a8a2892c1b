"""The largest value of each window of images, and where it stood: what the layer ``MaxPool2d`` calls."""

cimport numpy as np

import numpy

from tensorops.kernels.elementwise.family cimport threads_for
from tensorops.runtime.openmp cimport run_parallel, thread_limit

np.import_array()

ctypedef fused real_t:
    float
    double


cdef struct Pool:
    Py_ssize_t planes          # images times channels
    Py_ssize_t high            # rows and columns of the results
    Py_ssize_t wide
    Py_ssize_t size            # rows and columns of a window
    Py_ssize_t row             # elements from one row of an image to the next
    Py_ssize_t plane           # elements of an image
    void *images
    void *results
    Py_ssize_t *places         # of each result, counted from the first element of its image
    int itemsize


cdef inline void find_in(
    const real_t *images, real_t *results, const Pool *pool, const Py_ssize_t size, Py_ssize_t first,
    Py_ssize_t last,
) noexcept nogil:
    cdef Py_ssize_t plane, y, x, i, j, corner, here, place, result
    cdef const real_t *image
    cdef bint better
    for plane in range(first, last):
        image = images + plane * pool.plane
        for y in range(pool.high):
            result = (plane * pool.high + y) * pool.wide
            for x in range(pool.wide):
                corner = (y * pool.row + x) * size
                place = corner
                for i in range(size):
                    for j in range(size):
                        here = corner + i * pool.row + j
                        # NaN is taken, and nothing is taken after it but NaN. No branch: it would be a guess.
                        better = (image[here] > image[place]) | (image[here] != image[here])
                        place += (here - place) * better
                pool.places[result + x] = place
                results[result + x] = image[place]


cdef void find(
    real_t *images, real_t *results, const Pool *pool, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """Compute the largest values of some planes; the usual size gets a loop of its own."""
    if pool.size == 2:
        find_in(images, results, pool, 2, first, last)
    else:
        find_in(images, results, pool, pool.size, first, last)


cdef void scatter(
    real_t *images, real_t *results, const Pool *pool, Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """Write gradients of results to where the results stood, in images of zeros."""
    cdef Py_ssize_t count = pool.high * pool.wide
    cdef Py_ssize_t plane, x
    for plane in range(first, last):
        for x in range(plane * count, (plane + 1) * count):
            images[plane * pool.plane + pool.places[x]] = results[x]


cdef void find_member(void *context, int thread, int threads) noexcept nogil:
    cdef const Pool *pool = <const Pool *> context
    cdef Py_ssize_t first = pool.planes * thread // threads
    cdef Py_ssize_t last = pool.planes * (thread + 1) // threads
    if pool.itemsize == 4:
        find[float](<float *> pool.images, <float *> pool.results, pool, first, last)
    else:
        find[double](<double *> pool.images, <double *> pool.results, pool, first, last)


cdef void scatter_member(void *context, int thread, int threads) noexcept nogil:
    cdef const Pool *pool = <const Pool *> context
    cdef Py_ssize_t first = pool.planes * thread // threads
    cdef Py_ssize_t last = pool.planes * (thread + 1) // threads
    if pool.itemsize == 4:
        scatter[float](<float *> pool.images, <float *> pool.results, pool, first, last)
    else:
        scatter[double](<double *> pool.images, <double *> pool.results, pool, first, last)


cdef int check(str name, np.ndarray array, int dims) except -1:
    if np.PyArray_TYPE(array) not in (np.NPY_FLOAT, np.NPY_DOUBLE):
        raise TypeError(f"{name} must be float32 or float64, not {(<object> array).dtype}")
    if np.PyArray_NDIM(array) != dims:
        raise ValueError(f"{name} must have {dims} axes, not the shape {(<object> array).shape}")
    return 0


cdef void describe(
    np.ndarray images, np.ndarray results, np.ndarray places, Py_ssize_t size, Pool *pool,
) noexcept:
    cdef const np.npy_intp *shape = np.PyArray_DIMS(images)
    pool.planes = shape[0] * shape[1]
    pool.row = shape[3]
    pool.plane = shape[2] * shape[3]
    pool.size = size
    pool.high = np.PyArray_DIMS(results)[2]
    pool.wide = np.PyArray_DIMS(results)[3]
    pool.images = np.PyArray_DATA(images)
    pool.results = np.PyArray_DATA(results)
    pool.places = <Py_ssize_t *> np.PyArray_DATA(places)
    pool.itemsize = <int> np.PyArray_ITEMSIZE(images)


def max_pool(x, Py_ssize_t size) -> tuple:
    """Return the largest value of each window of images, and where it stood.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
        float32 or float64.
    size : int
        Rows and columns of a window, at least 1; what does not fill a window is left out.

    Returns
    -------
    maxima : ndarray of shape (N, C, H // size, W // size)
        NaN where the window holds one.
    places : ndarray of intp, of the same shape
        Counted from the first element of each image; the first one of equals.

    Raises
    ------
    TypeError
        For another dtype.
    ValueError
        If `x` has not four axes, or `size` is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> maxima, places = max_pool(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    >>> maxima.ravel().tolist(), places.ravel().tolist()
    ([5.0, 7.0, 13.0, 15.0], [5, 7, 13, 15])
    """
    cdef np.ndarray images = numpy.ascontiguousarray(x)
    cdef Pool pool
    cdef int threads
    check("x", images, 4)
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    count, channels, high, wide = x.shape
    maxima = numpy.empty((count, channels, high // size, wide // size), images.dtype)
    places = numpy.empty(maxima.shape, numpy.intp)
    describe(images, maxima, places, size, &pool)
    threads = threads_for(np.PyArray_SIZE(images), thread_limit())
    with nogil:
        run_parallel(find_member, &pool, threads)
    return maxima, places


def max_pool_backward(grad, places, tuple shape) -> np.ndarray:
    """Return the gradient of the images of `max_pool`.

    Parameters
    ----------
    grad : ndarray of the shape of the maxima
        Their gradient; float32 or float64.
    places : ndarray of intp
        As `max_pool` returned them; they are not checked.
    shape : tuple of four int
        Of the images.

    Returns
    -------
    ndarray
        Zeros, but at the places of the maxima.

    Raises
    ------
    TypeError
        For another dtype.
    ValueError
        If `grad` has not the shape of `places`.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.array([[[[1.0, 3.0], [2.0, 0.0]]]])
    >>> max_pool_backward(np.array([[[[5.0]]]]), max_pool(image, 2)[1], image.shape)
    array([[[[0., 5.],
             [0., 0.]]]])
    """
    cdef np.ndarray gradients = numpy.ascontiguousarray(grad)
    cdef Pool pool
    cdef int threads
    check("grad", gradients, 4)
    if grad.shape != places.shape:
        raise ValueError(f"grad has shape {grad.shape}, the maxima had {places.shape}")
    result = numpy.zeros(shape, gradients.dtype)
    describe(result, gradients, places, 0, &pool)
    threads = threads_for(np.PyArray_SIZE(gradients), thread_limit())
    with nogil:
        run_parallel(scatter_member, &pool, threads)
    return result
