"""Steps of optimizers as users call them: one pass over parameters, gradient and state, in place."""

cimport numpy as np

import numpy

from tensorops.backends.provided import provide

from tensorops.boundary.arrays cimport apart, check_writeable, overlaps, plain, same_shape, plain, same_shape
from tensorops.boundary.paths cimport LAYOUT_C, choose, compute_by, layout_of
from tensorops.dispatch cimport table
from tensorops.dispatch.table cimport PATH_BLOCKED, Decision
from tensorops.kernels.optim.family cimport ADAM, NUMBERS, SGD, run_step
from tensorops.runtime cimport calls

np.import_array()


cdef class StepOperation:
    """What the boundary needs to know of one optimizer's step."""

    cdef str name
    cdef int number           # in the dispatcher's table
    cdef int step             # of the kernels
    cdef bint decoupled       # whether weights decay by themselves

    def __init__(self, name, step, decoupled=False):
        self.name = name
        self.step = step
        self.decoupled = decoupled
        self.number = table.operation_number(name)
        provide(name, self.kernel)

    def kernel(self, arrays, out, int threads=0, **params) -> None:
        """Compute by this library's kernels: what ``BlockedBackend`` runs."""
        compute(self, tuple(arrays), params, threads)


cdef void numbers_of_sgd(
    double *numbers, double lr, double momentum, double weight_decay, bint nesterov,
) noexcept:
    numbers[0] = lr
    numbers[1] = momentum
    numbers[2] = weight_decay
    numbers[3] = nesterov


cdef void numbers_of_adam(
    double *numbers, bint decoupled, double step, double lr, double beta1, double beta2, double eps,
    double weight_decay,
) noexcept:
    numbers[0] = lr / (1 - beta1 ** step)
    numbers[1] = 1 - beta1
    numbers[2] = beta2
    numbers[3] = 1 - beta2
    numbers[4] = 1 / (1 - beta2 ** step) ** 0.5
    numbers[5] = eps
    numbers[6] = 0 if decoupled else weight_decay
    numbers[7] = 1 - lr * weight_decay if decoupled else 1


cdef int compute(StepOperation operation, tuple arrays, dict params, int threads) except -1:
    """Compute operands of one dtype and shape, checked, by the kernels."""
    cdef double numbers[NUMBERS]
    if operation.step == SGD:
        numbers_of_sgd(
            numbers, params["lr"], params["momentum"], params["weight_decay"], params["nesterov"],
        )
    else:
        numbers_of_adam(
            numbers, operation.decoupled, params["step"], params["lr"], params["beta1"], params["beta2"],
            params["eps"], params["weight_decay"],
        )
    return compute_with(operation, arrays, numbers, threads)


cdef int compute_with(
    StepOperation operation, tuple arrays, const double *numbers, int threads,
) except -1:
    if operation.step == ADAM:
        return run_step(ADAM, (arrays[1], arrays[2], arrays[3], arrays[0]), numbers, threads)
    # Without momentum no velocity is touched.
    velocity = arrays[2] if len(arrays) > 2 and numbers[1] != 0 else arrays[0]
    return run_step(SGD, (arrays[1], velocity, velocity, arrays[0]), numbers, threads)


cdef bint done_at_once(StepOperation operation, tuple operands, const double *numbers) except -1:
    """Compute contiguous arrays that are apart; tell of all others, right or wrong, that it was not done."""
    cdef Decision decision
    cdef int k, j
    cdef np.ndarray first, array
    cdef int dtype
    if calls.detours or not np.PyArray_CheckExact(operands[0]):
        return False
    first = <np.ndarray> operands[0]
    dtype = np.PyArray_TYPE(first)
    if (dtype != np.NPY_FLOAT and dtype != np.NPY_DOUBLE) or np.PyArray_SIZE(first) == 0:
        return False
    for k in range(len(operands)):
        if not plain(operands[k], dtype):
            return False
        array = <np.ndarray> operands[k]
        if not same_shape(first, array) or (k != 1 and not np.PyArray_ISWRITEABLE(array)):
            return False
        for j in range(k):
            if share(<np.ndarray> operands[j], array):
                return False
    choose(
        operation.number, np.PyArray_ITEMSIZE(first), np.PyArray_SIZE(first), 1, 1, 1, LAYOUT_C, &decision,
    )
    if decision.path != PATH_BLOCKED:
        return False
    compute_with(operation, operands, numbers, decision.threads)
    return True


