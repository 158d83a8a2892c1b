"""Attacks on the judge's waiting: what never stops, never ends, never answers, or answers nonsense."""

from __future__ import annotations

from profiling.competition import verdict

from .attack import FORBIDDEN, NO_GAIN, Attack
from .compiled import in_c
from .escaping import NOT_OK, doing

PROTOCOL = (verdict.PROTOCOL,)
FAILED = 103


def answering(content: str, before: str = "") -> str:
    """Return a submission that answers each call with a failure of a content."""
    return f"""
{{TAKES_OVER}}
import time
{before}
def forged(arguments, handle, answer):
    content = {content}
    os.write(handle, bytes([{FAILED}, 0, 0, 0]) + len(content).to_bytes(4, "little") + answer[8:] + content)
    return True
take_over(forged)
"""


HANGING = (
    Attack(
        "closes the way to answer and sleeps",
        doing("os.closerange(3, 100); time.sleep(1000)", "import os, time"),
        PROTOCOL,
        quick=True,
    ),
    Attack(
        "closes the way to print and sleeps",
        doing("os.closerange(0, 3); time.sleep(1000)", "import os, time"),
        PROTOCOL,
    ),
    Attack(
        "goes on when it is stopped",
        doing("os.kill(os.getpid(), 18)"),
        FORBIDDEN,
        quick=True,
    ),
    Attack(
        "goes on in another thread when it is stopped",
        """
        import os, threading
        def go_on():
            while True: os.kill(os.getpid(), 18)
        def kernel(x, out):
            threading.Thread(target=go_on, daemon=True).start()
            honest(x, out)
        """,
        FORBIDDEN,
        track="all",
    ),
    Attack(
        "a thread that cannot be stopped",
        # clone with the flags of a thread and CLONE_VFORK: the caller waits, deaf to signals.
        doing("ctypes.CDLL(None).syscall(56, 0x14F00 | 0x4000, 0, 0, 0, 0)", "import ctypes"),
        FORBIDDEN,
        quick=True,
    ),
    Attack(
        "the first thread leaves, another serves",
        """
        {TAKES_OVER}
        import ctypes, threading
        frame = sys._getframe()
        while "configuration" not in frame.f_locals:
            frame = frame.f_back
        def serve(configuration, inputs, outputs):
            take_over(lambda arguments, handle, answer: honest(*arguments))
        told = [frame.f_locals[name] for name in ("configuration", "inputs", "outputs")]
        threading.Thread(target=serve, args=told).start()
        ctypes.CDLL(None).syscall(60, 0)
        """,
        (*NOT_OK, *NO_GAIN),
    ),
    Attack("an answer that is too deep", answering('b"[" * 60000'), PROTOCOL, quick=True),
    Attack("an answer of no known kind", answering('b\'{"kinds": 3, "type": 1}\''), PROTOCOL),
    Attack(
        "changed operands without end",
        """
        {TAKES_OVER}
        write = os.write
        def longer(handle, answer):
            return write(handle, bytes([102, 0, 0, 0, 7, 0, 0, 0]) + answer[8:24] + b"[1e999]")
        def kernel(x, out):
            os.write = longer
        """,
        (verdict.WRONG_ANSWER,),
    ),
    Attack(
        "an exception with a long name",
        "def kernel(x, out): raise type('x' * 10**6, (Exception,), {})",
        PROTOCOL,
    ),
    Attack(
        "an exception of half a character",
        doing("raise ValueError('\\\\ud800')"),
        (verdict.RUNTIME_ERROR,),
        quick=True,
    ),
    Attack(
        "a crowd of threads",
        """
        import threading, time
        threading.stack_size(32768)
        def kernel(x, out):
            for _ in range(5000):
                threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
            time.sleep(100)
        """,
        (*FORBIDDEN, verdict.RUNTIME_ERROR, verdict.TIMEOUT),
        quick=True,
    ),
    Attack(
        "a name that looks like a state",
        doing("ctypes.CDLL(None).prctl(15, b') Z 1 (', 0, 0, 0)", "import ctypes"),
        NO_GAIN,
    ),
    Attack(
        "threads of C without end",
        in_c(
            "#include <pthread.h>\n#include <unistd.h>\n"
            "static void *nap(void *p) { for (;;) sleep(1000); return 0; }\n"
            "static int attack(float *x, float *out, long n) { pthread_attr_t a; pthread_t t; int made = 0;\n"
            "    pthread_attr_init(&a); pthread_attr_setstacksize(&a, 16384);\n"
            "    while (made < 20000 && !pthread_create(&t, &a, nap, 0)) made++;\n"
            "    for (;;) sleep(1000); }",
            "pass",
        ),
        FORBIDDEN,
        ".pyx",
    ),
)
