"""The sampler finds what is hot in every thread, disturbs nobody, and says where it cannot work."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from profiling.collect import sampler as module
from profiling.collect.native_lines import pyx_line_times, why_unavailable
from profiling.collect.sampler import Sampler
from profiling.collect.samples import line_times
from profiling.collect.spool import read_spool

pytestmark = pytest.mark.skipif(module.why_unavailable() is not None, reason=str(module.why_unavailable()))

ROOT = Path(__file__).resolve().parents[2]
# Long enough for some hundred samples, on a machine that does other things as well.
SECONDS = 0.4


def spin(seconds=SECONDS):
    end = time.thread_time() + seconds
    total = 0
    while time.thread_time() < end:
        for number in range(2000):
            total += number * number  # the hot line
    return total


def line_of(text, function=spin):
    source = Path(function.__code__.co_filename).read_text().splitlines()
    first = function.__code__.co_firstlineno
    return next(number for number, line in enumerate(source[first - 1 :], first) if text in line)


def own_times(sampler):
    return line_times(sampler.samples(), lambda filename: filename == __file__)


def running_seconds(samples, **wanted):
    return sum(
        sample.seconds
        for sample in samples
        if sample.running and all(getattr(sample, name) == value for name, value in wanted.items())
    )


def run_script(text, *arguments, check=True):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=check,
    )


def test_the_hot_line_of_a_python_function_ranks_first():
    with Sampler() as sampler:
        spin()
    (filename, function, first_line, line), hottest = next(iter(own_times(sampler).items()))
    assert (filename, function, first_line) == (__file__, "spin", spin.__code__.co_firstlineno)
    assert line in (line_of("the hot line"), line_of("in range(2000)"))
    assert hottest.samples > 20


def test_running_samples_add_up_to_the_processor_time():
    begun = time.process_time()
    with Sampler() as sampler:
        spin()
    used = time.process_time() - begun
    # What starting and stopping takes is in one of them only.
    assert 0.7 * SECONDS < running_seconds(sampler.samples()) <= 1.02 * used


def test_callers_stand_behind_the_innermost_frame():
    def outer():
        return spin()

    with Sampler() as sampler:
        outer()
    stacks = [sample.frames for sample in sampler.samples() if sample.frames[:1]]
    names = [[frame.function.rpartition(".")[2] for frame in stack] for stack in stacks]
    deepest = max(names, key=lambda stack: stack.count("spin"))
    assert deepest[deepest.index("spin") :][:2] == ["spin", "outer"]


def test_a_deep_stack_is_cut_off_at_its_outer_end():
    def deep(depth):
        return deep(depth - 1) if depth else spin()

    with Sampler() as sampler:
        deep(200)
    # Idle threads of other libraries are sampled too.
    longest = max(sampler.samples(), key=lambda sample: sample.seconds * sample.running)
    assert len(longest.frames) == 24
    assert longest.frames[0].function == "spin"


def test_generators_and_fresh_code_are_named_rightly():
    def numbers():
        spin(SECONDS / 2)
        yield 1

    source = "\n" * 6 + "spin(seconds)\n"
    with Sampler() as sampler:
        list(numbers())
        for _ in range(20):
            exec(compile(source, "fresh ü.py", "exec"), {"spin": spin, "seconds": SECONDS / 40})
    frames = {frame for sample in sampler.samples() for frame in sample.frames}
    assert any(frame.function.endswith("numbers") for frame in frames)
    fresh = {(frame.function, frame.line) for frame in frames if frame.filename == "fresh ü.py"}
    assert fresh == {("<module>", 7)}


def test_every_thread_is_sampled_also_one_started_later():
    before = threading.Event()
    early = threading.Thread(target=lambda: (before.wait(), spin()))
    early.start()
    with Sampler() as sampler:
        before.set()
        late = threading.Thread(target=spin)
        late.start()
        numbers = {early.native_id, late.native_id}
        early.join()
        late.join()
    samples = sampler.samples()
    for number in numbers:
        assert running_seconds(samples, thread=number) > 0.5 * SECONDS


def test_a_waiting_thread_waits_at_its_line():
    def wait():
        time.sleep(3 * SECONDS)

    with Sampler() as sampler:
        wait()
    times = {key[1:]: entry for key, entry in own_times(sampler).items()}
    entry = times[wait.__qualname__, wait.__code__.co_firstlineno, wait.__code__.co_firstlineno + 1]
    assert entry.waiting_seconds > SECONDS
    assert entry.seconds < entry.waiting_seconds / 2


def test_the_ladder_s_inner_loop_ranks_first():
    from tensorops.kernels import ladder

    source = Path(ladder.__file__).with_name("ladder.pyx").read_text().splitlines()
    a, c = np.ones((160, 160)), np.empty((160, 160))
    with Sampler() as sampler:
        end = time.thread_time() + SECONDS
        while time.thread_time() < end:
            ladder.naive(a, a, c)
    samples = sampler.samples()
    kernel = next(sample.module for sample in samples if sample.module and "ladder" in sample.module)
    if why_unavailable(kernel) is not None:
        pytest.skip(str(why_unavailable(kernel)))
    (filename, function, first_line, line), hottest = next(iter(pyx_line_times(samples).items()))
    assert Path(filename).name == "ladder.pyx"
    assert function == "naive"
    assert source[first_line - 1].startswith("def naive(")
    assert source[line - 1].strip() in ("for p in range(k):", "total = total + a[i, p] * b[p, j]")
    assert hottest.seconds > 0.5 * running_seconds(samples)


def test_worker_threads_have_time_but_no_python_frames():
    import tensorops
    from tensorops.runtime import openmp

    if not openmp.enabled() or openmp.get_num_threads() == 1:
        pytest.skip("products run on one thread here")
    a = np.ones((768, 768), np.float32)
    with tensorops.use_backend("blocked"):
        with Sampler() as sampler:
            end = time.thread_time() + SECONDS
            while time.thread_time() < end:
                tensorops.matmul(a, a)
    samples = sampler.samples()
    python = {thread.native_id for thread in threading.enumerate()}
    workers = [sample for sample in samples if sample.thread not in python and "ukr" in (sample.module or "")]
    assert workers
    assert all(sample.frames == () for sample in workers)


def test_several_hundred_samples_survive_a_thread_that_keeps_the_interpreter_lock():
    with Sampler() as sampler:
        end = time.thread_time() + SECONDS
        while time.thread_time() < end:
            sum(range(3_000_000))
    assert sampler.lost == 0
    assert running_seconds(sampler.samples()) > 0.5 * SECONDS


def test_the_program_s_own_signals_and_timers_are_left_alone():
    hits = []
    previous = signal.signal(signal.SIGPROF, lambda number, frame: hits.append(number))
    try:
        with Sampler() as sampler:
            signal.setitimer(signal.ITIMER_PROF, 0.01, 0.01)
            spin()
            signal.setitimer(signal.ITIMER_PROF, 0)
    finally:
        signal.signal(signal.SIGPROF, previous)
    assert hits
    assert len(hits) < 2 * SECONDS / 0.01
    assert sampler.notes == ()
    assert running_seconds(sampler.samples()) > 0.5 * SECONDS


def test_a_program_that_takes_the_sampler_s_signal_is_told_of_and_the_samples_go_on():
    done = run_script(
        """
        import signal, time
        from profiling.collect.sampler import Sampler
        def spin(seconds):
            end = time.thread_time() + seconds
            while time.thread_time() < end:
                pass
        caught = []
        with Sampler() as sampler:
            spin(0.2)
            for number in range(signal.SIGRTMAX - 2, signal.SIGRTMAX - 4, -1):
                signal.signal(number, lambda number, frame: caught.append(number))
            spin(0.6)
        print(sum(sample.seconds for sample in sampler.samples() if sample.running) > 0.4)
        print(*sampler.notes)
        """
    )
    answer, note = done.stdout.splitlines()
    assert answer == "True"
    assert "a handler of its own" in note


def test_the_signal_is_given_back():
    with Sampler():
        spin(0.01)
    for number in range(signal.SIGRTMIN + 3, signal.SIGRTMAX - 1):
        assert signal.getsignal(number) == signal.SIG_DFL


def test_system_calls_are_not_cut_short():
    reader, writer = os.pipe()
    with Sampler():
        threading.Timer(0.3, lambda: os.write(writer, b"x")).start()
        spin(0.05)
        assert os.read(reader, 1) == b"x"
        begun = time.monotonic()
        time.sleep(0.1)
        assert time.monotonic() - begun >= 0.1
    os.close(reader)
    os.close(writer)


def test_a_forked_child_runs_unsampled_and_writes_nothing(tmp_path):
    done = run_script(
        """
        import os, sys, time
        from profiling.collect.sampler import Sampler
        def spin(seconds):
            end = time.thread_time() + seconds
            while time.thread_time() < end:
                pass
        def child(sampler):
            before = len(sampler.samples())
            spin(0.1)
            assert len(sampler.samples()) == before
            sampler.stop()
            with Sampler() as own:
                spin(0.1)
            assert own.samples()
        sampler = Sampler(spool=sys.argv[1])
        with sampler:
            spin(0.1)
            process = os.fork()
            if process == 0:
                try:
                    child(sampler)
                    os._exit(7)
                finally:
                    os._exit(8)
            print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
            spin(0.1)
        print({sample.thread for sample in sampler.samples()} == {os.getpid()})
        """,
        tmp_path / "spool",
    )
    assert done.stdout.splitlines() == ["7", "True"], done.stderr
    assert len({sample.thread for sample in read_spool(tmp_path / "spool").samples}) == 1


def test_other_programs_started_from_it_are_not_killed(tmp_path):
    script = """
        import os, subprocess, sys, time
        from profiling.collect.sampler import Sampler
        sampler = Sampler(1e-4, spool=sys.argv[1])
        sampler.start()
        for _ in range(20):
            assert subprocess.run([sys.executable, "-S", "-c", "sum(range(10**5))"]).returncode == 0
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            pass
        try:
            os.execv("/nowhere/at/all", ["all"])
        except FileNotFoundError:
            pass
        os.execv(sys.executable, [sys.executable, "-S", "-c", "sum(range(10**7)); print('done')"])
        """
    for _ in range(3):
        done = run_script(script, tmp_path / "spool")
        assert done.stdout == "done\n", done.stderr
        # What was found before the exec is in the spool.
        assert running_seconds(read_spool(tmp_path / "spool").samples) > 0.1


def test_after_an_exec_that_failed_the_sampling_goes_on():
    done = run_script(
        """
        import os, time
        from profiling.collect.sampler import Sampler
        with Sampler() as sampler:
            try:
                os.execv("/nowhere/at/all", ["all"])
            except FileNotFoundError:
                pass
            end = time.monotonic() + 1.7
            while time.monotonic() < end:
                pass
        print(sum(sample.seconds for sample in sampler.samples() if sample.running) > 0.02)
        """
    )
    assert done.stdout == "True\n", done.stderr


def test_a_killed_process_leaves_its_spool(tmp_path):
    spool = tmp_path / "spool"
    script = """
        import os, signal, sys, time
        from profiling.collect.sampler import Sampler
        Sampler(spool=sys.argv[1]).start()
        def hot():
            end = time.monotonic() + 60
            while time.monotonic() < end:
                if os.path.getsize(sys.argv[1]) > 2000:
                    os.kill(os.getpid(), signal.SIGKILL)
        hot()
        """
    done = run_script(script, spool, check=False)
    assert done.returncode == -signal.SIGKILL
    found = read_spool(spool)
    assert found.interval == 1e-3
    assert found.seconds > 0
    assert running_seconds(found.samples) > 0
    assert any(frame.function == "hot" for sample in found.samples for frame in sample.frames)


def test_the_spool_holds_what_the_sampler_holds(tmp_path):
    with Sampler(spool=tmp_path / "spool") as sampler:
        spin()
    found = read_spool(tmp_path / "spool")

    def rounded(samples):
        return {replace(sample, seconds=round(sample.seconds, 6)) for sample in samples}

    assert rounded(found.samples) == rounded(sampler.samples())
    assert found.seconds == pytest.approx(sampler.seconds)
    assert found.lost == sampler.lost


def test_a_spool_that_cannot_be_written_is_an_error_at_first_and_a_note_later(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        Sampler(spool=tmp_path / "nowhere" / "spool").start()
    spool = tmp_path / "folder" / "spool"
    spool.parent.mkdir()
    with Sampler(spool=spool) as sampler:
        spin(0.05)
        spool.unlink()
        spool.parent.rmdir()
    assert "could not be written" in sampler.notes[0]
    assert running_seconds(sampler.samples()) > 0


def test_samples_can_be_had_while_it_runs_and_it_can_be_started_anew():
    sampler = Sampler()
    with sampler:
        spin(0.1)
        early = running_seconds(sampler.samples())
        assert 0 < early
        spin(0.1)
        assert running_seconds(sampler.samples()) > early
        with pytest.raises(RuntimeError, match="running in this process already"):
            Sampler().start()
    assert sampler.seconds > 0.1
    before = sampler.samples()
    assert sampler.samples() == before
    sampler.stop()
    with sampler:
        pass
    assert running_seconds(sampler.samples()) < running_seconds(before)


@pytest.mark.parametrize("interval", [0, 1e-5, 2, float("nan")])
def test_an_interval_out_of_range_is_an_error(interval):
    with pytest.raises(ValueError, match="interval must be from"):
        Sampler(interval)


def test_a_longer_interval_takes_fewer_samples():
    counts = []
    for interval in (1e-3, 2e-2):
        with Sampler(interval) as sampler:
            spin()
        counts.append(sum(sample.samples for sample in sampler.samples() if sample.running))
    assert counts[1] < counts[0] / 3


def test_many_threads_at_once():
    together = threading.Barrier(30)

    def work():
        # Longer than it takes to find a new thread, and not over before the last one has begun to work.
        together.wait()
        spin(SECONDS / 20)
        time.sleep(0.3)
        spin(SECONDS / 20)
        together.wait()

    threads = [threading.Thread(target=work) for _ in range(30)]
    with Sampler() as sampler:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    samples = sampler.samples()
    assert {thread.native_id for thread in threads} <= {sample.thread for sample in samples}


def test_importing_the_sampler_needs_no_numpy():
    done = run_script("import sys, profiling.collect.sampler; print('numpy' in sys.modules)")
    assert done.stdout == "False\n"


def test_leaving_without_stopping_is_no_crash():
    script = """
        import threading, time
        from profiling.collect.sampler import Sampler
        Sampler(1e-4).start()
        def work():
            while True:
                sum(range(1000))
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.2)
        """
    for _ in range(5):
        done = run_script(script)
        assert done.stderr == ""
