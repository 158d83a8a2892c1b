"""Models of the machine that measurements are compared with."""
