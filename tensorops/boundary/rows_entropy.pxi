cdef RowOperation cross_entropy_operation = RowOperation("cross_entropy", CROSS_ENTROPY)
cdef RowOperation cross_entropy_backward_operation = RowOperation(
    "cross_entropy_backward", CROSS_ENTROPY_BACKWARD,
)


cdef inline bint in_range(np.ndarray labels, Py_ssize_t classes) noexcept nogil:
    """Tell whether contiguous int64 labels are all numbers of classes."""
    cdef const int64_t *label = <const int64_t *> np.PyArray_DATA(labels)
    cdef Py_ssize_t i
    cdef bint good = True
    for i in range(np.PyArray_SIZE(labels)):
        good &= 0 <= label[i] < classes
    return good


cdef object checked_labels(RowOperation operation, object logits, object targets):
    """Return the labels as int64, or raise an error."""
    if logits.ndim == 0 or targets.shape != logits.shape[:logits.ndim - 1]:
        raise ValueError(
            f"{operation.name}: targets of shape {targets.shape} do not fit logits of shape {logits.shape}: "
            "one label a row"
        )
    if targets.dtype.kind not in "iu":
        raise TypeError(f"{operation.name}: targets must be whole numbers, not {targets.dtype}")
    classes = logits.shape[logits.ndim - 1]
    chosen = numpy.require(targets, numpy.int64, "CA")
    if in_range(<np.ndarray> chosen, classes):
        return chosen
    wrong = (targets < 0) | (targets >= classes)
    if wrong.any():
        raise ValueError(
            f"{operation.name}: label {targets[wrong].flat[0]} is not one of the {classes} classes, 0 to "
            f"{classes - 1}"
        )
    return chosen


cdef object entropy(RowOperation operation, object logits, object targets, object out):
    """Compute the loss, or its gradient."""
    cdef Decision decision
    cdef Lines lines
    cdef double total = 0
    cdef np.ndarray x, labels, gradient
    cdef Py_ssize_t rows, columns
    cdef int last
    cdef bint loss = operation.kind == CROSS_ENTROPY
    if calls.detours and calls.to_be_told():
        return told(operation, logits, targets, None, None, -1, 0, out)
    if (
        out is None and (plain(logits, np.NPY_FLOAT) or plain(logits, np.NPY_DOUBLE))
        and plain(targets, np.NPY_INT64) and np.PyArray_SIZE(<np.ndarray> logits) > 0
        and np.PyArray_NDIM(<np.ndarray> logits) == 2 and np.PyArray_NDIM(<np.ndarray> targets) == 1
    ):
        x = <np.ndarray> logits
        labels = <np.ndarray> targets
        rows = np.PyArray_DIMS(x)[0]
        columns = np.PyArray_DIMS(x)[1]
        if np.PyArray_DIMS(labels)[0] == rows and in_range(labels, columns):
            choose(operation.number, np.PyArray_ITEMSIZE(x), rows, columns, 1, 1, LAYOUT_C, &decision)
            if decision.path == PATH_BLOCKED:
                memset(&lines, 0, sizeof(lines))
                lines.total = &total
                lines.number = 1.0 / rows
                gradient = x if loss else np.PyArray_EMPTY(2, np.PyArray_DIMS(x), np.PyArray_TYPE(x), 0)
                run_rows(operation.kind, x, labels, gradient, 1, &lines, decision.threads)
                return total / rows if loss else gradient
    operands = (logits, targets)
    if not loss:
        check_out(operation.name, out)
    if any([foreign(operand) for operand in (*operands, out) if operand is not None]):
        owned = apply_by_owner(operation.name, operands, {}, out, active_backend())
        return by_numpy(operation, operands, {}, out) if owned is NotImplemented else owned
    given = numpy.asarray(logits)
    chosen = checked_labels(operation, given, numpy.asarray(targets))
    if out is not None:
        if out.shape != given.shape:
            raise ValueError(
                f"{operation.name}: the gradient of logits of shape {given.shape} does not fit an array of "
                f"shape {out.shape}"
            )
        check_writeable(operation.name, out)
        if overlaps(chosen, out):
            raise ValueError(f"{operation.name}: the targets overlap the array to be written")
    if given.dtype.char not in "fd":
        found = by_numpy(operation, (given, chosen), {}, out)
        return float(found) if loss else found
    arrays = [numpy.require(given, given.dtype.newbyteorder("="), "A"), chosen]
    result = numpy.full((), numpy.nan) if loss else result_for(operation, arrays[:1], 1, out)
    if given.size:
        columns = given.shape[given.ndim - 1]
        choose(
            operation.number, given.itemsize, given.size // columns, columns, 1, 1, layout_of(arrays[:1]),
            &decision,
        )
        if decision.path == PATH_BLOCKED:
            run_arrays(operation, arrays, [result], -1, 0, decision.threads)
        else:
            compute_by(&decision, operation.name, arrays, result, {}, result is not out)
    if loss:
        return float(result)
    if out is None or result is out:
        return result
    numpy.copyto(out, result)
    return out


def cross_entropy(logits, targets):
    """Return the mean over the rows of -log(softmax(logits)) at each row's label.

    Parameters
    ----------
    logits : array_like of shape (..., classes)
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    targets : array_like of shape (...)
        The number of each row's class, whole numbers.

    Returns
    -------
    float
        The mean loss; NaN where there is no row.

    Raises
    ------
    TypeError
        If the targets are not whole numbers.
    ValueError
        If the shapes do not fit, or a label is not the number of a class.

    Notes
    -----
    The losses are added up in float64. With d the distances from a row's largest logit and p its softmax,
    the error is at most ``eps * (16 + 2 * mean(sum(p * d)) + 2 * abs(loss))``.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> round(tensorops.cross_entropy(np.zeros((2, 4)), np.array([0, 3])), 6)
    1.386294
    """
    return entropy(cross_entropy_operation, logits, targets, None)


def cross_entropy_backward(logits, targets, out=None):
    """Return the gradient of the mean cross entropy for the logits.

    Parameters
    ----------
    logits : array_like of shape (..., classes)
        Arrays of float32 and float64 are used without a copy, whatever their strides.
    targets : array_like of shape (...)
        The number of each row's class, whole numbers.
    out : ndarray of the shape of `logits`, optional
        Where to put the result; may be `logits` itself.

    Returns
    -------
    ndarray of the shape of `logits`
        Softmax, less 1 at each row's label, over the number of rows; `out` if given.

    Raises
    ------
    TypeError
        If the targets are not whole numbers, or the result's dtype does not fit `out`.
    ValueError
        If the shapes do not fit, a label is not the number of a class, or `out` is read-only or overlaps an
        operand in part.

    Notes
    -----
    An element's error is that of `softmax`, at the label ``2 * eps`` more, over the number of rows.

    Examples
    --------
    >>> import numpy as np
    >>> import tensorops
    >>> tensorops.cross_entropy_backward(np.zeros((2, 2)), np.array([0, 1]))
    array([[-0.25,  0.25],
           [ 0.25, -0.25]])
    """
    return entropy(cross_entropy_backward_operation, logits, targets, out)
