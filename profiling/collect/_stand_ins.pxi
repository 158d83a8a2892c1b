# C functions that take the place of NumPy's, and the few that C alone can write.

# The functions that stand in for methods: they are called without a word about which method it was, so
# that there has to be one of each kind for every method that is watched.
cdef extern from *:
    """
    #include <unistd.h>

    typedef PyObject *(*tensorops_on_method)(
        int, PyObject *, PyObject *const *, Py_ssize_t, PyObject *, PyObject *, PyObject *);
    static tensorops_on_method tensorops_method_called = NULL;

    #define TENSOROPS_STAND_IN(N)                                                                        \\
        static PyObject *tensorops_fast_##N(                                                             \\
            PyObject *s, PyObject *const *a, Py_ssize_t n, PyObject *names) {                            \\
            return tensorops_method_called(N, s, a, n, names, NULL, NULL);                               \\
        }                                                                                                \\
        static PyObject *tensorops_tuple_##N(PyObject *s, PyObject *a, PyObject *keywords) {             \\
            return tensorops_method_called(                                                              \\
                N, s, &PyTuple_GET_ITEM(a, 0), PyTuple_GET_SIZE(a), NULL, a, keywords);                  \\
        }                                                                                                \\
        static PyObject *tensorops_plain_##N(PyObject *s, PyObject *a) {                                 \\
            return tensorops_tuple_##N(s, a, NULL);                                                      \\
        }
    #define TENSOROPS_NAMES(N) {                                                                         \\
        (PyCFunction)(void *)tensorops_fast_##N, (PyCFunction)(void *)tensorops_tuple_##N,               \\
        tensorops_plain_##N},
    #define TENSOROPS_EIGHT(M, T) M(T##0) M(T##1) M(T##2) M(T##3) M(T##4) M(T##5) M(T##6) M(T##7)
    /* 48 octal numbers, 010 to 067, made of a leading part and one digit. */
    #define TENSOROPS_ALL(M)                                                                             \\
        TENSOROPS_EIGHT(M, 01) TENSOROPS_EIGHT(M, 02) TENSOROPS_EIGHT(M, 03)                             \\
        TENSOROPS_EIGHT(M, 04) TENSOROPS_EIGHT(M, 05) TENSOROPS_EIGHT(M, 06)
    #define TENSOROPS_FIRST 010
    TENSOROPS_ALL(TENSOROPS_STAND_IN)
    static PyCFunction tensorops_stand_ins[][3] = {TENSOROPS_ALL(TENSOROPS_NAMES)};

    static PyCFunction tensorops_stand_in(int number, int flags) {
        if (flags == (METH_FASTCALL | METH_KEYWORDS)) return tensorops_stand_ins[number][0];
        if (flags == (METH_VARARGS | METH_KEYWORDS)) return tensorops_stand_ins[number][1];
        if (flags == METH_VARARGS) return tensorops_stand_ins[number][2];
        return NULL;
    }
    static PyObject *tensorops_call(
        PyCFunction function, int flags, PyObject *s, PyObject *const *a, Py_ssize_t n, PyObject *names,
        PyObject *tuple, PyObject *keywords) {
        if (flags == (METH_FASTCALL | METH_KEYWORDS))
            return ((tensorops_keyword_function)(void *)function)(s, a, n, names);
        if (flags == (METH_VARARGS | METH_KEYWORDS))
            return ((PyCFunctionWithKeywords)(void *)function)(s, tuple, keywords);
        return function(s, tuple);
    }
    /* The kernel answers with an error where it may not write; a store would end the process. */
    static int tensorops_writable(void *address) {
        int ends[2], good;
        if (pipe(ends)) return 0;
        good = write(ends[1], address, sizeof(void *)) == sizeof(void *)
            && read(ends[0], address, sizeof(void *)) == sizeof(void *);
        close(ends[0]);
        close(ends[1]);
        return good;
    }
    static vectorcallfunc *tensorops_slot(PyObject *target) {
        PyTypeObject *type = Py_TYPE(target);
        if (!PyType_HasFeature(type, Py_TPFLAGS_HAVE_VECTORCALL) || type->tp_vectorcall_offset <= 0)
            return NULL;
        return (vectorcallfunc *)((char *)target + type->tp_vectorcall_offset);
    }
    """
    ctypedef PyObject *(*tensorops_on_method)(
        int, PyObject *, PyObject *const *, Py_ssize_t, PyObject *, PyObject *, PyObject *) noexcept
    tensorops_on_method tensorops_method_called
    int TENSOROPS_FIRST
    PyCFunction tensorops_stand_in(int, int) noexcept
    PyObject *tensorops_call(
        PyCFunction, int, PyObject *, PyObject *const *, Py_ssize_t, PyObject *, PyObject *, PyObject *
    ) noexcept
    bint tensorops_writable(void *) noexcept
    vectorcallfunc *tensorops_slot(PyObject *) noexcept
