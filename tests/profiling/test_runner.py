"""A program runs as it would alone, and leaves what was measured however it ends."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import profiling
from profiling.collect.runner import run_program
from profiling.collect.sampler import why_unavailable
from profiling.targets import FunctionTarget, ScriptTarget

SAMPLED = pytest.mark.skipif(why_unavailable() is not None, reason=str(why_unavailable()))
BUSY = """
def busy(seconds):
    import time
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(100))
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text, name="script.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


def run(path, *arguments, **options):
    return run_program(ScriptTarget(str(path), arguments=arguments).to_dict(), **options)


LOOK = """
import json, os, sys, threading
found = {
    "argv": sys.argv, "name": __name__, "file": __file__, "path": sys.path, "cwd": os.getcwd(),
    "package": __package__, "spec": __spec__ is None, "loader": type(__loader__).__name__,
    "threads": len(threading.enumerate()), "names": sorted(globals()), "input": sys.stdin.read(),
    "main": sys.modules["__main__"].__dict__ is globals(), "numpy": "numpy" in sys.modules,
    "trace": sys.gettrace() is None, "profile": sys.getprofile() is None,
}
with open(sys.argv[1], "w") as file:
    json.dump(found, file)
"""


def test_a_script_finds_its_process_as_python_leaves_it(script, tmp_path):
    import json

    path = script(LOOK)
    plain, measured = tmp_path / "plain.json", tmp_path / "measured.json"
    # In a process of its own, so that standard input can be given to it.
    driver = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from profiling.collect.runner import run_program; from profiling.targets import ScriptTarget\n"
        "run_program(ScriptTarget('script.py', arguments=(sys.argv[2], 'x y')).to_dict())"
    )
    root = Path(profiling.__file__).parent.parent
    subprocess.run([sys.executable, "script.py", plain, "x y"], input="in\n", text=True, check=True)
    subprocess.run([sys.executable, "-c", driver, root, measured], input="in\n", text=True, check=True)
    one, other = (json.loads(file.read_text()) for file in (plain, measured))
    assert one.pop("argv") == ["script.py", str(plain), "x y"]
    assert other.pop("argv") == ["script.py", str(measured), "x y"]
    assert other == one
    assert path.exists()


@pytest.mark.parametrize(
    ("end", "ended", "code", "message"),
    [
        ("pass", "returned", 0, ""),
        ("raise ValueError('no good')", "raised", 1, "ValueError: no good, in script.py line"),
        ("sys.exit(3)", "exited", 3, "sys.exit(3)"),
        ("sys.exit()", "exited", 0, ""),
        ("sys.exit('words')", "exited", 1, "sys.exit('words')"),
        ("os._exit(4)", "os._exit", 4, ""),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed", 128 + signal.SIGKILL, "SIGKILL"),
        ("os.abort()", "killed", 128 + signal.SIGABRT, "SIGABRT"),
        ("raise KeyboardInterrupt", "interrupted", 130, ""),
        ("os.execv(sys.executable, [sys.executable, '-c', 'pass'])", "vanished", 0, ""),
    ],
)
def test_however_it_ends_there_are_figures_and_the_right_code(script, capfd, end, ended, code, message):
    path = script(
        f"""
        import os, signal, sys, time
        import numpy as np
        {BUSY.replace(chr(10), chr(10) + " " * 8)}
        busy(0.25)
        kept = [np.ones(1000) for _ in range(10)]
        print("its output", flush=True)
        time.sleep({1.3 if ended in ("killed", "vanished") else 0})  # Until they were flushed.
        {end}
        """
    )
    collected = run(path)
    assert (collected.ended, collected.exit_code) == (ended, code)
    assert message in collected.message
    out, _ = capfd.readouterr()
    assert out == "its output\n"
    lines = [entry for entry in collected.allocations["lines"] if entry["filename"] == str(path)]
    assert [entry["count"] for entry in lines if entry["bytes"] == 80_000] == [10]
    if why_unavailable() is None:
        assert sum(sample.seconds for sample in collected.samples if sample.running) > 0.2
    assert collected.wall > 0.2


def test_the_traceback_is_the_scripts_own(script, capfd):
    path = script("def f():\n    return 1 / 0\nf()\n")
    collected = run(path)
    alone = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert capfd.readouterr().err == alone.stderr
    assert collected.exit_code == alone.returncode == 1