cdef tuple checked(StepOperation operation, tuple operands, tuple names):
    """Return the operands as arrays, or raise an error: all but the second are changed."""
    cdef list arrays = []
    cdef int k, j
    for k in range(len(operands)):
        x = operands[k]
        if isinstance(x, numpy.ma.MaskedArray) or (k != 1 and not isinstance(x, numpy.ndarray)):
            raise TypeError(f"{operation.name}: {names[k]} must be an array, not {type(x).__name__}")
        arrays.append(numpy.asarray(x))
    first = arrays[0]
    for k in range(len(arrays)):
        if arrays[k].shape != first.shape:
            raise ValueError(
                f"{operation.name}: {names[k]} of shape {arrays[k].shape} does not fit {names[0]} of shape "
                f"{first.shape}"
            )
        if arrays[k].dtype != first.dtype or arrays[k].dtype.kind != "f":
            raise TypeError(
                f"{operation.name}: {names[k]} of {arrays[k].dtype} beside {names[0]} of {first.dtype}: all "
                "must be of one floating-point dtype"
            )
        if k != 1:
            check_writeable(operation.name, arrays[k])
        for j in range(k):
            if first.size and share(arrays[j], arrays[k]):
                raise ValueError(f"{operation.name}: {names[k]} overlaps {names[j]}")
    return tuple(arrays)


cdef bint share(np.ndarray x, np.ndarray y):
    if np.PyArray_DATA(x) == np.PyArray_DATA(y):
        return True
    if np.PyArray_ISCONTIGUOUS(x) and np.PyArray_ISCONTIGUOUS(y):
        return not apart(x, y)
    return overlaps(x, y)


cdef int check_number(str name, str what, double value, double end=numpy.inf) except -1:
    if not 0 <= value or value >= end:
        limit = "" if end == numpy.inf else f", and below {end:g}"
        raise ValueError(f"{name}: {what}={value} must not be negative{limit}")
    return 0


cdef object change(StepOperation operation, tuple operands, tuple names, dict params):
    """Check everything, then compute by the chosen path."""
    cdef Decision decision
    cdef tuple arrays
    if calls.detours and calls.to_be_told():
        return calls.told(operation.name, globals()[operation.name], operands, params)
    arrays = checked(operation, operands, names)
    first = arrays[0]
    changed = (first, *arrays[2:])
    ready = first.dtype.isnative and all([x.flags.behaved for x in changed])
    if first.dtype.char not in "fd" or not ready:
        from tensorops.operations import OPERATIONS

        OPERATIONS[operation.name].numpy_function()(*arrays, out=changed, **params)
        return operands[0]
    if not arrays[1].flags.aligned:
        arrays = (first, numpy.require(arrays[1], first.dtype, "A"), *arrays[2:])
    if first.size:
        choose(
            operation.number, first.itemsize, first.size, 1, 1, 1, layout_of(list(arrays)), &decision,
        )
        if decision.path == PATH_BLOCKED:
            compute(operation, arrays, params, decision.threads)
        else:
            compute_by(&decision, operation.name, list(arrays), changed, params, False)
    return operands[0]


cdef StepOperation sgd_operation = StepOperation("sgd_step_", SGD)
cdef StepOperation adam_operation = StepOperation("adam_step_", ADAM)
cdef StepOperation adamw_operation = StepOperation("adamw_step_", ADAM, decoupled=True)


