"""Convolutions of ready-made arrays: what the boundary and the backends call."""

import numpy

from tensorops.kernels.convolution.loops cimport run_convolution
from tensorops.kernels.convolution.plan cimport Convolution
from tensorops.kernels.elementwise cimport family as elementwise_family
from tensorops.kernels.gemm cimport family as gemm_family
from tensorops.runtime.openmp cimport thread_limit

from tensorops.activations import operation_of

# Of the elementwise table, which is read when the first activation is asked for.
cdef object formulas = None
cdef double NO_PARAMETERS[2]
NO_PARAMETERS[0] = NO_PARAMETERS[1] = 0


cdef int formula_of(str activation) except -1:
    name, params = operation_of(activation)
    if name == "gelu":
        name = "gelu_" + params.get("approximate", "none")
    global formulas
    if formulas is None:
        from tensorops.elementwise_table import FORMULAS

        formulas = FORMULAS
    return formulas.index(name)


cdef size_t address(object array) except? 0:
    return array.__array_interface__["data"][0]


def convolve(x, weight, bias, out, stride, padding, activation=None, int threads=0) -> None:
    """Compute a convolution of arrays of one dtype into `out`; nothing is checked.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
        float32 or float64, of any strides.
    weight : ndarray of shape (O, C, kh, kw)
        Of the same dtype.
    bias : ndarray of shape (O,), or None
        Of the same dtype.
    out : ndarray of shape (N, O, OH, OW)
        Of the same dtype; must not overlap an operand.
    stride, padding : tuple of two int
        Vertical and horizontal.
    activation : str, optional
        One of ``tensorops.activations.ACTIVATIONS``.
    threads : int
        At most so many; 0 for as many as the library may use.

    Raises
    ------
    MemoryError
        If there is no work memory; nothing is written.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty((1, 1, 1, 1))
    >>> convolve(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)), None, out, (1, 1), (0, 0))
    >>> out.item()
    4.0
    """
    cdef Convolution c
    cdef Py_ssize_t size = out.itemsize
    cdef int status
    if out.size == 0:
        return
    if x.shape[1] == 0:
        # No channel: one of zeros gives the same, and a product has no depth of 0.
        x = numpy.broadcast_to(numpy.zeros((), out.dtype), (x.shape[0], 1, *x.shape[2:]))
        weight = numpy.broadcast_to(numpy.zeros((), out.dtype), (weight.shape[0], 1, *weight.shape[2:]))
    gemm_family.prepare()
    c.kernels = gemm_family.family_of(size).kernels
    c.window.itemsize = size
    c.images, c.channels, c.window.height, c.window.width = x.shape
    c.outputs, c.rows, c.columns = out.shape[1:]
    c.window.taps_h, c.window.taps_w = weight.shape[2:]
    c.window.step_h, c.window.step_w = stride
    c.window.origin_h, c.window.origin_w = padding
    c.x_image, c.window.channel, c.window.row, c.window.column = [step // size for step in x.strides]
    c.w_output, c.w_channel, c.w_row, c.w_column = [step // size for step in weight.strides]
    c.y_image, c.y_output, c.y_row, c.y_column = [step // size for step in out.strides]
    c.x = <const char *> address(x)
    c.w = <const char *> address(weight)
    c.y = <char *> address(out)
    c.bias = NULL
    c.bias_step = 0
    if bias is not None:
        c.bias = <const char *> address(bias)
        c.bias_step = bias.strides[0] // size
    c.activation = NULL
    c.parameters = NO_PARAMETERS
    if activation is not None:
        elementwise_family.prepare()
        c.activation = elementwise_family.sweep_of(formula_of(activation), size)
    threads = min(threads, thread_limit()) if threads > 0 else thread_limit()
    with nogil:
        status = run_convolution(&c, threads)
    if status:
        raise MemoryError(f"conv2d: no work memory for operands of shapes {x.shape} and {weight.shape}")


def input_gradient(grad, weight, out, stride, padding, int threads=0) -> None:
    """Compute the gradient of a convolution by its images into `out`; nothing is checked.

    Rows of an image that are a stride apart are seen by the same taps. With these, mirrored, their gradient
    is a convolution of the result's: one for each phase.

    Parameters
    ----------
    grad : ndarray of shape (N, O, OH, OW)
        float32 or float64, of any strides.
    weight : ndarray of shape (O, C, kh, kw)
        Of the same dtype.
    out : ndarray of shape (N, C, H, W)
        Of the same dtype; must not overlap an operand.
    stride, padding : tuple of two int
        Of the convolution.
    threads : int
        At most so many; 0 for as many as the library may use.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty((1, 1, 1, 3))
    >>> input_gradient(np.array([[[[1.0, 2.0]]]]), np.array([[[[1.0, 10.0]]]]), out, (1, 1), (0, 0))
    >>> out.ravel().tolist()
    [1.0, 12.0, 20.0]
    """
    for rows in range(stride[0]):
        first_row = -((rows - padding[0]) // stride[0])
        for columns in range(stride[1]):
            first_column = -((columns - padding[1]) // stride[1])
            part = out[
                :, :, stride[0] * first_row + rows - padding[0]::stride[0],
                stride[1] * first_column + columns - padding[1]::stride[1],
            ]
            taps = weight[:, :, rows::stride[0], columns::stride[1]]
            if taps.size == 0 or grad.size == 0:
                part[...] = 0
                continue
            before = (taps.shape[2] - 1 - first_row, taps.shape[3] - 1 - first_column)
            convolve(
                grad, taps[:, :, ::-1, ::-1].transpose(1, 0, 2, 3), None, part, (1, 1), before, None, threads
            )


def weight_gradient(grad, x, out, stride, padding, int threads=0) -> None:
    """Compute the gradient of a convolution by its weights into `out`; nothing is checked.

    It is a convolution too, with images for channels and the gradient for weights, whose result is as large
    as the window: one for each phase of the taps.

    Parameters
    ----------
    grad : ndarray of shape (N, O, OH, OW)
        float32 or float64, of any strides.
    x : ndarray of shape (N, C, H, W)
        Of the same dtype.
    out : ndarray of shape (O, C, kh, kw)
        Of the same dtype; must not overlap an operand.
    stride, padding : tuple of two int
        Of the convolution.
    threads : int
        At most so many; 0 for as many as the library may use.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty((1, 1, 1, 2))
    >>> weight_gradient(np.array([[[[1.0, 2.0]]]]), np.array([[[[1.0, 2.0, 3.0]]]]), out, (1, 1), (0, 0))
    >>> out.ravel().tolist()
    [5.0, 8.0]
    """
    if grad.size == 0:
        out[...] = 0
        return
    turned, images = grad.transpose(1, 0, 2, 3), x.transpose(1, 0, 2, 3)
    for row in range(min(stride[0], out.shape[2])):
        rows = images[:, :, (row - padding[0]) % stride[0]::stride[0]]
        for column in range(min(stride[1], out.shape[3])):
            seen = rows[:, :, :, (column - padding[1]) % stride[1]::stride[1]]
            part = out[:, :, row::stride[0], column::stride[1]].transpose(1, 0, 2, 3)
            before = (-((row - padding[0]) // stride[0]), -((column - padding[1]) // stride[1]))
            convolve(seen, turned, None, part, (1, 1), before, None, threads)
