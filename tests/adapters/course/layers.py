import numpy as np

from tests.adapters.course.tensor import Tensor


def matmul(a, b):
    a_data, b_data = a.data, b.data
    m, n = a_data.shape
    n2, p = b_data.shape
    if n != n2:
        raise ValueError(f"cannot multiply {a_data.shape} and {b_data.shape}")
    result = np.zeros((m, p), dtype=a_data.dtype)
    for i in range(m):
        for j in range(p):
            for k in range(n):
                result[i, j] += a_data[i, k] * b_data[k, j]
    return Tensor(result)


class Linear:
    def __init__(self, input_size, output_size, use_bias=True):
        values = np.random.randn(input_size, output_size)  # noqa: NPY002 -- as such libraries do
        self.weights = Tensor(values * 0.1)
        self.bias = Tensor(np.zeros(output_size)) if use_bias else None

    def forward(self, x):
        result = matmul(x, self.weights)
        if self.bias is not None:
            result = result + self.bias
        return result
