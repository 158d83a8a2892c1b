# Written by ``python -m tensorops.boundary.generate`` from ``elementwise_table.py``.

cdef void sweep_relu(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_relu, n, x, y, z, out, p)


cdef void sweep_leaky_relu(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_leaky_relu, n, x, y, z, out, p)


cdef void sweep_elu(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_elu, n, x, y, z, out, p)


cdef void sweep_sigmoid(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_sigmoid, n, x, y, z, out, p)


cdef void sweep_tanh(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_tanh, n, x, y, z, out, p)


cdef void sweep_gelu_none(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_gelu_none, n, x, y, z, out, p)


cdef void sweep_gelu_tanh(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_gelu_tanh, n, x, y, z, out, p)


cdef void sweep_gelu_sigmoid(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_gelu_sigmoid, n, x, y, z, out, p)


cdef void sweep_silu(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_silu, n, x, y, z, out, p)


cdef void sweep_softplus(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_softplus, n, x, y, z, out, p)


cdef void sweep_exp(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_exp, n, x, y, z, out, p)


cdef void sweep_clip(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_clip, n, x, y, z, out, p)


cdef void sweep_add(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_add, n, x, y, z, out, p)


cdef void sweep_sub(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_sub, n, x, y, z, out, p)


cdef void sweep_mul(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_mul, n, x, y, z, out, p)


cdef void sweep_div(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_div, n, x, y, z, out, p)


cdef void sweep_maximum(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_maximum, n, x, y, z, out, p)


cdef void sweep_minimum(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_minimum, n, x, y, z, out, p)


cdef void sweep_axpy(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_axpy, n, x, y, z, out, p)


cdef void sweep_scale_shift(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_scale_shift, n, x, y, z, out, p)


cdef void sweep_add_relu(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_add_relu, n, x, y, z, out, p)


cdef void sweep_bias_gelu_none(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_bias_gelu_none, n, x, y, z, out, p)


cdef void sweep_bias_gelu_tanh(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_bias_gelu_tanh, n, x, y, z, out, p)


cdef void sweep_bias_gelu_sigmoid(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_bias_gelu_sigmoid, n, x, y, z, out, p)


cdef void sweep_relu_backward(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_relu_backward, n, x, y, z, out, p)


cdef void sweep_gelu_none_backward(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_gelu_none_backward, n, x, y, z, out, p)


cdef void sweep_gelu_tanh_backward(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_gelu_tanh_backward, n, x, y, z, out, p)


cdef void sweep_gelu_sigmoid_backward(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_gelu_sigmoid_backward, n, x, y, z, out, p)


cdef void sweep_sigmoid_backward(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_sigmoid_backward, n, x, y, z, out, p)


cdef void sweep_tanh_backward(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_tanh_backward, n, x, y, z, out, p)


cdef void sweep_silu_backward(
    Py_ssize_t n, const void *x, const void *y, const void *z, void *out, const double *p,
) noexcept nogil:
    sweep(formula_silu_backward, n, x, y, z, out, p)


table.sweeps[0] = sweep_relu
table.sweeps[1] = sweep_leaky_relu
table.sweeps[2] = sweep_elu
table.sweeps[3] = sweep_sigmoid
table.sweeps[4] = sweep_tanh
table.sweeps[5] = sweep_gelu_none
table.sweeps[6] = sweep_gelu_tanh
table.sweeps[7] = sweep_gelu_sigmoid
table.sweeps[8] = sweep_silu
table.sweeps[9] = sweep_softplus
table.sweeps[10] = sweep_exp
table.sweeps[11] = sweep_clip
table.sweeps[12] = sweep_add
table.sweeps[13] = sweep_sub
table.sweeps[14] = sweep_mul
table.sweeps[15] = sweep_div
table.sweeps[16] = sweep_maximum
table.sweeps[17] = sweep_minimum
table.sweeps[18] = sweep_axpy
table.sweeps[19] = sweep_scale_shift
table.sweeps[20] = sweep_add_relu
table.sweeps[21] = sweep_bias_gelu_none
table.sweeps[22] = sweep_bias_gelu_tanh
table.sweeps[23] = sweep_bias_gelu_sigmoid
table.sweeps[24] = sweep_relu_backward
table.sweeps[25] = sweep_gelu_none_backward
table.sweeps[26] = sweep_gelu_tanh_backward
table.sweeps[27] = sweep_gelu_sigmoid_backward
table.sweeps[28] = sweep_sigmoid_backward
table.sweeps[29] = sweep_tanh_backward
table.sweeps[30] = sweep_silu_backward
table.count = 31
