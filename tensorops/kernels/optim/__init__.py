"""Steps of optimizers: one pass over parameters, gradient and state."""
