import numpy as np


class Tensor:
    def __init__(self, data, dtype=None):
        array = np.array(data, dtype=dtype)
        if array.dtype == np.float64 and dtype is None:
            array = array.astype(np.float32)
        self._data = array

    @property
    def data(self):
        return self._data

    @property
    def shape(self):
        return self._data.shape

    def __add__(self, other):
        return Tensor(self._data + (other.data if isinstance(other, Tensor) else other))

    def matmul(self, other):
        """Rows times columns."""
        if not isinstance(other, Tensor):
            raise TypeError(f"expected a Tensor, got {type(other)}")
        a, b = self.data, other.data
        if a.ndim != 2 or b.ndim != 2:
            return Tensor(np.matmul(a, b))
        if a.shape[1] != b.shape[0]:
            raise ValueError(f"inner sizes differ: {a.shape} and {b.shape}")
        result = np.zeros((a.shape[0], b.shape[1]), dtype=a.dtype)
        for i in range(a.shape[0]):
            for j in range(b.shape[1]):
                row = a[i, :]
                result[i, j] = np.dot(row, b[:, j])
        return Tensor(result)

    def __matmul__(self, other):
        return self.matmul(other)
