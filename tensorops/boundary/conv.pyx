"""Convolutions as users call them, and their gradients."""

cimport numpy as np

import numpy

from tensorops.activations import ACTIVATIONS as _ACTIVATIONS
from tensorops.backends.provided import provide
from tensorops.backends.owners import apply_by_owner
from tensorops.boundary.arguments import Later, answers_for_itself, common_arrays, result_for
from tensorops.dispatch.active import active_backend
from tensorops.kernels.convolution.products import convolve, input_gradient, weight_gradient

from tensorops.boundary.paths cimport choose, compute_by, layout_of
from tensorops.dispatch cimport table
from tensorops.dispatch.table cimport PATH_BLOCKED, Decision
from tensorops.runtime cimport calls

np.import_array()

cdef object backward_dims = Later("tensorops.specs.convolution", "backward_dims")
cdef object convolution_dims = Later("tensorops.specs.convolution", "convolution_dims")
cdef object pair = Later("tensorops.specs.convolution", "pair")

# The number of a convolution with each activation in the dispatcher's table.
cdef dict CONVOLUTIONS = {
    name: table.operation_number("conv2d", (("activation", name),)) for name in (None, *_ACTIVATIONS)
}
cdef int BACKWARD = table.operation_number("conv2d_backward")


def conv2d(x, weight, bias=None, *, stride=1, padding=0, activation=None, out=None):
    """Return the convolution of images: ``activation(weight * x + bias)``, summed over channels and window.

    As in neural networks, the window is not mirrored: PyTorch's ``conv2d`` of one group.

    Parameters
    ----------
    x : array_like of shape (N, C, H, W)
        Images. float32 and float64 arrays are used in place, whatever their strides.
    weight : array_like of shape (O, C, kh, kw)
        A window of kh by kw taps for each output and channel.
    bias : array_like of shape (O,), optional
        Added to each output.
    stride : int or tuple of two int, default 1
        Rows and columns from one window to the next.
    padding : int or tuple of two int, default 0
        Rows and columns of zeros around each image.
    activation : {None, "relu", "gelu", "gelu_tanh", "gelu_sigmoid", "silu", "sigmoid", "tanh"}
        Applied to each element of the result; gelu with the approximation behind its name.
    out : ndarray of shape (N, O, OH, OW), optional
        Where to put the result; any strides.

    Returns
    -------
    ndarray of shape (N, O, OH, OW)
        `out` if given; ``OH = (H + 2 * padding - kh) // stride + 1``, OW alike. The dtype is the operands'
        common one.

    Raises
    ------
    TypeError
        If stride or padding are no whole numbers, or `out` is no array or cannot take the result's dtype.
    ValueError
        If the shapes do not fit each other, a stride is less than 1 or a padding negative, the window is
        larger than the padded images, `activation` is not known, or `out` has another shape, is read-only or
        overlaps an operand.
    MemoryError
        If there is no memory for the result or for the kernels' work; nothing is written.

    See Also
    --------
    tensorops.conv2d_backward : The gradients of a convolution without activation.

    Notes
    -----
    ``2*N*O*OH*OW*C*kh*kw`` flops: a product whose right matrix is never written down. Each strip of its
    columns is packed when it is needed, from a padded copy of a part of the image; work memory is bounded
    whatever the sizes. With eps of the dtype and K = C*kh*kw, the error of an element before the activation
    is at most ``(8 * sqrt(K) + 16) * eps`` times the sum of the terms' magnitudes; an activation enlarges it
    by a factor of 1.13 at most and adds its own. Operands of other dtypes, and subclasses of ndarray, go to
    NumPy. The interpreter lock is released. The same inputs, path and number of threads give the same bits.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> image = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> tensorops.conv2d(image, np.array([[[[1.0, -1.0]]]]), padding=(0, 1), activation="relu")[0, 0]
    array([[0., 0., 0., 2.],
           [0., 0., 0., 5.],
           [0., 0., 0., 8.]])
    """
    cdef Decision decision
    cdef tuple operands = (x, weight) if bias is None else (x, weight, bias)
    if activation is not None and activation not in _ACTIVATIONS:
        raise ValueError(
            f"conv2d: activation must be None or one of {', '.join(_ACTIVATIONS)}, not {activation!r}"
        )
    params = {"stride": stride, "padding": padding}
    if activation is not None:
        params["activation"] = activation
    foreign = any([answers_for_itself(operand) for operand in operands])
    if foreign or (out is not None and type(out) is not numpy.ndarray):
        result = apply_by_owner("conv2d", operands, params, out, active_backend())
        if result is not NotImplemented:
            return result
    if calls.to_be_told():
        return calls.told("conv2d", conv2d, operands, {**params, "out": out})
    if foreign:
        arrays, common = list(operands), numpy.result_type(*operands)
    else:
        arrays, common = common_arrays(operands)
    dims = convolution_dims("conv2d", [numpy.shape(array) for array in arrays], params)
    params["stride"] = pair("conv2d", "stride", stride, 1)
    params["padding"] = pair("conv2d", "padding", padding, 0)
    if foreign or common.char not in "fd":
        return by_numpy(tuple(arrays), params, dims.out, common, out)
    result = result_for("conv2d", out, dims.out, common, arrays)
    choose(
        CONVOLUTIONS[activation], common.itemsize, dims.outputs, dims.channels * dims.taps,
        dims.rows * dims.columns, dims.images, layout_of(arrays), &decision,
    )
    if decision.path == PATH_BLOCKED:
        by_kernel(arrays, result, decision.threads, **params)
    else:
        # As quiet as the kernels.
        with numpy.errstate(all="ignore"):
            compute_by(&decision, "conv2d", arrays, result, params, result is not out)
    if out is None or result is out:
        return result
    numpy.copyto(out, result, casting="same_kind")
    return out


