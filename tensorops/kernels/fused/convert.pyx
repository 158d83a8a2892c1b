"""Elements of any real NumPy dtype in and out of a fused kernel's buffers."""

from tensorops.kernels.fused.loops cimport load_t, store_t

cdef extern from *:
    """
    #include <stdint.h>
    typedef void (*tensorops_load)(const char *, Py_ssize_t, Py_ssize_t, char *);
    typedef void (*tensorops_store)(const char *, Py_ssize_t, char *, Py_ssize_t);

    /* The first loop is the contiguous case, which the compiler vectorises. */
    #define LOADER(type, real) \\
        static void load_##type##_##real(const char *source, Py_ssize_t step, Py_ssize_t n, char *target) { \\
            real *reals = (real *) target; \\
            Py_ssize_t i; \\
            if (step == sizeof(type)) \\
                for (i = 0; i < n; i++) reals[i] = (real) ((const type *) source)[i]; \\
            else \\
                for (i = 0; i < n; i++) reals[i] = (real) *(const type *) (source + i * step); \\
        }
    #define STORER(type, real) \\
        static void store_##type##_##real( \\
            const char *source, Py_ssize_t n, char *target, Py_ssize_t step) { \\
            const real *reals = (const real *) source; \\
            Py_ssize_t i; \\
            for (i = 0; i < n; i++) *(type *) (target + i * step) = (type) reals[i]; \\
        }
    #define EACH_TYPE(DO, real) \\
        DO(float, real) DO(double, real) DO(int8_t, real) DO(uint8_t, real) DO(int16_t, real) \\
        DO(uint16_t, real) DO(int32_t, real) DO(uint32_t, real) DO(int64_t, real) DO(uint64_t, real)
    EACH_TYPE(LOADER, float)
    EACH_TYPE(LOADER, double)
    STORER(float, float) STORER(float, double) STORER(double, float) STORER(double, double)
    STORER(uint8_t, float) STORER(uint8_t, double)

    #define NAMED(kind_, size_, entry) if (kind == kind_ && size == size_) return entry;
    static tensorops_load tensorops_loader(char kind, int size, int real_size) {
    #define OF_KIND(kind_, type) \\
        NAMED(kind_, (int) sizeof(type), real_size == 4 ? load_##type##_float : load_##type##_double)
        OF_KIND('f', float) OF_KIND('f', double)
        OF_KIND('b', uint8_t) OF_KIND('u', uint8_t) OF_KIND('i', int8_t)
        OF_KIND('u', uint16_t) OF_KIND('i', int16_t) OF_KIND('u', uint32_t) OF_KIND('i', int32_t)
        OF_KIND('u', uint64_t) OF_KIND('i', int64_t)
        return NULL;
    }
    static tensorops_store tensorops_storer(char kind, int size, int real_size) {
    #define INTO_KIND(kind_, type) \\
        NAMED(kind_, (int) sizeof(type), real_size == 4 ? store_##type##_float : store_##type##_double)
        INTO_KIND('f', float) INTO_KIND('f', double) INTO_KIND('b', uint8_t)
        return NULL;
    }
    """
    load_t tensorops_loader(char kind, int size, int real_size) noexcept nogil
    store_t tensorops_storer(char kind, int size, int real_size) noexcept nogil


cdef load_t converter(char kind, int size, int real_size) noexcept nogil:
    """Return what reads elements of a NumPy kind and size into a kernel's reals; NULL if nothing does."""
    return tensorops_loader(kind, size, real_size)


cdef store_t receiver(char kind, int size, int real_size) noexcept nogil:
    """Return what writes a kernel's reals as elements of a NumPy kind and size; NULL if nothing does."""
    return tensorops_storer(kind, size, real_size)
