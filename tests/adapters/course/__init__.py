"""A small tensor library as a course writes one: loops, `.data`, explicit backward closures."""

from tests.adapters.course import activations, autograd, layers, tensor

__all__ = ["activations", "autograd", "layers", "tensor"]
