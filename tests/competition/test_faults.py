"""Judges that are killed, full disks, clocks that jump: nothing lost, nothing twice, nothing stuck."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from profiling.competition import history, jobs, pack, standings, verdict, work
from profiling.competition.judge import CHECK_ONLY, FOLDERS, QUICK, Judgement, Plan
from profiling.competition.store import Store, StoreError
from profiling.competition.verdict import Verdict
from profiling.competition.worker_identity import Worker

from .attack_suite import boxes
from .test_store import CASES, MACHINE, enter, judge_next, samples

ROOT = Path(__file__).resolve().parents[2]
SHORT = Plan(launches=1, blocks=1, repeats=1)
HONEST = pack.load("softmax").file("baseline.py").read_bytes()
DAWDLES = {
    # Python is Cython, too, and compiled in a second.
    "compile": HONEST,
    "load": b"import time; time.sleep(0.8)\n" + HONEST,
    "check": HONEST + b"    import time; time.sleep(0.04)\n",
    "time": HONEST,
}
JUDGE = """
import os, sys
from pathlib import Path
from profiling.competition import serve, store, validate, work
from profiling.competition.judge import CHECK_ONLY, QUICK
validate.ensure = lambda *args: None
if sys.argv[2] == "die":
    store.Store._add_score = lambda *args: os.kill(os.getpid(), 9)
home = Path(sys.argv[1])
if sys.argv[2] == "serve":
    with store.Store(home) as opened:
        print(serve.serve(opened, home, plan=CHECK_ONLY, once=True))
    sys.exit()
with store.Store(home) as opened:
    print(work.Judge(opened, home, plan=QUICK).run(once=True))
