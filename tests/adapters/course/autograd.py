import numpy as np

from tests.adapters.course.layers import matmul as product
from tests.adapters.course.tensor import Tensor


class Variable:
    def __init__(self, data, requires_grad=True, backward=None):
        self.data = data if isinstance(data, Tensor) else Tensor(data)
        self.requires_grad = requires_grad
        self.grad = None
        self.backward_function = backward

    def backward(self, grad=None):
        grad = np.ones(self.data.shape, np.float32) if grad is None else grad
        self.grad = grad if self.grad is None else self.grad + grad
        if self.backward_function is not None:
            self.backward_function(grad)


def matmul(a, b):
    result = product(a.data, b.data)

    def backward(grad):
        x, w = a.data.data, b.data.data
        if a.requires_grad:
            a.backward(grad @ w.T)
        if b.requires_grad:
            total = np.zeros_like(w)
            rows, columns = w.shape
            for i in range(rows):
                for k in range(len(x)):
                    x_ki = x[k, i]
                    for j in range(columns):
                        total[i, j] = total[i, j] + x_ki * grad[k, j]
            b.backward(total)

    return Variable(result, backward=backward)


def counted(function):
    calls = []

    def wrapper(*arguments):
        calls.append(function.__name__)
        return function(*arguments)

    wrapper.calls = calls
    return wrapper


squared = counted(lambda a: product(a, a))
