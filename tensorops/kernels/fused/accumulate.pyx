"""Sums and extremes of a fused kernel's results, in float64 accumulators.

A run of results is added in short pieces of several sums each, so that float32 results are summed as
exactly as NumPy's pairwise sums are.
"""

from libc.math cimport INFINITY

from tensorops.kernels.fused.loops cimport MAXIMUM, MINIMUM, NONE, SUM, Reduction, store_t

cdef extern from *:
    """
    typedef void (*tensorops_store)(const char *, Py_ssize_t, char *, Py_ssize_t);
    enum { SUMS = 16, PIECE = 256 };

    /* NaN is kept: it takes the accumulator's place and is never replaced. */
    #define LARGER(total, value) ((value) > (total) || (value) != (value) ? (value) : (total))
    #define SMALLER(total, value) ((value) < (total) || (value) != (value) ? (value) : (total))

    #define SUMMATION(real) \\
        static double sum_of_##real(const real *x, Py_ssize_t n) { \\
            double total = 0; \\
            Py_ssize_t i, stop; \\
            int k; \\
            while (n >= SUMS) { \\
                real sums[SUMS] = {0}; \\
                stop = (n < PIECE ? n : PIECE) / SUMS * SUMS; \\
                for (i = 0; i < stop; i += SUMS) \\
                    for (k = 0; k < SUMS; k++) sums[k] += x[i + k]; \\
                for (k = 0; k < SUMS; k++) total += sums[k]; \\
                x += stop; \\
                n -= stop; \\
            } \\
            for (i = 0; i < n; i++) total += x[i]; \\
            return total; \\
        } \\
        static void add_##real(const char *source, Py_ssize_t n, char *target, Py_ssize_t step) { \\
            const real *x = (const real *) source; \\
            Py_ssize_t i; \\
            if (step == 0) *(double *) target += sum_of_##real(x, n); \\
            else if (step == sizeof(double)) for (i = 0; i < n; i++) ((double *) target)[i] += x[i]; \\
            else for (i = 0; i < n; i++) *(double *) (target + i * step) += x[i]; \\
        }
    #define EXTREME(name, real, KEEP) \\
        static void name##_##real(const char *source, Py_ssize_t n, char *target, Py_ssize_t step) { \\
            const real *x = (const real *) source; \\
            Py_ssize_t i = 0; \\
            int k; \\
            if (step == 0) { \\
                double total = *(double *) target; \\
                if (n >= SUMS) { \\
                    real best[SUMS]; \\
                    for (k = 0; k < SUMS; k++) best[k] = x[k]; \\
                    for (i = SUMS; i + SUMS <= n; i += SUMS) \\
                        for (k = 0; k < SUMS; k++) best[k] = KEEP(best[k], x[i + k]); \\
                    for (k = 0; k < SUMS; k++) total = KEEP(total, (double) best[k]); \\
                } \\
                for (; i < n; i++) total = KEEP(total, (double) x[i]); \\
                *(double *) target = total; \\
            } else { \\
                for (; i < n; i++) { \\
                    double *total = (double *) (target + i * step); \\
                    *total = KEEP(*total, (double) x[i]); \\
                } \\
            } \\
        }
    SUMMATION(float)
    SUMMATION(double)
    EXTREME(maximum, float, LARGER)
    EXTREME(maximum, double, LARGER)
    EXTREME(minimum, float, SMALLER)
    EXTREME(minimum, double, SMALLER)

    static tensorops_store accumulators[3][2] = {
        {add_float, add_double}, {maximum_float, maximum_double}, {minimum_float, minimum_double},
    };
    """
    store_t accumulators[3][2]
    double LARGER(double total, double value) noexcept nogil
    double SMALLER(double total, double value) noexcept nogil


cdef store_t accumulator(int real_size, Reduction reduction) noexcept nogil:
    """Return what adds a kernel's results to accumulators a step apart, or to one for a step of 0."""
    return accumulators[<int> reduction - 1][real_size == 8] if reduction != NONE else NULL


cdef double start_partial(Reduction reduction) noexcept nogil:
    """Return the value that an accumulator starts from."""
    if reduction == MAXIMUM:
        return -INFINITY
    return INFINITY if reduction == MINIMUM else 0


cdef void merge_partial(Reduction reduction, double *total, double partial) noexcept nogil:
    """Bring one thread's result into the whole."""
    if reduction == MAXIMUM:
        total[0] = LARGER(total[0], partial)
    elif reduction == MINIMUM:
        total[0] = SMALLER(total[0], partial)
    elif reduction == SUM:
        total[0] += partial