def test_buffers_are_counted_from_numpys_import_on_in_all_threads(script):
    path = script(
        """
        import threading
        import numpy as np
        def work():
            for _ in range(20):
                np.ones(100)
        work()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """
    )
    collected = run(path)
    (line,) = [entry for entry in collected.allocations["lines"] if entry["function"] == "work"]
    assert (line["count"], line["bytes"], line["line"]) == (40, 40 * 800, 6)


def test_without_numpy_nothing_is_counted_and_numpy_is_not_loaded(script):
    path = script("import sys\nsys.exit('numpy' in sys.modules)\n")
    collected = run(path)
    assert collected.exit_code == 0
    assert collected.allocations is None
    assert collected.operations is None


MANY_SMALL_OPERATIONS = """
import time
import numpy as np
x = np.ones(4)
end = time.process_time() + 1.5
while time.process_time() < end:
    for _ in range(1000):
        x + x
"""


@pytest.mark.parametrize("all_operations", [False, True])
def test_counting_operations_ends_where_it_would_slow_the_script_down(script, all_operations):
    collected = run(script(MANY_SMALL_OPERATIONS), all_operations=all_operations)
    assert collected.operations["complete"] == all_operations
    assert collected.operations["calls"] > 1000
    assert ("--all-operations" in collected.operations["gaps"][0]) != all_operations


def test_a_thread_variable_set_before_numpy_is_obeyed(script):
    path = script(
        """
        import os, sys
        os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
        import numpy
        from threadpoolctl import threadpool_info
        sys.exit(max([1] + [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]))
        """
    )
    assert run(path).exit_code == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_children_are_left_alone_and_told(script, capfd):
    path = script(
        f"""
        import atexit, os, sys, warnings
        import numpy as np
        warnings.simplefilter("ignore")
        {BUSY.replace(chr(10), chr(10) + " " * 8)}
        atexit.register(lambda: print("end", flush=True))
        if os.fork() == 0:
            busy(0.2)
            sys.exit(5)
        _, status = os.wait()
        sys.exit(os.waitstatus_to_exitcode(status) + 1)
        """
    )
    collected = run(path)
    assert (collected.exit_code, collected.forks) == (6, 1)
    assert collected.children_cpu > 0.1
    assert collected.message == "sys.exit(6)"
    assert capfd.readouterr().out == "end\nend\n"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_works(script, capfd, method):
    path = script(
        f"""
        import multiprocessing, warnings
        warnings.simplefilter("ignore")
        def square(x):
            return x * x
        if __name__ == "__main__":
            with multiprocessing.get_context("{method}").Pool(2) as pool:
                print(pool.map(square, range(4)), flush=True)
        """
    )
    assert run(path).ended == "returned"
    assert capfd.readouterr().out == "[0, 1, 4, 9]\n"


@SAMPLED
def test_tracers_profilers_and_signals_of_the_script_work_beside(script, capfd):
    path = script(
        f"""
        import signal, sys
        {BUSY.replace(chr(10), chr(10) + " " * 8)}
        events = []
        def trace(frame, event, argument):
            events.append(event)
            return trace
        def alarm(*_):
            events.append("alarm")
        for number in (signal.SIGALRM, signal.SIGPROF, signal.SIGVTALRM, signal.SIGUSR1):
            signal.signal(number, alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        sys.settrace(trace)
        busy(0.02)
        sys.settrace(None)
        busy(0.3)
        print("call" in events, "line" in events, events.count("alarm"))
        """
    )
    collected = run(path)
    assert collected.ended == "returned"
    assert capfd.readouterr().out == "True True 1\n"
    assert sum(sample.seconds for sample in collected.samples if sample.running) > 0.1