def by_kernel(arrays, out, threads=0, *, stride=1, padding=0, activation=None) -> None:
    """Compute a convolution of arrays of one dtype by this library's kernels: see `conv2d`.

    Parameters
    ----------
    arrays : sequence of ndarray
        Images, weights and perhaps the bias.
    out : ndarray
        The result.
    threads : int, optional
        At most so many; 0 for as many as the library may use.
    stride, padding : int or tuple of two int, optional
        Vertical and horizontal.
    activation : str, optional
        One of ``tensorops.activations.ACTIVATIONS``.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty((1, 1, 1, 1))
    >>> by_kernel([np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2))], out)
    >>> out.item()
    4.0
    """
    stride = pair("conv2d", "stride", stride, 1)
    padding = pair("conv2d", "padding", padding, 0)
    x, weight, bias = arrays if len(arrays) > 2 else (*arrays, None)
    convolve(x, weight, bias, out, stride, padding, activation, threads)


def conv2d_backward(grad, x, weight, *, stride=1, padding=0, bias=True, need_dx=True):
    """Return the gradients of a convolution without activation.

    Parameters
    ----------
    grad : array_like of shape (N, O, OH, OW)
        Gradient of the convolution's result; behind an activation, that activation's backward comes first.
    x : array_like of shape (N, C, H, W)
        The images.
    weight : array_like of shape (O, C, kh, kw)
        The weights.
    stride : int or tuple of two int, default 1
        As in the call of `conv2d`.
    padding : int or tuple of two int, default 0
        As in the call of `conv2d`.
    bias : bool, default True
        Whether the gradient of the bias is wanted.
    need_dx : bool, default True
        Whether the gradient of the images is wanted; a network's first layer does without.

    Returns
    -------
    dx : ndarray of shape (N, C, H, W), or None
        Gradient of the images; None if `need_dx` is false.
    dweight : ndarray of shape (O, C, kh, kw)
        Gradient of the weights, over all images and windows.
    dbias : ndarray of shape (O,), or None
        The sum of `grad` over images and windows; None if `bias` is false.

    Raises
    ------
    TypeError
        If stride or padding are no whole numbers.
    ValueError
        If the shapes do not fit each other, a stride is less than 1 or a padding negative, or the window is
        larger than the padded images.
    MemoryError
        If there is no memory for the results or for the kernels' work.

    See Also
    --------
    tensorops.conv2d : The convolution.

    Notes
    -----
    ``4*N*O*OH*OW*C*kh*kw`` flops, half of them without `need_dx`. Both gradients are convolutions themselves,
    one for each phase of a stride, and computed by the same kernels: of `grad` with the mirrored weights, and
    of the images with `grad`. With eps of the dtype, the error is at most ``(8 * sqrt(L) + 16) * eps`` times
    the sum of the terms' magnitudes, L the number of terms: O*kh*kw for dx, N*OH*OW for dweight and dbias.
    Operands of other dtypes, and subclasses of ndarray, go to NumPy. The interpreter lock is released.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> image, taps = np.array([[[[1.0, 2.0, 3.0]]]]), np.array([[[[1.0, 10.0]]]])
    >>> dx, dweight, dbias = tensorops.conv2d_backward(np.array([[[[1.0, 2.0]]]]), image, taps)
    >>> dx.ravel().tolist(), dweight.ravel().tolist(), dbias.tolist()
    ([1.0, 12.0, 20.0], [5.0, 8.0], [3.0])
    """
    cdef Decision decision
    cdef tuple operands = (grad, x, weight)
    params = {"stride": stride, "padding": padding, "bias": bool(bias)}
    if not need_dx:
        params["need_dx"] = False
    foreign = any([answers_for_itself(operand) for operand in operands])
    if foreign:
        result = apply_by_owner("conv2d_backward", operands, params, None, active_backend())
        if result is not NotImplemented:
            return result
    if calls.to_be_told():
        return calls.told("conv2d_backward", conv2d_backward, operands, params)
    if foreign:
        arrays, common = list(operands), numpy.result_type(*operands)
    else:
        arrays, common = common_arrays(operands)
    dims = backward_dims([numpy.shape(array) for array in arrays], params)
    params["stride"] = pair("conv2d_backward", "stride", stride, 1)
    params["padding"] = pair("conv2d_backward", "padding", padding, 0)
    if foreign or common.char not in "fd":
        from tensorops.numpy_twins import convolution as numpy_twins

        return numpy_twins.conv2d_backward(*arrays, **params)
    results = (
        numpy.empty(arrays[1].shape, common) if need_dx else None,
        numpy.empty(arrays[2].shape, common),
        numpy.empty(dims.outputs, common) if bias else None,
    )
    choose(
        BACKWARD, common.itemsize, dims.outputs, dims.channels * dims.taps, dims.rows * dims.columns,
        dims.images, layout_of(arrays), &decision,
    )
    if decision.path == PATH_BLOCKED:
        backward_by_kernel(arrays, results, decision.threads, **params)
    else:
        with numpy.errstate(all="ignore"):
            compute_by(&decision, "conv2d_backward", arrays, results, params, True)
    return results


