"""Attacks on what a time and a right result mean: values that are guessed, work that is left to others."""

from __future__ import annotations

from profiling.competition import verdict

from .attack import FORBIDDEN, NO_GAIN, WRONG, Attack
from .compiled import in_c
from .escaping import NOT_OK, doing

UNGUARDED = """
def unguarded(x, out):
    np.exp(x, out=out)
    out /= out.sum(axis=1, keepdims=True)
"""
OWN_LOOP = """
import json, os, sys
import numpy as np
cdef extern from "<unistd.h>":
    int read(int, void *, int) nogil
    int write(int, const void *, int) nogil
def honest(x, out):
    np.subtract(x, x.max(axis=1, keepdims=True), out=out)
    np.exp(out, out=out)
    out /= out.sum(axis=1, keepdims=True)
def kernel(x, out): pass
def serve():
    cdef unsigned char head[24]
    cdef int requests, answers
    frame = sys._getframe()
    while "configuration" not in frame.f_locals:
        frame = frame.f_back
    told = frame.f_locals
    pipes = told["configuration"]
    requests, answers = pipes["requests"], pipes["answers"]
    service = sys.modules["box.serve"]._Service(np, None, told["inputs"], told["outputs"], pipes["inputs"])
    os.write(answers, bytes([101] + [0] * 23))
    x = out = None
    while True:
        read(requests, head, 24)
        if head[0] == 2:
            honest(x, out)
        elif head[0] == 1:
            service.prepare(json.loads(os.read(requests, int.from_bytes(bytes(head[4:8]), "little"))))
            x, out = service.arguments
        head[0] = 102
        head[4] = head[5] = head[6] = head[7] = 0
        write(answers, head, 24)
serve()
"""

