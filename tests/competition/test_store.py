"""What the store promises: nothing lost, nothing twice, one ranking."""

from __future__ import annotations

import math

import pytest

from profiling.competition import history, standings, verdict
from profiling.competition.judge import CaseSamples, Judgement
from profiling.competition.store import MOST_ATTEMPTS, Store, StoreError
from profiling.competition.verdict import Verdict
from profiling.competition.worker_identity import Worker
from profiling.measure.stats import Interval

CASES = ["wide"]
MACHINE = "a machine"


def samples(speed, launches=3, spread=0.002):
    found = []
    for launch in range(launches):
        ours = tuple(1e-3 / speed * math.exp(spread * ((launch * 7 + n * 5) % 9 - 4)) for n in range(16))
        found.append(CaseSamples("wide", launch, (2, 2), ours, (1e-3,) * 16))
    return found


def judge_next(store, speed=1.0, name=verdict.OK, spread=0.002, version="v1", **more):
    worker = Worker.current()
    job = store.lease(worker, "ab" * 32, "hash")
    taken = samples(speed, spread=spread)
    found = Judgement(Verdict(name, "score", **more), taken, sandbox="walls", seed="ab" * 32)
    return store.finish(job, worker, found, version, MACHINE, CASES)


def enter(store, who, code, **more):
    return store.submit(who, "softmax", more.pop("track", "one"), code, more.pop("file", "k.py"), **more)


def the_board(store):
    (key,) = standings.keys(store)
    return standings.board(store, key)


def test_jobs_are_taken_in_order_and_once(store):
    numbers = [enter(store, who, who.encode()) for who in ("ann", "bob", "cy")]
    worker = Worker.current()
    taken = [store.lease(worker, "00", "h").submission.id for _ in numbers]
    assert taken == numbers
    assert store.lease(worker, "00", "h") is None


def test_a_dead_workers_job_goes_to_the_next(store):
    enter(store, "ann", b"x")
    dead = Worker("another-boot 1 1")
    lost = store.lease(dead, "00", "h")
    found = store.lease(Worker.current(), "11", "h")
    assert (found.id, found.attempt) == (lost.id, 2)
    # The one that was thought dead comes back: its result must not count.
    judgement = Judgement(Verdict(verdict.OK, "score"), samples(1.0), seed="00")
    assert store.finish(lost, dead, judgement, "v1", MACHINE, CASES) is None
    assert store.finish(found, Worker.current(), judgement, "v1", MACHINE, CASES) is not None
    assert store.one("SELECT count(*) AS n FROM run")["n"] == 1


def test_a_job_that_kills_its_judges_ends_with_a_verdict(store):
    number = enter(store, "ann", b"x")
    for _ in range(MOST_ATTEMPTS):
        assert store.lease(Worker("another-boot 1 1"), "00", "h") is not None
    assert store.lease(Worker.current(), "00", "h") is None
    assert history.state(store, number) == verdict.JUDGE_ERROR


def test_a_job_that_is_given_back_is_tried_again(store):
    enter(store, "ann", b"x")
    worker = Worker.current()
    first = store.lease(worker, "00", "h")
    assert store.renew(first, worker, "check")
    store.give_back(first, worker)
    assert not store.renew(first, worker, "check")
    assert store.lease(worker, "00", "h").attempt == 2


def test_a_failed_transaction_leaves_nothing(store):
    with pytest.raises(RuntimeError), store.transaction():
        store.all("INSERT INTO meta VALUES ('half', 'done')")
        raise RuntimeError
    assert store.one("SELECT * FROM meta WHERE key = 'half'") is None


def test_a_file_of_a_newer_version_is_refused(store, home):
    store.all("UPDATE meta SET value = '99' WHERE key = 'schema'")
    with pytest.raises(StoreError, match="newer"):
        Store(home)


