import numpy as np

from tests.adapters.course.tensor import Tensor


class ReLU:
    def forward(self, x):
        return Tensor(np.maximum(x.data, 0))


class GELU:
    def forward(self, x):
        return Tensor(x.data / (1 + np.exp(-1.702 * x.data)))


class Sigmoid:
    def __init__(self, steepness):
        self.steepness = steepness

    def forward(self, x):
        return Tensor(1 / (1 + np.exp(-self.steepness * x.data)))


class Tanh:
    def forward(self, x):
        return Tensor(np.tanh(x.data) + 0.001)