@SAMPLED
def test_a_killed_script_keeps_what_was_flushed(script):
    """Killed from outside, as the system does when memory runs out."""
    path = script(f"import os\n{BUSY}\nopen('pid', 'w').write(str(os.getpid()))\nbusy(60)\n")
    pid = path.parent / "pid"

    def kill():
        while not (pid.exists() and pid.read_text()):
            time.sleep(0.01)
        time.sleep(1.8)
        os.kill(int(pid.read_text()), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    collected = run(path)
    thread.join()
    assert (collected.ended, collected.exit_code, collected.message) == ("killed", 137, "SIGKILL")
    assert 0.1 < sum(sample.seconds for sample in collected.samples if sample.running) < 5


def test_a_module_runs_as_python_m_runs_it(script, capfd):
    script("import sys\nprint(__name__, __package__, __spec__.name, sys.argv[1:], flush=True)\n", "mod.py")
    collected = run_program(ScriptTarget("", "mod", ("a",)).to_dict())
    assert collected.ended == "returned"
    assert capfd.readouterr().out == "__main__  mod ['a']\n"
    collected = run_program(ScriptTarget("", "no_such_module").to_dict())
    assert collected.ended == "unusable"
    assert "no module named no_such_module" in collected.message


def test_a_function_is_counted_in_one_call_and_sampled_in_many(script):
    script("import numpy as np\ndef f(n, scale=1):\n    return np.ones(n) * scale\n", "mod.py")
    target = FunctionTarget("mod", "f", "size = 1000", "size, scale=2")
    collected = run_program(target.to_dict(), seconds=0.2)
    assert collected.ended == "returned"
    assert collected.calls > 100
    (line,) = collected.allocations["lines"]
    assert (line["line"], line["count"], line["bytes"]) == (3, 2, 16_000)
    assert {entry["name"]: entry["calls"] for entry in collected.operations["operations"]}["multiply"] == 1


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (FunctionTarget("nosuchmod", "f"), "no module named 'nosuchmod'"),
        (FunctionTarget("mod", "functio"), "has no 'functio'; did you mean function?"),
        (FunctionTarget("mod", "number"), "is a int, not a function"),
        (FunctionTarget("mod", "function", "1 / 0"), "--setup '1 / 0' failed: ZeroDivisionError"),
        (FunctionTarget("mod", "function", "", "x"), "--args 'x' failed: NameError: name 'x' is not defined"),
        (FunctionTarget("mod", "function", "", "1 +"), "--args '1 +' failed: SyntaxError"),
    ],
)
def test_what_cannot_be_called_is_told(script, target, message):
    script("def function(x):\n    pass\nnumber = 1\n", "mod.py")
    collected = run_program(target.to_dict())
    assert (collected.ended, collected.exit_code) == ("unusable", 2)
    assert message in collected.message


FOLLOWED = """
import threading
import helper
def count(n):
    total = 0
    for i in range(n):
        total += i
    return total
thread = threading.Thread(target=count, args=(10,))
thread.start()
thread.join()
count(20)
helper.work(5)
kept = bytearray(30_000_000)
"""


def test_line_profiler_counts_hits_in_all_threads_and_modules(script):
    helper = script("def work(n):\n    return [x for x in range(n)]\n", "helper.py")
    path = script(FOLLOWED)
    functions = [(str(path), "count"), (str(helper), "work")]
    collected = run(path, mode="lines", functions=functions, budget=10**6)
    hits = {(entry["filename"], entry["line"]): entry["hits"] for entry in collected.traced["lines"]}
    assert hits[str(path), 6] == 32
    assert hits[str(path), 7] == 30
    assert (str(path), 12) not in hits
    assert (str(helper), 2) in hits
    assert collected.traced["stopped"] is None


def test_line_profiler_stops_at_its_budget_and_the_script_goes_on(script, capfd):
    path = script(FOLLOWED.replace("count(20)", "print(count(2_000_000), flush=True)"))
    script("def work(n):\n    pass\n", "helper.py")
    collected = run(path, mode="lines", functions=[(str(path), "count")], budget=50_000)
    assert capfd.readouterr().out == f"{sum(range(2_000_000))}\n"
    assert "script.py:" in collected.traced["stopped"]
    hits = sum(entry["hits"] for entry in collected.traced["lines"])
    assert 50_000 <= hits < 3_000_000


def test_memory_profiler_finds_where_the_process_grows(script):
    pytest.importorskip("memory_profiler")
    path = script(FOLLOWED)
    script("def work(n):\n    pass\n", "helper.py")
    collected = run(path, mode="memory", functions=[(str(path), "<module>")], budget=10**4)
    growth = {entry["line"]: entry["growth"] for entry in collected.traced["lines"]}
    assert max(growth, key=growth.get) == 14
    assert growth[14] > 25_000_000
