"""Attacks on the compiler and from C."""

from __future__ import annotations

from profiling.competition import verdict

from .attack import FORBIDDEN, NO_GAIN, WRONG, Attack
from .escaping import NOT_OK

FAILS_TO_COMPILE = (verdict.COMPILE_ERROR,)
HONEST_C = """
from libc.math cimport expf
def kernel(const float[:, ::1] x, float[:, ::1] out):
    cdef Py_ssize_t i, j
    cdef float highest, total
    for i in range(x.shape[0]):
        highest = x[i, 0]
        for j in range(x.shape[1]):
            highest = max(highest, x[i, j])
        total = 0
        for j in range(x.shape[1]):
            out[i, j] = expf(x[i, j] - highest)
            total += out[i, j]
        for j in range(x.shape[1]):
            out[i, j] /= total
"""


def in_c(code: str, call: str) -> str:
    """Return a module with some C and a kernel that calls it."""
    return f'''
cdef extern from *:
    """
{code}
    """
    int attack(float *x, float *out, long n) nogil

def kernel(float[:, ::1] x, float[:, ::1] out):
    cdef int found = attack(&x[0, 0], &out[0, 0], x.shape[0] * x.shape[1])
    {call}
'''


COMPILED = (
    Attack(
        "includes a secret as a header",
        'cdef extern from "{SECRET}":\n    int q\n' + HONEST_C,
        FAILS_TO_COMPILE,
        ".pyx",
    ),
    Attack("includes a secret as Cython", 'include "{SECRET}"\n' + HONEST_C, FAILS_TO_COMPILE, ".pyx"),
    Attack(
        "includes a secret as data",
        'cdef extern from *:\n    """\n    __asm__(".incbin \\\\"{SECRET}\\\\"");\n    """\n' + HONEST_C,
        FAILS_TO_COMPILE,
        ".pyx",
    ),
    Attack(
        "flags and sources in comments",
        "# distutils: extra_compile_args = -fplugin={SECRET}\n# distutils: sources = {SECRET}\n"
        "# distutils: include_dirs = /root\n" + HONEST_C,
        NO_GAIN,
        ".pyx",
    ),
    Attack(
        "includes itself for ever",
        'cdef extern from *:\n    """\n    #include __FILE__\n    """\n' + HONEST_C,
        FAILS_TO_COMPILE,
        ".pyx",
    ),
    Attack(
        "computes while it is compiled",
        'DEF secret = __import__("os").system("cp {SECRET} {WRITTEN}")\n' + HONEST_C,
        FAILS_TO_COMPILE,
        ".pyx",
    ),
    Attack(
        "imports a definition from elsewhere",
        "cimport profiling.collect.sampler\n" + HONEST_C,
        FAILS_TO_COMPILE,
        ".pyx",
    ),
    Attack("no Cython at all", "def kernel(x, out:\n", FAILS_TO_COMPILE, ".pyx"),
    Attack(
        "acts when it is loaded",
        'cdef extern from *:\n    """\n    #include <unistd.h>\n'
        '    __attribute__((constructor)) static void at_once(void) { fork(); }\n    """\n' + HONEST_C,
        FORBIDDEN,
        ".pyx",
    ),
    Attack(
        "calls the kernel directly",
        in_c(
            "#include <sys/syscall.h>\n#include <unistd.h>\n"
            "static int attack(float *x, float *out, long n) { return (int)syscall(SYS_fork); }",
            "pass",
        ),
        FORBIDDEN,
        ".pyx",
    ),
    Attack(
        "calls the kernel by its old door",
        in_c(
            "static int attack(float *x, float *out, long n) {\n"
            '    int r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(2)); return r; }',
            "raise ValueError(found)",
        ),
        (*FORBIDDEN, verdict.CRASH),
        ".pyx",
    ),
    Attack(
        "calls the kernel by its second table",
        in_c(
            "#include <unistd.h>\n"
            "static int attack(float *x, float *out, long n) { return (int)syscall(0x40000000 + 39); }",
            "raise ValueError(found)",
        ),
        (*FORBIDDEN, verdict.CRASH),
        ".pyx",
    ),
    Attack(
        "reads in the name of another thread",
        in_c(
            "#include <fcntl.h>\n#include <signal.h>\n#include <string.h>\n#include <sys/syscall.h>\n"
            "#include <unistd.h>\n"
            "static char text[64];\nstatic volatile int length = -1;\n"
            'static void handler(int s) { int f = open("{SECRET}", O_RDONLY);\n'
            "    if (f >= 0) length = (int)read(f, text, 60); }\n"
            "static int attack(float *x, float *out, long n) {\n"
            "    signal(SIGUSR1, handler);\n"
            "    for (int t = 1; t < 64; t++) syscall(SYS_tgkill, getpid(), getpid() + t, SIGUSR1);\n"
            "    usleep(20000); return length; }",
            "raise ValueError(found)",
        ),
        (verdict.RUNTIME_ERROR,),
        ".pyx",
        track="all",
    ),
    Attack(
        "a late thread of C",
        in_c(
            "#include <pthread.h>\n#include <math.h>\n"
            "static float *to; static long size;\n"
            "static void *late(void *p) { for (long i = 0; i < size; i++) to[i] = 1; return 0; }\n"
            "static int attack(float *x, float *out, long n) {\n"
            "    pthread_t t; to = out; size = n; return pthread_create(&t, 0, late, 0); }",
            "pass",
        ),
        WRONG,
        ".pyx",
    ),
    Attack(
        "unmaps the shared memory",
        in_c(
            "#include <sys/mman.h>\n#include <stdint.h>\n"
            "static int attack(float *x, float *out, long n) {\n"
            "    return munmap((void *)((uintptr_t)out & ~4095ul), 4096); }",
            "out[0, 0] = 1",
        ),
        NOT_OK,
        ".pyx",
    ),
)