"""


def start(home, word="live"):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", JUDGE, str(home), word]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, cwd=ROOT)


def wait_for(what, seconds=200.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError("waited in vain")


def children(process):
    path = Path(f"/proc/{process}/task/{process}/children")
    try:
        return [int(word) for word in path.read_text().split()]
    except OSError:
        return []


def running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def everything_is_judged_once(store):
    assert store.one("SELECT count(*) AS n FROM job WHERE state != 'done'")["n"] == 0
    rows = store.all("SELECT job, count(*) AS n FROM run GROUP BY job")
    assert all(row["n"] == 1 for row in rows)
    assert len(rows) == store.one("SELECT count(*) AS n FROM job")["n"]


@pytest.mark.parametrize("phase", list(DAWDLES))
def test_a_judge_that_is_killed_loses_nothing(store, home, walls, phase):
    name = "k.pyx" if phase == "compile" else "k.py"
    number = store.submit("ann", "softmax", "one", DAWDLES[phase], name)
    judge = start(home)
    wait_for(lambda: store.one("SELECT 1 FROM job WHERE phase = ?", (phase,)))
    held = children(judge.pid)
    judge.kill()
    judge.communicate()
    # The box ends with its judge, stopped or not.
    wait_for(lambda: not any(running(process) for process in held), 60)
    assert history.runs(store, number) == []
    left = list(Path(tempfile.gettempdir()).glob(f"{FOLDERS}{judge.pid}-*"))
    assert left
    work.Judge(store, home, plan=CHECK_ONLY if phase == "compile" else SHORT).run(once=True)
    assert not any(path.exists() for path in left)
    everything_is_judged_once(store)
    (run,) = history.runs(store, number)
    assert run.verdict in (verdict.OK, verdict.UNSTABLE), run
    assert store.one("SELECT attempt FROM job")["attempt"] == 2
    assert not boxes()


def test_a_server_that_is_killed_goes_on_where_it_was(store, home, walls):
    for name, text in (("ann", DAWDLES["check"]), ("bob", HONEST), ("cy", b"def kernel(x, out): pass")):
        folder = home / "inbox" / name
        folder.mkdir(parents=True)
        (folder / "softmax.py").write_bytes(text)
        os.utime(folder / "softmax.py", (1000, 1000))
    server = start(home, "serve")
    wait_for(lambda: store.one("SELECT 1 FROM job WHERE phase = 'check'"))
    server.kill()
    server.communicate()
    again = start(home, "serve")
    assert int(again.communicate(timeout=250)[0]) == 3
    everything_is_judged_once(store)
    runs = store.all(
        "SELECT participant FROM run JOIN submission ON submission.id = submission ORDER BY run.id"
    )
    assert [row["participant"] for row in runs] == ["ann", "bob", "cy"]
    assert (home / "site" / "submission-3.html").is_file()


def test_a_judge_that_is_killed_while_it_stores_has_stored_nothing(store, home, walls):
    number = store.submit("ann", "softmax", "one", HONEST, "k.py")
    judge = start(home, "die")
    judge.communicate(timeout=250)
    assert judge.returncode == -signal.SIGKILL
    assert history.runs(store, number) == []
    assert store.one("SELECT count(*) AS n FROM sample")["n"] == 0
    work.Judge(store, home, plan=SHORT).run(once=True)
    everything_is_judged_once(store)


def test_two_judges_share_the_work(store, home, walls):
    numbers = [
        store.submit("ann", "softmax", "one", HONEST + f"# {number}\n".encode(), "k.py")
        for number in range(4)
    ]
    judges = [start(home) for _ in range(2)]
    counts = [int(judge.communicate(timeout=250)[0]) for judge in judges]
    assert sum(counts) == len(numbers)
    everything_is_judged_once(store)
    # One kind of source: the samples of all four judgings are pooled.
    last = store.one("SELECT max(launches) AS n FROM score")["n"]
    assert last == QUICK.launches * len(numbers)


def full(store):
    pages = store.one("PRAGMA page_count")[0]
    store.one(f"PRAGMA max_page_count = {pages}")


def roomy(store):
    store.one("PRAGMA max_page_count = 1000000000")


def test_a_full_disk_refuses_a_submission_and_keeps_the_others(store):
    enter(store, "ann", b"x")
    full(store)
    with pytest.raises(StoreError, match="nothing was stored"):
        enter(store, "bob", b"y" * 200_000)
    assert store.one("SELECT count(*) AS n FROM submission")["n"] == 1
    roomy(store)
    assert enter(store, "bob", b"y" * 200_000) == 2


def test_a_verdict_that_does_not_fit_is_judged_again(store):
    enter(store, "ann", b"x")
    worker = Worker.current()
    job = store.lease(worker, "00", "h")
    full(store)
    large = samples(2.0, launches=300)
    with pytest.raises(StoreError):
        store.finish(job, worker, Judgement(Verdict(verdict.OK, "score"), large, "w"), "v", MACHINE, CASES)
    assert store.one("SELECT count(*) AS n FROM run")["n"] == 0
    roomy(store)
    store.give_back(job, worker)
    judge_next(store, 2.0)
    everything_is_judged_once(store)


def test_a_worker_survives_a_full_disk(store, home, walls, monkeypatch):
    store.submit("ann", "softmax", "one", b"def kernel(x, out): pass", "k.py")
    judge = work.Judge(store, home, plan=CHECK_ONLY)
    kept = Store.finish

    def fails(*args):
        monkeypatch.setattr(Store, "finish", kept)
        raise StoreError("full")

    monkeypatch.setattr(Store, "finish", fails)
    with pytest.raises(StoreError):
        judge.run(once=True)
    assert judge.run(once=True) == 1
    everything_is_judged_once(store)


def test_a_clock_that_jumps_changes_no_order_and_no_lease(store, monkeypatch):
    clock = iter([3e9, 1e9, 2e9, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0])
    monkeypatch.setattr(jobs.time, "time", lambda: next(clock))
    numbers = [enter(store, who, who.encode()) for who in ("ann", "bob", "cy")]
    worker = Worker.current()
    job = store.lease(worker, "00", "h")
    assert job.submission.id == numbers[0]
    # Nobody else takes it, whatever the clock says.
    assert store.lease(worker, "00", "h").submission.id == numbers[1]
    found = Judgement(Verdict(verdict.OK, "score"), samples(2.0), sandbox="walls", seed="00")
    assert store.finish(job, worker, found, "v1", MACHINE, CASES) is not None


def test_ties_follow_the_order_of_submission_not_the_clock(store, monkeypatch):
    clock = iter([3e9, 1.0, *range(10, 30)])
    monkeypatch.setattr(jobs.time, "time", lambda: next(clock))
    enter(store, "first", b"a")
    enter(store, "second", b"b")
    judge_next(store, 2.0)
    judge_next(store, 2.002)
    (key,) = standings.keys(store)
    assert [entry.participant for entry in standings.board(store, key)] == ["first", "second"]


def test_a_judge_that_hangs_loses_its_lease(store, monkeypatch):
    enter(store, "ann", b"x")
    worker = Worker.current()
    hung = store.lease(worker, "00", "h")
    later = jobs.boot_time() + 2 * jobs.LEASE_SECONDS
    monkeypatch.setattr(jobs, "boot_time", lambda: later)
    taken = store.lease(worker, "11", "h")
    assert taken.id == hung.id
    found = Judgement(Verdict(verdict.OK, "score"), samples(2.0), sandbox="walls", seed="00")
    assert store.finish(hung, worker, found, "v1", MACHINE, CASES) is None
    assert store.finish(taken, worker, found, "v1", MACHINE, CASES) is not None


def test_a_class_hands_in_at_once(store, home, walls):
    folder = home / "inbox"
    for number in range(50):
        who = folder / f"participant {number % 10}"
        who.mkdir(parents=True, exist_ok=True)
        path = who / f"softmax_{number}.py"
        path.write_text(f"raise ValueError({number})\n")
        os.utime(path, (1000 + number, 1000 + number))
    from profiling.competition.serve import serve

    assert serve(store, home, plan=CHECK_ONLY, once=True) == 50
    everything_is_judged_once(store)
    files = [row["file"] for row in store.all("SELECT file FROM submission ORDER BY id")]
    assert files == [f"softmax_{number}.py" for number in range(50)]
    rows = store.all("SELECT submission, verdict FROM run ORDER BY id")
    assert [row["submission"] for row in rows] == list(range(1, 51))
    assert {row["verdict"] for row in rows} == {verdict.LOAD_ERROR}