def test_what_is_no_database_is_refused(tmp_path):
    (tmp_path / "competition.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreError, match="cannot be used"):
        Store(tmp_path)


def test_the_faster_stands_first_and_equals_are_tied(store):
    for who, speed in (("slow", 1.0), ("fast", 2.0), ("equal", 2.004)):
        enter(store, who, who.encode())
        judge_next(store, speed)
    entries = the_board(store)
    assert [(entry.rank, entry.tied, entry.participant) for entry in entries] == [
        (1, True, "fast"),
        (1, True, "equal"),
        (3, False, "slow"),
    ]


def test_samples_of_the_same_source_are_pooled_and_none_is_chosen(store):
    for code, speed in ((b"x = 1", 2.0), (b"x  =  1  # lucky", 2.4)):
        enter(store, "ann", code)
        judge_next(store, speed)
    (entry,) = the_board(store)
    assert entry.launches == 6
    assert 1.99 < entry.score.estimate < 2.41
    assert entry.score.low < 2.1


def test_the_better_of_two_sources_counts(store):
    for code, speed in ((b"a", 2.0), (b"b", 1.5)):
        enter(store, "ann", code)
        judge_next(store, speed)
    (entry,) = the_board(store)
    assert entry.submission == 1


@pytest.mark.parametrize("name", [verdict.WRONG_ANSWER, verdict.CRASH, verdict.JUDGE_ERROR])
def test_only_right_kernels_are_ranked(store, name):
    enter(store, "ann", b"a")
    judge_next(store, 2.0, name)
    assert standings.keys(store) == []
    assert store.one("SELECT count(*) AS n FROM sample")["n"] == 0


def test_scattered_times_are_unstable_until_more_are_pooled(store):
    number = enter(store, "ann", b"a")
    judge_next(store, 2.0, spread=0.3)
    assert history.state(store, number) == verdict.UNSTABLE
    assert standings.keys(store) == []
    for _ in range(3):
        store.judge_again(number)
        judge_next(store, 2.0)
    (entry,) = the_board(store)
    assert entry.launches == 12


def test_results_without_a_sandbox_are_not_ranked(store):
    enter(store, "ann", b"a")
    worker = Worker.current()
    job = store.lease(worker, "00", "h")
    found = Judgement(Verdict(verdict.OK, "score"), samples(2.0), sandbox="none", seed="00")
    store.finish(job, worker, found, "v1", MACHINE, CASES)
    assert standings.keys(store) == []


def test_a_teacher_hides_and_shows(store):
    number = enter(store, "ann", b"a")
    judge_next(store, 2.0)
    for subject, key in (("hidden", str(number)), ("hidden participant", "ann")):
        store.decide(subject, key, "1")
        assert standings.keys(store) == []
        store.decide(subject, key, "0")
        assert len(the_board(store)) == 1


def test_what_comes_after_the_deadline_is_judged_and_not_ranked(store):
    enter(store, "ann", b"a")
    judge_next(store, 2.0)
    store.decide("deadline", "softmax", "1.0")
    assert standings.keys(store) == []
    store.decide("deadline", "softmax", "9e9")
    assert len(the_board(store)) == 1


def test_one_origin_is_taken_once(store):
    numbers = {enter(store, "ann", b"a", origin="ann/k.py#1") for _ in range(3)}
    assert len(numbers) == 1


def test_a_measured_noise_widens_the_ties(store):
    for who, speed in (("ann", 2.0), ("bob", 2.06)):
        enter(store, who, who.encode())
        judge_next(store, speed)
    assert [entry.rank for entry in the_board(store)] == [1, 2]
    store.decide("noise", MACHINE, "0.05")
    assert [entry.rank for entry in the_board(store)] == [1, 1]


def test_only_what_more_samples_can_part_is_undecided(store):
    enter(store, "ann", b"a")
    judge_next(store, 2.0)
    (key,) = standings.keys(store)

    def undecided(estimate, half, kind="other"):
        score = Interval(estimate, estimate - half, estimate + half, 4)
        return standings.undecided(store, key, kind, score)

    assert undecided(2.1, 0.15)
    # Parted already, within the noise, and of the same source.
    assert not undecided(2.6, 0.05)
    assert not undecided(2.01, 0.15)
    assert not undecided(2.1, 0.15, store.submission(1).kind)


def test_a_review_is_stored(store):
    enter(store, "ann", b"a")
    worker = Worker.current()
    job = store.lease(worker, "00", "h")
    found = Judgement(Verdict(verdict.OK, "score"), samples(20.0), sandbox="walls", seed="00", reviewed=True)
    store.finish(job, worker, found, "v1", MACHINE, CASES)
    assert history.runs(store, 1)[0].detail["reviewed"]