def backward_by_kernel(
    arrays, out, threads=0, *, stride=1, padding=0, bias=True, need_dx=True,
) -> None:
    """Compute gradients of arrays of one dtype by this library's kernels: see `conv2d_backward`.

    Parameters
    ----------
    arrays : sequence of ndarray
        Gradient, images and weights.
    out : tuple of ndarray
        The gradients; None for one that is not wanted.
    threads : int, optional
        At most so many; 0 for as many as the library may use.
    stride, padding : int or tuple of two int, optional
        Vertical and horizontal.
    bias, need_dx : bool, optional
        Whether the gradients of the bias and of the images are wanted.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((1, 1, 1, 1))
    >>> out = np.empty((1, 1, 1, 1)), np.empty((1, 1, 1, 1)), np.empty(1)
    >>> backward_by_kernel([one, 2 * one, 3 * one], out)
    >>> [part.item() for part in out]
    [3.0, 2.0, 1.0]
    """
    grad, x, weight = arrays
    dx, dweight, dbias = out
    stride = pair("conv2d_backward", "stride", stride, 1)
    padding = pair("conv2d_backward", "padding", padding, 0)
    if need_dx and dx is not None:
        input_gradient(grad, weight, dx, stride, padding, threads)
    weight_gradient(grad, x, dweight, stride, padding, threads)
    if bias and dbias is not None:
        with numpy.errstate(all="ignore"):
            numpy.sum(grad, axis=(0, 2, 3), out=dbias)


cdef object by_numpy(tuple operands, dict params, tuple shape, object common, object out):
    """Have NumPy compute other dtypes and subclasses; `out` is written when all else has succeeded."""
    if out is not None:
        result_for("conv2d", out, shape, common, [numpy.asarray(operand) for operand in operands])
    from tensorops.numpy_twins import convolution as numpy_twins

    result = numpy_twins.conv2d(*operands, **params)
    if out is None:
        return result
    numpy.copyto(out, result, casting="same_kind")
    return out


provide("conv2d", by_kernel)
provide("conv2d_backward", backward_by_kernel)
