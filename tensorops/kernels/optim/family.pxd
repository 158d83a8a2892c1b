cimport numpy as np

cdef enum:
    SGD = 0
    ADAM = 1
    NUMBERS = 8

cdef int run_step(int step, tuple arrays, const double *numbers, int threads) except -1
