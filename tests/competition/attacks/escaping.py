"""Attacks on the box: files, processes, network, the judge itself."""

from __future__ import annotations

from profiling.competition import verdict

from .attack import FORBIDDEN, NO_GAIN, Attack

REFUSED = (verdict.FORBIDDEN, verdict.RUNTIME_ERROR, verdict.LOAD_ERROR)
NOT_OK = tuple(name for name in verdict.HINTS if name not in (verdict.OK, verdict.JUDGE_ERROR))


def doing(what: str, before: str = "import os") -> str:
    """Return a kernel that does something and then works honestly."""
    return f"{before}\ndef kernel(x, out):\n    {what}\n    honest(x, out)\n"


ESCAPING = (
    Attack("reads a file", doing("raise ValueError(open('{SECRET}').read())"), FORBIDDEN, quick=True),
    Attack("reads at import", "raise ValueError(open('{SECRET}').read())", FORBIDDEN),
    Attack("reads the passwords", doing("raise ValueError(open('/etc/passwd').read())"), FORBIDDEN),
    Attack(
        "reads the judge's environment",
        doing("raise ValueError(open(f'/proc/{os.getppid()}/environ').read())"),
        FORBIDDEN,
    ),
    Attack("reads its own memory map", doing("raise ValueError(open('/proc/self/maps').read())"), FORBIDDEN),
    Attack(
        "reads the judge's memory",
        doing("raise ValueError(open(f'/proc/{os.getppid()}/mem', 'rb').read(1))"),
        FORBIDDEN,
    ),
    Attack(
        "lists folders", doing("raise ValueError(str(os.listdir('/root') + os.listdir('/tmp')))"), FORBIDDEN
    ),
    Attack(
        "goes through links",
        doing("raise ValueError(open('/proc/self/root{SECRET}').read())"),
        FORBIDDEN,
    ),
    Attack("writes a file", doing("open('{WRITTEN}', 'w').write('x')"), FORBIDDEN, quick=True),
    Attack("writes beside itself", doing("open(__file__ + 'x', 'w').write('x')"), FORBIDDEN),
    Attack("changes itself", doing("open(__file__, 'a').write('x')"), FORBIDDEN),
    Attack("changes NumPy", doing("open(np.__file__, 'a').write('#')"), FORBIDDEN),
    Attack("removes itself", doing("os.remove(__file__)"), FORBIDDEN),
    Attack("makes a folder", doing("os.mkdir('{WRITTEN}')"), FORBIDDEN),
    Attack("makes a link", doing("os.symlink('{SECRET}', '{WRITTEN}')"), FORBIDDEN),
    Attack("changes rights", doing("os.chmod('{SECRET}', 0o777)"), FORBIDDEN),
    Attack(
        "makes a file in memory",
        doing("os.memfd_create('x'); raise MemoryError"),
        NOT_OK,
    ),
    Attack("kills the judge", doing("os.kill(os.getppid(), 9)"), FORBIDDEN, quick=True),
    Attack("kills everybody", doing("os.kill(-1, 9)"), FORBIDDEN),
    Attack("stops the judge", doing("os.kill(os.getppid(), 19)"), FORBIDDEN),
    Attack(
        "signals the judge through a pipe",
        """
        import fcntl, os, sys
        def kernel(x, out):
            answers = sys._getframe(1).f_locals["answers"]
            fcntl.fcntl(answers, fcntl.F_SETOWN, os.getppid())
            fcntl.fcntl(answers, 10, 9)
            fcntl.fcntl(answers, fcntl.F_SETFL, os.O_ASYNC | os.O_WRONLY)
            honest(x, out)
        """,
        NOT_OK,
        quick=True,
    ),
    Attack("kills its group", doing("os.killpg(os.getpgid(os.getppid()), 9)"), NOT_OK),
    Attack(
        "traces the judge",
        doing(
            "raise ValueError(ctypes.CDLL(None).ptrace(16, os.getppid(), None, None))",
            "import ctypes, os",
        ),
        FORBIDDEN,
        quick=True,
    ),
    Attack(
        "reads another process",
        doing("ctypes.CDLL(None).syscall(310, os.getppid(), 0, 0, 0, 0, 0)", "import ctypes, os"),
        FORBIDDEN,
    ),
    Attack("forks", doing("os.fork()"), FORBIDDEN, quick=True),
    Attack("fork bomb", doing("[os.fork() for _ in iter(int, 1)]"), FORBIDDEN),
    Attack(
        "starts a program",
        doing("subprocess.run(['/bin/cp', '{SECRET}', '{WRITTEN}'])", "import subprocess"),
        FORBIDDEN,
    ),
    Attack("becomes a program", doing("os.execv('/bin/sh', ['sh', '-c', 'id'])"), FORBIDDEN),
    Attack(
        "starts processes of Python",
        """
        import multiprocessing
        def kernel(x, out):
            multiprocessing.get_context("fork").Process(target=print).start()
            honest(x, out)
        """,
        FORBIDDEN,
    ),
    Attack(
        "network",
        doing("socket.create_connection(('127.0.0.1', 22), 1)", "import socket"),
        FORBIDDEN,
        quick=True,
    ),
    Attack("asks for names", doing("socket.getaddrinfo('localhost', 80)", "import socket"), FORBIDDEN),
    Attack(
        "abstract socket",
        doing("socket.socket(socket.AF_UNIX).connect('\\0x')", "import socket"),
        FORBIDDEN,
    ),
    Attack(
        "cuts the shared memory",
        """
        import os
        def kernel(x, out):
            for handle in range(3, 40):
                try: os.fstat(handle)
                except OSError: continue
                os.ftruncate(handle, 0)
            honest(x, out)
        """,
        FORBIDDEN,
        quick=True,
    ),
    Attack(
        "cuts the shared memory by its mapping",
        """
        import sys
        def kernel(x, out):
            sys._getframe(1).f_locals["self"].outputs.resize(1)
            honest(x, out)
        """,
        NOT_OK,
    ),
    Attack(
        "makes a hole in the shared memory",
        """
        import ctypes, sys
        def kernel(x, out):
            libc = ctypes.CDLL(None)
            for handle in range(3, 40):
                libc.fallocate(handle, 3, ctypes.c_long(0), ctypes.c_long(1 << 20))
        """,
        NOT_OK,
    ),
    Attack(
        "writes the operands for everybody",
        """
        import mmap, os, sys
        def kernel(x, out):
            handle = sys._getframe(1).f_locals["self"].handle
            with mmap.mmap(handle, 4096, flags=mmap.MAP_SHARED, prot=mmap.PROT_WRITE) as memory:
                memory[:8] = bytes(8)
            honest(x, out)
        """,
        NOT_OK,
    ),
    Attack("closes everything", doing("os.closerange(3, 100)"), NOT_OK),
    Attack(
        "writes into everything",
        """
        import os
        def kernel(x, out):
            for handle in range(3, 40):
                try: os.write(handle, bytes(4096))
                except OSError: pass
            honest(x, out)
        """,
        NOT_OK,
    ),
    Attack("leaves", doing("os._exit(0)"), NOT_OK, quick=True),
    Attack("leaves by an exception", doing("raise SystemExit(0)"), NOT_OK),
    Attack("raises its limits", doing("resource.setrlimit(0, (-1, -1))", "import resource"), NOT_OK),
    Attack("chooses processors", doing("os.sched_setaffinity(0, {0, 1})"), FORBIDDEN),
    Attack("raises its priority", doing("os.nice(-20)"), NOT_OK),
    Attack(
        "new namespaces",
        doing("ctypes.CDLL(None).unshare(0x10000000)", "import ctypes"),
        FORBIDDEN,
    ),
    Attack("io_uring", doing("ctypes.CDLL(None).syscall(425, 8, 0)", "import ctypes"), FORBIDDEN),
    Attack("userfaultfd", doing("ctypes.CDLL(None).syscall(323, 0)", "import ctypes"), FORBIDDEN),
    Attack(
        "programs of the kernel", doing("ctypes.CDLL(None).syscall(321, 0, 0, 0)", "import ctypes"), FORBIDDEN
    ),
    Attack(
        "keys of the kernel", doing("ctypes.CDLL(None).syscall(250, 0, -3, 0)", "import ctypes"), FORBIDDEN
    ),
    Attack(
        "outlives its judge",
        """
        import ctypes
        ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
        def kernel(x, out):
            honest(x, out)
        """,
        NO_GAIN,
    ),
    Attack(
        "takes the filter's signal",
        """
        import os, signal
        signal.signal(signal.SIGSYS, lambda *args: None)
        def kernel(x, out):
            os.kill(os.getppid(), 9)
            honest(x, out)
        """,
        (*NOT_OK, *NO_GAIN),
    ),
    Attack("takes the library", doing("tensorops.softmax(x, out=out)", "import tensorops"), NOT_OK),
    Attack(
        "takes the library from where it stands",
        """
        import os, sys
        folder = os.path.dirname(os.path.dirname(np.__file__))
        tree = sys.modules["box"].__path__[0]
        sys.path[:0] = [folder, *(os.path.join(tree, *[".."] * up) for up in range(6))]
        import tensorops
        def kernel(x, out): tensorops.softmax(x, out=out)
        """,
        REFUSED,
        quick=True,
    ),
)
