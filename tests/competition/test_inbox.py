"""The inbox of a class: what is taken, in which order, and what is not."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from profiling.competition import entry, remotes, verdict
from profiling.competition.inbox import Inbox, Rules
from profiling.competition.judge import Judgement
from profiling.competition.verdict import Verdict
from profiling.competition.worker_identity import Worker

KERNEL = "def kernel(x, out): pass\n"


def put(home, who, name, text=KERNEL, when=None):
    folder = home / "inbox" / who
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    if when is not None:
        os.utime(path, (when, when))
    return path


def submissions(store):
    return [
        (row["participant"], row["file"])
        for row in store.all("SELECT participant, file FROM submission ORDER BY id")
    ]


def reasons(store):
    return [row["reason"] for row in store.all("SELECT reason FROM notice ORDER BY id")]


def test_files_are_taken_once_in_the_order_of_their_times(store, home):
    for number, who in enumerate(("cy", "ann", "bob")):
        put(home, who, "softmax.py", KERNEL + f"# {who}", when=1000 + number)
    inbox = Inbox(store, home)
    assert [inbox.take(settled=False) for _ in range(3)] == [3, 0, 0]
    assert [who for who, _ in submissions(store)] == ["cy", "ann", "bob"]
    assert Inbox(store, home).take(settled=False) == 0


def test_a_changed_file_is_a_new_submission(store, home):
    inbox = Inbox(store, home)
    put(home, "ann", "softmax.py")
    inbox.take(settled=False)
    put(home, "ann", "softmax.py", KERNEL + "# better\n")
    assert inbox.take(settled=False) == 1


def test_a_file_is_taken_only_when_nobody_writes_it(store, home):
    inbox = Inbox(store, home)
    put(home, "ann", "softmax.py", when=1000)
    assert inbox.take() == 0
    put(home, "ann", "softmax.py", KERNEL * 2, when=1001)
    assert [inbox.take() for _ in range(2)] == [0, 1]


def test_what_cannot_be_a_submission_is_noted_once(store, home):
    put(home, "ann", "softmax.py", "")
    put(home, "ann", "softmax_big.py", "#" * 300_000)
    put(home, "ann", "mine.py")
    put(home, "ann", "notes.txt", "hello")
    put(home, "ann", ".softmax.py")
    inbox = Inbox(store, home)
    for _ in range(2):
        assert inbox.take(settled=False) == 0
    told = reasons(store)
    assert len(told) == 3
    assert any("empty" in reason for reason in told)
    assert any("at most 256000" in reason for reason in told)
    assert any("which problem" in reason for reason in told)


def test_links_pipes_and_folders_are_not_read(store, home, tmp_path):
    secret = tmp_path / "softmax_secret.py"
    secret.write_text(KERNEL)
    put(home, "ann", "softmax_mine.py")
    folder = home / "inbox" / "ann"
    (folder / "softmax_link.py").symlink_to(secret)
    os.mkfifo(folder / "softmax_pipe.py")
    (folder / "softmax_folder.py").mkdir()
    (home / "inbox" / "bob").symlink_to(tmp_path)
    assert Inbox(store, home).take(settled=False) == 1
    assert submissions(store) == [("ann", "softmax_mine.py")]


@pytest.mark.parametrize("name", ["..x", "a\u202eb", "-rf", "<b>", "x" * 41, "a\nb", " a"])
def test_odd_names_of_folders_are_not_participants(store, home, name):
    put(home, name, "softmax.py")
    assert Inbox(store, home).take(settled=False) == 0
    assert entry.participant(name) is None
    (row,) = store.all("SELECT file FROM notice")
    assert row["file"].isprintable()


def test_names_of_many_alphabets_are_participants(store, home):
    for name in ("Chloé", "李雷", "Анна"):
        put(home, name, "softmax.py", KERNEL + f"# {name}\n")
    assert Inbox(store, home).take(settled=False) == 3


def test_comments_choose_problem_and_track(store, home):
    put(home, "ann", "mine.py", "# problem: gelu\n# track: all\n" + KERNEL)
    Inbox(store, home).take(settled=False)
    row = store.one("SELECT problem, track FROM submission")
    assert (row["problem"], row["track"]) == ("gelu", "all")


def finish_all(store, name):
    worker = Worker.current()
    while job := store.lease(worker, "00", "h"):
        store.finish(job, worker, Judgement(Verdict(name, "check"), seed="00"), "v", "m", [])


def test_only_finished_verdicts_count_and_the_judges_faults_do_not(store, home):
    rules = Rules(per_hour=2, waiting=10)
    for number in range(3):
        put(home, "ann", f"softmax_{number}.py", KERNEL + f"# {number}\n", when=1000 + number)
    inbox = Inbox(store, home, rules)
    # None of the three has a verdict yet.
    assert inbox.take(settled=False) == 3
    finish_all(store, verdict.JUDGE_ERROR)
    put(home, "ann", "softmax_a.py", KERNEL + "# a\n")
    put(home, "ann", "softmax_b.py", KERNEL + "# b\n")
    assert inbox.take(settled=False) == 2
    finish_all(store, verdict.WRONG_ANSWER)
    put(home, "ann", "softmax_c.py", KERNEL + "# c\n")
    put(home, "bob", "softmax_c.py", KERNEL + "# bob\n")
    assert inbox.take(settled=False) == 1
    assert "2 verdicts within an hour" in reasons(store)[-1]
    # An hour later there is room again: nothing was lost.
    store.all("UPDATE run SET finished = finished - 4000")
    assert inbox.take(settled=False) == 1


def test_nobody_fills_the_queue(store, home):
    for number in range(5):
        put(home, "ann", f"softmax_{number}.py", KERNEL + f"# {number}\n", when=1000 + number)
    put(home, "bob", "softmax.py", KERNEL + "# bob\n", when=2000)
    inbox = Inbox(store, home, Rules(per_hour=100, waiting=2))
    assert inbox.take(settled=False) == 3
    finish_all(store, verdict.WRONG_ANSWER)
    assert inbox.take(settled=False) == 2


def test_a_wrong_clock_blocks_nobody_for_ever(store, home):
    put(home, "ann", "softmax.py")
    inbox = Inbox(store, home, Rules(per_hour=1))
    inbox.take(settled=False)
    finish_all(store, verdict.WRONG_ANSWER)
    store.all("UPDATE run SET finished = ?", (time.time() + 10**9,))
    put(home, "ann", "softmax_b.py", KERNEL + "# b\n")
    assert inbox.take(settled=False) == 1


def git(folder, *words):
    settings = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *settings, *words], cwd=folder, check=True, capture_output=True)


def test_files_of_a_repository_come_without_links(store, home, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q")
    (work / "softmax.py").write_text(KERNEL)
    (work / "softmax_link.py").symlink_to("/etc/passwd")
    (work / "sub").mkdir()
    (work / "sub" / "softmax_deep.py").write_text(KERNEL)
    git(work, "add", "-A")
    git(work, "commit", "-qm", "x")
    home.mkdir(exist_ok=True)
    (home / "remotes.toml").write_text(f'[remotes]\nann = "{work}"\nbob = "{tmp_path}/missing"\n')
    told = []
    remotes.fetch_all(home, told.append)
    assert len(told) == 1 and told[0].startswith("bob:")
    assert [path.name for path in (home / "inbox" / "ann").iterdir()] == ["softmax.py"]
    (work / "softmax.py").write_text(KERNEL * 2)
    git(work, "commit", "-qam", "y")
    remotes.fetch_all(home, told.append)
    assert (home / "inbox" / "ann" / "softmax.py").read_text() == KERNEL * 2


@pytest.mark.parametrize(
    "text", ["[remotes", '[remotes]\n"../x" = "y"', '[remotes]\nann = "--upload-pack=x"']
)
def test_a_list_of_remotes_that_cannot_be_used(home, text):
    home.mkdir(parents=True)
    (home / "remotes.toml").write_text(text)
    with pytest.raises(ValueError, match=r"remotes\.toml"):
        remotes.remotes(home)
    told = []
    remotes.fetch_all(home, told.append)
    assert told
