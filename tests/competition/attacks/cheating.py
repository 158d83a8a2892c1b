"""Attacks on the ranking: results that were not computed, times that were not taken."""

from __future__ import annotations

from .attack import FORGED, NO_GAIN, WRONG, Attack

CHEATING = (
    Attack("nothing", "def kernel(x, out): pass", WRONG, quick=True),
    Attack("zeros", "def kernel(x, out): out[...] = 0", WRONG),
    Attack("uniform", "def kernel(x, out): out[...] = 1 / x.shape[1]", WRONG),
    Attack("not-a-number", "def kernel(x, out): out[...] = np.nan", WRONG),
    Attack("infinite", "def kernel(x, out): out[...] = np.inf", WRONG),
    Attack(
        "cache by address",
        """
        known = {}
        def kernel(x, out):
            key = x.ctypes.data, x.shape
            if key not in known:
                honest(x, out)
                known[key] = out.copy()
            out[...] = known[key]
        """,
        WRONG,
        quick=True,
    ),
    Attack(
        "cache by identity of the arrays",
        """
        known = {}
        def kernel(x, out):
            if (id(x), id(out)) in known:
                out[...] = known[id(x), id(out)]
                return
            honest(x, out)
            known[id(x), id(out)] = out.copy()
        """,
        WRONG,
    ),
    Attack(
        "cache by content",
        """
        known = {}
        def kernel(x, out):
            key = x.shape, x[0, :8].tobytes(), x[-1, -8:].tobytes()
            if key in known:
                out[...] = known[key]
                return
            honest(x, out)
            known[key] = out.copy()
        """,
        NO_GAIN,
        timed=True,
    ),
    Attack(
        "stale result",
        """
        calls = 0
        def kernel(x, out):
            global calls
            calls += 1
            if calls == 1:
                honest(x, out)
        """,
        WRONG,
    ),
    Attack(
        "lazy result",
        """
        class Later:
            def __init__(self, x): self.x = x
            def __array__(self, *args, **more):
                out = np.empty_like(self.x)
                honest(self.x, out)
                return out
        def kernel(x, out):
            return Later(x)
        """,
        WRONG,
    ),
    Attack(
        "late thread",
        """
        import threading
        def kernel(x, out):
            threading.Thread(target=honest, args=(x, out)).start()
        """,
        # What the thread has done by the time of the answer, it has done inside the measured time.
        (*WRONG, *NO_GAIN),
        timed=True,
        quick=True,
    ),
    Attack(
        "late thread on the other processor",
        """
        import threading, time
        def late(x, out):
            time.sleep(0.0005)
            honest(x, out)
        def kernel(x, out):
            threading.Thread(target=late, args=(x, out)).start()
        """,
        WRONG,
        track="all",
    ),
    Attack(
        "computing while idle",
        """
        import gc, sys, threading
        found, ready = {}, {}
        def ahead():
            while True:
                for x, out in list(found.values()):
                    key = float(x[0, 0])
                    if key not in ready:
                        result = np.empty_like(x)
                        honest(x, result)
                        ready.clear()
                        ready[key] = result
        threading.Thread(target=ahead, daemon=True).start()
        def kernel(x, out):
            found[x.shape] = x, out
            result = ready.get(float(x[0, 0]))
            if result is not None and result.shape == out.shape:
                out[...] = result
            else:
                honest(x, out)
        """,
        (*NO_GAIN, *WRONG),
        timed=True,
    ),
    Attack(
        "computing when set free",
        """
        import signal
        found = {}
        def awake(number, frame):
            for x, out in found.values():
                honest(x, out)
        signal.signal(signal.SIGCONT, awake)
        def kernel(x, out):
            found.clear()
            found[0] = x, out
            honest(x, out)
        """,
        (*NO_GAIN, *WRONG),
        timed=True,
    ),
    Attack(
        "other clock",
        """
        import time
        for name in ("time", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time"):
            setattr(time, name, lambda: 0)
        def kernel(x, out):
            honest(x, out)
        """,
        NO_GAIN,
        timed=True,
    ),
    Attack(
        "other comparison",
        """
        np.allclose = np.array_equal = lambda *args, **more: True
        np.abs = np.absolute = lambda x: x * 0
        np.isfinite = lambda x: np.ones_like(x, bool)
        def kernel(x, out): out[...] = 0
        """,
        WRONG,
    ),
    Attack(
        "changed operand",
        """
        def kernel(x, out):
            x[...] = 0
            out[...] = 1 / x.shape[1]
        """,
        WRONG,
        quick=True,
    ),
    Attack(
        "half precision",
        """
        def kernel(x, out):
            short = (x - x.max(axis=1, keepdims=True)).astype(np.float16)
            powers = np.exp(short).astype(np.float32)
            out[...] = powers / powers.sum(axis=1, keepdims=True)
        """,
        WRONG,
        quick=True,
    ),
    Attack(
        "half precision where values are small",
        """
        def kernel(x, out):
            honest(x, out)
            small = out < out.max(axis=1, keepdims=True) * np.float32(0.1)
            out[small] = out[small].astype(np.float16)
        """,
        WRONG,
    ),
    Attack(
        "a series cut short",
        """
        def kernel(x, out):
            shifted = (x - x.max(axis=1, keepdims=True)) / 64
            out[...] = (1 + shifted * (1 + shifted / 2 * (1 + shifted / 3))) ** 64
            out /= out.sum(axis=1, keepdims=True)
        """,
        WRONG,
    ),
    Attack(
        "every other column",
        """
        def kernel(x, out):
            honest(x, out)
            out[:, 1::2] = out[:, : out.shape[1] // 2 * 2 : 2]
        """,
        WRONG,
    ),
    Attack(
        "all rows but the last",
        """
        def kernel(x, out):
            if len(x) > 1:
                honest(x[:-1], out[:-1])
        """,
        WRONG,
    ),
    Attack(
        "hard-coded sizes",
        """
        SIZES = {(4096, 64), (720, 360), (128, 2048), (256, 1024), (1, 1)}
        def kernel(x, out):
            if x.shape in SIZES:
                honest(x, out)
        """,
        WRONG,
        quick=True,
    ),
    Attack(
        "right at first, then skips",
        """
        calls = 0
        def kernel(x, out):
            global calls
            calls += 1
            if calls < 12:
                honest(x, out)
            else:
                honest(x[: len(x) // 2], out[: len(x) // 2])
        """,
        WRONG,
        timed=True,
    ),
    Attack(
        "skips one call in eight",
        """
        calls = 0
        def kernel(x, out):
            global calls
            calls += 1
            if calls % 8:
                honest(x, out)
        """,
        WRONG,
        timed=True,
    ),
    Attack(
        "skips once it is timed",
        """
        import time
        started = time.monotonic()
        seen = 0
        def kernel(x, out):
            global seen
            seen += x.size > 100_000
            if seen < 4:
                honest(x, out)
            else:
                out[...] = 1 / x.shape[1]
        """,
        WRONG,
        timed=True,
    ),
    Attack(
        "slow at first",
        """
        import time
        calls = 0
        def kernel(x, out):
            global calls
            calls += 1
            if calls < 6:
                time.sleep(0.02)
            honest(x, out)
        """,
        NO_GAIN,
        timed=True,
    ),
    Attack(
        "burns time beside the baseline",
        """
        import threading
        def burn():
            while True: sum(range(1000))
        threading.Thread(target=burn, daemon=True).start()
        def kernel(x, out):
            honest(x, out)
        """,
        NO_GAIN,
        track="all",
        timed=True,
    ),
    Attack(
        "known seeds",
        """
        def kernel(x, out):
            for seed in range(50):
                rng = np.random.default_rng(seed)
                if rng.standard_normal(1, np.float32)[0] == x[0, 0]:
                    return
            honest(x, out)
        """,
        NO_GAIN,
        timed=True,
    ),
    Attack(
        "writes over its bounds",
        """
        def kernel(x, out):
            memory = out
            while isinstance(memory, np.ndarray) and memory.base is not None:
                memory = memory.base
            memory = getattr(memory, "obj", memory)
            np.frombuffer(memory, np.uint8)[:] = 0
            honest(x, out)
        """,
        WRONG,
        quick=True,
    ),
    Attack(
        "serves the judge in a loop of its own",
        """
        {TAKES_OVER}
        take_over(lambda arguments, handle, answer: honest(*arguments))
        """,
        NO_GAIN,
        timed=True,
    ),
    Attack(
        "answers before it computes",
        """
        {TAKES_OVER}
        def early(arguments, handle, answer):
            os.write(handle, answer)
            honest(*arguments)
            return True
        take_over(early)
        """,
        # On small operands the result is complete when the box stands still; the time counts until then.
        (*FORGED, *NO_GAIN),
        timed=True,
        quick=True,
    ),
    Attack(
        "answers before and after it computes",
        """
        {TAKES_OVER}
        def twice(arguments, handle, answer):
            os.write(handle, answer)
            honest(*arguments)
        take_over(twice)
        """,
        FORGED,
    ),
    Attack(
        "answers from another thread a little too early",
        """
        {TAKES_OVER}
        import threading
        def early(arguments, handle, answer):
            threading.Thread(target=os.write, args=(handle, answer)).start()
            honest(*arguments)
            return True
        take_over(early)
        """,
        (*FORGED, *NO_GAIN),
        track="all",
        timed=True,
    ),
    Attack(
        "answers with a token of its own",
        """
        import os, sys
        def kernel(x, out):
            os.write(sys._getframe(1).f_locals["answers"], bytes([102] + [0] * 23))
        """,
        FORGED,
    ),
    Attack(
        "answers at length",
        """
        import os, sys
        def kernel(x, out):
            honest(x, out)
            os.write(sys._getframe(1).f_locals["answers"], bytes(1000))
        """,
        FORGED,
    ),
    Attack(
        "runs the loop of the box itself",
        """
        import sys
        def kernel(x, out):
            frame = sys._getframe(1)
            service = frame.f_locals["self"]
            service.kernel = lambda *args: None
            honest(x, out)
        """,
        WRONG,
    ),
    Attack(
        "claims that all is well",
        """
        import sys
        def kernel(x, out):
            service = sys._getframe(1).f_locals["self"]
            type(service).changed = lambda self: [0] * 10**6
            x[...] = 0
            out[...] = 1
        """,
        WRONG,
    ),
)
