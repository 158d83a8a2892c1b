"""Attacks on time, memory and patience."""

from __future__ import annotations

from profiling.competition import verdict

from .attack import Attack
from .escaping import NOT_OK, doing

STOPPED = (verdict.TIMEOUT, verdict.CPU_LIMIT)
MEMORY = (verdict.MEMORY_LIMIT, verdict.RUNTIME_ERROR, verdict.CRASH, *STOPPED)

EXHAUSTING = (
    Attack("never ends", "def kernel(x, out):\n    while True: pass", STOPPED, quick=True),
    Attack("never ends at import", "while True: pass", STOPPED),
    Attack("sleeps", doing("time.sleep(1000)", "import time"), STOPPED),
    Attack("stops itself", doing("os.kill(os.getpid(), 19)"), NOT_OK),
    Attack(
        "never ends, deaf to signals",
        """
        import signal
        for number in range(1, 32):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        def kernel(x, out):
            while True: pass
        """,
        STOPPED,
    ),
    Attack("memory bomb", doing("[bytearray(1 << 24) for _ in iter(int, 1)]"), MEMORY, quick=True),
    Attack(
        "memory bomb of mappings",
        """
        import mmap
        kept = []
        def kernel(x, out):
            while True:
                kept.append(mmap.mmap(-1, 1 << 28))
        """,
        NOT_OK,
    ),
    Attack(
        "thread bomb",
        """
        import threading, time
        def kernel(x, out):
            while True:
                threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
        """,
        NOT_OK,
    ),
    Attack("prints for ever", doing("while True: print('x' * 1000)", "import os"), NOT_OK, quick=True),
    Attack(
        "prints from a thread",
        """
        import threading
        def chatter():
            while True: print("x" * 4000)
        threading.Thread(target=chatter, daemon=True).start()
        def kernel(x, out):
            honest(x, out)
        """,
        (verdict.OUTPUT_LIMIT,),
    ),
    Attack("a long message", doing("raise ValueError('x' * (1 << 26))"), (verdict.RUNTIME_ERROR,)),
    Attack(
        "a message that cannot be made",
        """
        class Odd(Exception):
            def __str__(self): raise Odd
        def kernel(x, out): raise Odd
        """,
        NOT_OK,
    ),
    Attack(
        "control characters",
        doing("raise ValueError('\\x1b[2J\\x07<script>alert(1)</script>\\u202e')"),
        (verdict.RUNTIME_ERROR,),
    ),
    Attack("deep recursion", "def kernel(x, out): kernel(x, out)", NOT_OK),
    Attack(
        "breaks its stack",
        """
        import sys
        sys.setrecursionlimit(10**9)
        def kernel(x, out): kernel(x, out)
        """,
        NOT_OK,
    ),
    Attack("crashes", doing("faulthandler._sigsegv()", "import faulthandler"), (verdict.CRASH,), quick=True),
    Attack("aborts", doing("os.abort()"), (verdict.CRASH,)),
    Attack("signals by itself", doing("signal.setitimer(0, 1e-4, 1e-4)", "import signal"), NOT_OK),
)