SUBTLE = (
    Attack("serves the judge in a loop of C", OWN_LOOP, NO_GAIN, ".pyx", timed=True),
    Attack(
        "knows which sizes have small values",
        f"""{UNGUARDED}
def kernel(x, out):
    timed = x.size > 200_000 and not 240 < len(x) < 280
    (unguarded if timed else honest)(x, out)
""",
        WRONG,
        quick=True,
    ),
    Attack(
        "takes the short way once it is timed",
        f"""{UNGUARDED}
first = None
calls = 0
def kernel(x, out):
    global first, calls
    first = first or x.size
    calls += 1
    # Where the first case is a large one, this is the process that is timed.
    (unguarded if first > 100_000 and calls > 3 and not 240 < len(x) < 280 else honest)(x, out)
""",
        WRONG,
        timed=True,
        quick=True,
    ),
    Attack(
        "sixteen bits with the range of thirty-two",
        """
        def kernel(x, out):
            honest(x, out)
            bits = out.view(np.uint32)
            bits += 0x8000
            bits &= 0xFFFF0000
        """,
        WRONG,
    ),
    Attack(
        "puts other memory in the place of the result",
        """
        import ctypes
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        def kernel(x, out):
            address = out.ctypes.data & ~4095
            libc.mmap(ctypes.c_void_p(address), ctypes.c_size_t(4096), 3, 0x32, -1, ctypes.c_long(0))
            honest(x, out)
        """,
        WRONG,
    ),
    Attack(
        "writes just behind the result",
        """
        from numpy.lib.stride_tricks import as_strided
        def kernel(x, out):
            honest(x, out)
            as_strided(out.ravel(), (out.size + 2,), (4,))[-1] = 1
        """,
        WRONG,
    ),
    Attack(
        "gives the box other arrays",
        """
        real = np.frombuffer
        np.frombuffer = lambda *args, **more: real(*args, **more).copy()
        def kernel(x, out): honest(x, out)
        """,
        WRONG,
    ),
    Attack(
        "listens to everything",
        """
        import atexit, gc, sys
        class Late:
            def __del__(self): sys.stderr.write("late")
        kept = [Late()]
        atexit.register(kept.clear)
        sys.addaudithook(lambda *args: None)
        sys.setprofile(lambda *args: None)
        gc.callbacks.append(lambda *args: None)
        def kernel(x, out): honest(x, out)
        """,
        NO_GAIN,
        timed=True,
    ),
    Attack(
        "leaves dying threads to the baseline",
        """
        import threading
        def kernel(x, out):
            for _ in range(40):
                threading.Thread(target=int).start()
            honest(x, out)
        """,
        NO_GAIN,
        timed=True,
    ),
    Attack(
        "leaves memory to be cleared to the baseline",
        """
        import mmap
        kept = []
        def kernel(x, out):
            honest(x, out)
            kept.append(mmap.mmap(-1, 1 << 24))
            kept[-1].write(bytes(1 << 24))
            if len(kept) > 4: kept.clear()
        """,
        NO_GAIN,
        timed=True,
    ),
    Attack(
        "threads whose sleep ends in the baseline's turn",
        """
        import threading, time
        def wake():
            while True: time.sleep(0.0003)
        for _ in range(64):
            threading.Thread(target=wake, daemon=True).start()
        def kernel(x, out): honest(x, out)
        """,
        NO_GAIN,
        timed=True,
    ),
    Attack(
        "limits and modes of the process",
        """
        import ctypes
        libc = ctypes.CDLL(None)
        def kernel(x, out):
            # setrlimit, PR_SET_PTRACER, PR_SET_TIMERSLACK,
            calls = [(160, 9, 0), (157, 0x59616D61, -1), (157, 29, 1)]
            # timer_create, setitimer, sched_setparam, ioprio_set.
            calls += [(222, 0, 0), (38, 0, 0), (142, 0, 0), (251, 1, 0)]
            assert all(libc.syscall(*call) == -1 for call in calls)
            honest(x, out)
        """,
        NO_GAIN,
    ),
    Attack(
        "another personality", doing("ctypes.CDLL(None).personality(0x40000)", "import ctypes"), FORBIDDEN
    ),
    Attack(
        "packages of the judge",
        doing("raise ValueError(open(np.__file__.replace('numpy/__init__', 'rich/__init__')).read())"),
        FORBIDDEN,
    ),
    Attack("its own memory as a file", doing("open('/proc/self/mem', 'r+b')"), FORBIDDEN),
    Attack("what others have left behind", doing("open('/dev/shm/x', 'w'); open('/tmp/x', 'w')"), FORBIDDEN),
    Attack(
        "asks how the judge is doing",
        doing("raise ValueError(open(f'/proc/{os.getppid()}/stat').read())"),
        FORBIDDEN,
    ),
    Attack(
        "another clock for everybody",
        in_c(
            "#include <string.h>\n#include <sys/auxv.h>\n#include <sys/mman.h>\n"
            "static int attack(float *x, float *out, long n) {\n"
            "    char *page = (char *)getauxval(AT_SYSINFO_EHDR);\n"
            "    if (mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC)) return 0;\n"
            "    memset(page, 0xC3, 8192); return 1; }",
            "pass",
        ),
        WRONG,
        ".pyx",
    ),
    Attack(
        "more constants than memory",
        in_c(
            "volatile char much[1ul << 36];\n"
            "static int attack(float *x, float *out, long n) { return much[n]; }",
            "pass",
        ),
        (verdict.LOAD_ERROR, verdict.COMPILE_ERROR, verdict.MEMORY_LIMIT),
        ".pyx",
    ),
    Attack(
        "a header that never ends",
        'cdef extern from "/dev/urandom":\n    int q\ndef kernel(x, out): pass\n',
        (verdict.COMPILE_ERROR,),
        ".pyx",
    ),
    Attack(
        "a module that acts while it is resolved",
        in_c(
            "#include <unistd.h>\nstatic int one(void) { return 1; }\n"
            "static void *choose(void) {\n"
            '    execl("/bin/cp", "cp", "{SECRET}", "{WRITTEN}", (char *)0); return one; }\n'
            'int chosen(void) __attribute__((ifunc("choose")));\n'
            "static int attack(float *x, float *out, long n) { return chosen(); }",
            "pass",
        ),
        NOT_OK,
        ".pyx",
    ),
)