def sgd_step_(p, g, velocity=None, *, lr, momentum=0, weight_decay=0, nesterov=False):
    """Change `p`, and `velocity`, by a step of gradient descent as PyTorch defines it.

    Parameters
    ----------
    p : ndarray
        Parameters, of any strides; changed and returned.
    g : array_like of the shape and dtype of `p`
        Their gradient.
    velocity : ndarray of the shape and dtype of `p`, optional
        Needed with momentum, zeros before the first step; changed.
    lr : float
        Learning rate.
    momentum : float, default 0
        What is kept of the velocity.
    weight_decay : float, default 0
        Factor of `p` that is added to the gradient.
    nesterov : bool, default False
        Whether the step looks ahead along the velocity.

    Returns
    -------
    ndarray
        `p`.

    Raises
    ------
    TypeError
        If an operand is no array or the dtypes differ.
    ValueError
        If shapes differ, an array to be changed is read-only or overlaps another one, the velocity is
        missing, or a number is negative. Nothing is changed then.

    Notes
    -----
    One pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> p, velocity = np.array([1.0, 2.0]), np.zeros(2)
    >>> tensorops.sgd_step_(p, np.array([1.0, -1.0]), lr=0.5, momentum=0.9, velocity=velocity)
    array([0.5, 2.5])
    >>> velocity
    array([ 1., -1.])
    """
    cdef double numbers[NUMBERS]
    check_number("sgd_step_", "lr", lr)
    check_number("sgd_step_", "momentum", momentum)
    check_number("sgd_step_", "weight_decay", weight_decay)
    if momentum and velocity is None:
        raise ValueError("sgd_step_: momentum needs a velocity: an array of zeros before the first step")
    if nesterov and not momentum:
        raise ValueError("sgd_step_: nesterov=True needs a momentum")
    operands = (p, g) if velocity is None else (p, g, velocity)
    numbers_of_sgd(numbers, lr, momentum, weight_decay, bool(nesterov))
    if done_at_once(sgd_operation, operands, numbers):
        return p
    return change(
        sgd_operation, operands, ("p", "g", "velocity"),
        {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": bool(nesterov)},
    )


cdef object adam(
    StepOperation operation, object p, object g, object m, object v, object step, double lr, double beta1,
    double beta2, double eps, double weight_decay,
):
    cdef double numbers[NUMBERS]
    name = operation.name
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise TypeError(f"{name}: step must be a whole number, not {type(step).__name__}")
    if step < 1:
        raise ValueError(f"{name}: step={step} must be at least 1")
    check_number(name, "lr", lr)
    check_number(name, "eps", eps)
    check_number(name, "weight_decay", weight_decay)
    check_number(name, "beta1", beta1, 1)
    check_number(name, "beta2", beta2, 1)
    operands = (p, g, m, v)
    numbers_of_adam(numbers, operation.decoupled, step, lr, beta1, beta2, eps, weight_decay)
    if done_at_once(operation, operands, numbers):
        return p
    return change(
        operation, operands, ("p", "g", "m", "v"),
        {
            "step": int(step), "lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps,
            "weight_decay": weight_decay,
        },
    )


def adam_step_(p, g, m, v, *, step, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0):
    """Change `p` and both moments by a step of Adam as PyTorch defines it.

    Parameters
    ----------
    p : ndarray
        Parameters, of any strides; changed and returned.
    g : array_like of the shape and dtype of `p`
        Their gradient.
    m : ndarray of the shape and dtype of `p`
        First moment, zeros before the first step; changed.
    v : ndarray of the shape and dtype of `p`
        Second moment, zeros before the first step; changed.
    step : int
        Number of this step, from 1.
    lr : float, default 1e-3
        Learning rate.
    beta1 : float, default 0.9
        What is kept of the first moment.
    beta2 : float, default 0.999
        What is kept of the second moment.
    eps : float, default 1e-8
        Added to the root of the second moment.
    weight_decay : float, default 0
        Factor of `p` that is added to the gradient.

    Returns
    -------
    ndarray
        `p`.

    Raises
    ------
    TypeError
        If an operand is no array, the dtypes differ, or `step` is no whole number.
    ValueError
        If shapes differ, an array to be changed is read-only or overlaps another one, `step` is below 1, or
        another number is out of its range. Nothing is changed then.

    Notes
    -----
    One pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> p, m, v = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
    >>> tensorops.adam_step_(p, np.array([5.0, -0.1]), m, v, step=1, lr=0.5).round(6)
    array([0.5, 2.5])
    """
    return adam(adam_operation, p, g, m, v, step, lr, beta1, beta2, eps, weight_decay)


def adamw_step_(p, g, m, v, *, step, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0):
    """Change `p` and both moments by a step of AdamW as PyTorch defines it.

    Parameters
    ----------
    p : ndarray
        Parameters, of any strides; changed and returned.
    g : array_like of the shape and dtype of `p`
        Their gradient.
    m : ndarray of the shape and dtype of `p`
        First moment, zeros before the first step; changed.
    v : ndarray of the shape and dtype of `p`
        Second moment, zeros before the first step; changed.
    step : int
        Number of this step, from 1.
    lr : float, default 1e-3
        Learning rate.
    beta1 : float, default 0.9
        What is kept of the first moment.
    beta2 : float, default 0.999
        What is kept of the second moment.
    eps : float, default 1e-8
        Added to the root of the second moment.
    weight_decay : float, default 0
        Times `lr`, the share by which `p` shrinks before the step.

    Returns
    -------
    ndarray
        `p`.

    Raises
    ------
    TypeError
        If an operand is no array, the dtypes differ, or `step` is no whole number.
    ValueError
        If shapes differ, an array to be changed is read-only or overlaps another one, `step` is below 1, or
        another number is out of its range. Nothing is changed then.

    Notes
    -----
    One pass. The error bound stands in the registry.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> p, m, v = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
    >>> tensorops.adamw_step_(p, np.array([5.0, -0.1]), m, v, step=1, lr=0.5, weight_decay=0.5).round(6)
    array([0.25, 2.  ])
    """
    return adam(adamw_operation, p, g, m, v, step, lr, beta1, beta2, eps, weight_decay)
