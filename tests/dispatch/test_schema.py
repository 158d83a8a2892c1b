from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tensorops
from tensorops.dispatch import schema
from tensorops.dispatch.schema import Entry, PathResult, Profile, ProfileWarning
from tensorops.runtime import cpu

ROOT = Path(tensorops.__file__).parents[1]
FILES = ["profile.json", "profile.json.index", "profile.json.lock"]


def entry(n: int, *, hotspot: str | None = None) -> Entry:
    paths = {
        "blocked/packed": PathResult(1e-4, 0.9e-4, 1.1e-4, n=12, hotspot=hotspot),
        "numpy": PathResult(2e-4, 1.9e-4, 2.1e-4, n=12, bytes=64),
    }
    return Entry("matmul", "float32", ((n, 8), (8, 8)), paths=paths)


def profile(*sizes: int) -> Profile:
    return Profile(schema.fingerprint(), tuple(map(entry, sizes)))


def rows(path: Path) -> list[int]:
    """Return the first dimension of every entry in a file."""
    return [item["shapes"][0][0] for item in json.loads(path.read_text(encoding="utf-8"))["entries"]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "profile.json"


def test_the_fingerprint_describes_the_machine() -> None:
    found = schema.fingerprint()
    assert found["cpu"] == cpu.model_name()
    assert found["caches"] == cpu.caches()
    assert found["cores"] == os.cpu_count()
    assert found["tensorops"] == tensorops.__version__
    assert set(found["blas"]) == {"name", "version", "forced"}
    found["blas"]["name"] = "changed by the caller"
    assert schema.fingerprint()["blas"]["name"] != "changed by the caller"


@pytest.mark.parametrize("variable", [None, "TENSOROPS_ISA", "OPENBLAS_CORETYPE"])
def test_the_file_s_name_changes_with_what_the_times_depend_on(variable: str | None) -> None:
    # Anew in another process: what it depends on is read once.
    names = ("TENSOROPS_ISA", "OPENBLAS_CORETYPE", "MKL_ENABLE_INSTRUCTIONS")
    clean = {key: value for key, value in os.environ.items() if key not in names}
    changed = {} if variable is None else {"TENSOROPS_ISA": "portable", "OPENBLAS_CORETYPE": "Prescott"}
    code = "from tensorops.dispatch import schema; print(schema.fingerprint_id())"
    first, second = (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env, cwd=ROOT
        ).stdout.strip()
        for env in (clean, {**clean, **{key: value for key, value in changed.items() if key == variable}})
    )
    assert len(first) == 16
    assert (first == second) is (variable is None or cpu.supported_isas() == (changed.get(variable),))


def test_what_is_saved_is_loaded(file: Path) -> None:
    assert schema.save(profile(1, 2), file) == file
    assert schema.load(file) == profile(1, 2)
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document["schema"] == 1
    assert document["fingerprint"] == schema.fingerprint()
    # One entry a line, so that two files can be compared.
    assert len(file.read_text(encoding="utf-8").splitlines()) == 4


def test_an_empty_profile_is_a_file_too(file: Path) -> None:
    schema.save(profile(), file)
    loaded = schema.load(file)
    assert loaded is not None
    assert loaded.entries == ()


def test_saving_merges(file: Path) -> None:
    schema.save(profile(1, 2), file)
    schema.save(profile(3, 1), file)
    assert rows(file) == [2, 3, 1]


def test_nothing_but_the_file_and_its_lock_is_left(file: Path) -> None:
    schema.save(profile(1), file)
    schema.save(profile(2), file)
    assert sorted(path.name for path in file.parent.iterdir()) == [
        "profile.json",
        "profile.json.index",
        "profile.json.lock",
    ]


def test_folders_are_made(tmp_path: Path) -> None:
    schema.save(profile(1), tmp_path / "a" / "b" / "profile.json")
    assert rows(tmp_path / "a" / "b" / "profile.json") == [1]


def test_a_symbolic_link_stays_one(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(file)
    schema.save(profile(1), link)
    assert link.is_symlink()
    assert rows(file) == [1]


def test_the_default_file_is_the_machine_s(cache_dir: Path) -> None:
    assert schema.load() is None
    written = schema.save(profile(5))
    assert written == cache_dir / "profiles" / f"{schema.fingerprint_id()}.json"
    assert schema.load() == profile(5)


def test_the_environment_names_another_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSOROPS_PROFILE", str(file))
    assert schema.profile_path() == file
    with pytest.warns(ProfileWarning, match="there is no profile"):
        assert schema.load() is None
    schema.save(profile(6))
    assert rows(file) == [6]


def test_none_switches_it_off(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.save(profile(1))
    monkeypatch.setenv("TENSOROPS_PROFILE", "none")
    assert schema.profile_path() is None
    assert schema.load() is None
    with pytest.raises(ValueError, match="TENSOROPS_PROFILE=none"):
        schema.save(profile(2))


def text(**changes: object) -> bytes:
    document = {"schema": 1, "fingerprint": schema.fingerprint(), "entries": [], **changes}
    return json.dumps(document).encode()


UNUSABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "damaged"),
    "cut off": (lambda: text()[:-5], "damaged"),
    "binary": (lambda: b"\x80\x81\xff\x00", "damaged"),
    "not an object": (lambda: b"[1, 2]", "damaged"),
    "another document": (lambda: b'{"name": "x"}', "damaged"),
    "deep": (lambda: b"[" * 100_000, "damaged"),
    "long number": (lambda: text(entries=[]).replace(b"[]", b"[" + b"9" * 5000 + b"]"), "damaged"),
    "NaN": (lambda: text(entries=[float("nan")]), "NaN is not a JSON number"),
    "no entries": (lambda: text(entries=None), "no entries"),
    "no fingerprint": (lambda: text(fingerprint="x"), "no fingerprint"),
    "bad entry": (lambda: text(entries=[{"op": "matmul"}]), "'dtype' is missing"),
    "later schema": (lambda: text(schema=2), "schema 2, this version reads schema 1"),
    "schema true": (lambda: text(schema=True), "schema True"),
    "another machine": (lambda: text(fingerprint={"cpu": "6502"}), "cpu '6502' is not"),
    "another build": (
        lambda: text(fingerprint={**schema.fingerprint(), "tensorops": "0.0.1"}),
        "another machine or build: tensorops '0.0.1' is not",
    ),
    "too large": (lambda: text(padding="x" * schema.MAX_BYTES), "larger than 256 KiB"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_unusable_file_is_one_warning_and_no_profile(case: str, file: Path) -> None:
    content, message = UNUSABLE[case]
    file.write_bytes(content())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert schema.load(file) is None
    assert [item.category for item in caught] == [ProfileWarning]
    assert message in str(caught[0].message)
    assert str(file) in str(caught[0].message)
    assert file.read_bytes() == content()


@pytest.mark.parametrize("case", UNUSABLE)
def test_saving_over_an_unusable_file_keeps_it_under_another_name(case: str, file: Path) -> None:
    content, message = UNUSABLE[case]
    file.write_bytes(content())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        schema.save(profile(1), file)
    assert [item.category for item in caught] == [ProfileWarning]
    assert message in str(caught[0].message)
    assert file.with_name("profile.json.unused-1").read_bytes() == content()
    assert rows(file) == [1]


def test_an_earlier_unusable_file_is_not_lost_to_a_later_one(file: Path) -> None:
    for content in (b"first", b"second"):
        file.write_bytes(content)
        with pytest.warns(ProfileWarning, match="kept as"):
            schema.save(profile(1), file)
    assert file.with_name("profile.json.unused-1").read_bytes() == b"first"
    assert file.with_name("profile.json.unused-2").read_bytes() == b"second"


def test_a_folder_in_the_file_s_place_is_a_warning(tmp_path: Path) -> None:
    with pytest.warns(ProfileWarning, match="is not used"):
        assert schema.load(tmp_path) is None


def test_the_file_stays_within_its_limit_and_loses_the_oldest(file: Path) -> None:
    long = "x" * 20_000
    with pytest.warns(ProfileWarning, match="the 3 entries written longest ago"):
        schema.save(Profile(schema.fingerprint(), tuple(entry(n, hotspot=long) for n in range(15))), file)
    assert file.stat().st_size <= schema.MAX_BYTES
    assert rows(file) == list(range(3, 15))
    assert schema.load(file) is not None


def test_a_file_of_exactly_the_limit_is_read(file: Path) -> None:
    small = text(padding="")
    file.write_bytes(text(padding="x" * (schema.MAX_BYTES - len(small))))
    assert file.stat().st_size == schema.MAX_BYTES
    assert schema.load(file) == Profile(schema.fingerprint())


def test_a_bad_entry_is_an_error_before_anything_is_touched(file: Path) -> None:
    bad = Entry("matmul", "float32", ((1, 1), (1, 1)), threads=0)
    with pytest.raises(ValueError, match="'threads'"):
        schema.save(Profile(schema.fingerprint(), (entry(1), bad)), file)
    assert list(file.parent.iterdir()) == []


def test_another_machine_s_profile_is_not_saved_as_this_one_s(cache_dir: Path, file: Path) -> None:
    foreign = Profile({"cpu": "6502"}, (entry(1),))
    with pytest.raises(ValueError, match=r"not this machine's profile: .*cpu '6502'"):
        schema.save(foreign)
    assert not cache_dir.exists()
    schema.save(foreign, file)
    assert rows(file) == [1]


def test_a_failed_write_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.save(profile(1), file)
    before = file.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        schema.save(profile(2), file)
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == [
        "profile.json",
        "profile.json.index",
        "profile.json.lock",
    ]


def test_a_lock_that_is_never_released_is_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl", reason="the platform has no flock")
    monkeypatch.setattr(schema, "LOCK_SECONDS", 0.05)
    with file.with_name("profile.json.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match="another process has held"):
            schema.save(profile(1), file)
        assert not file.exists()
    schema.save(profile(1), file)
    assert rows(file) == [1]


WRITER = """
import sys
from tensorops.dispatch import schema
from tests.dispatch.test_schema import entry
path, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sys.stdin.readline()
for n in range(first, first + count):
    schema.save(schema.Profile(schema.fingerprint(), (entry(n),)), path)
"""


def test_two_processes_that_write_at_once_lose_nothing(file: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", WRITER, str(file)]
    writers = [
        subprocess.Popen([*command, str(first), "25"], stdin=subprocess.PIPE, text=True, cwd=ROOT)
        for first in (0, 100)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    assert sorted(rows(file)) == [*range(25), *range(100, 125)]


def test_readers_never_see_half_a_file(file: Path) -> None:
    schema.save(profile(0), file)
    stop, seen, failures = threading.Event(), [], []

    def read() -> None:
        while not stop.is_set():
            try:
                loaded = schema.load(file)
            except ProfileWarning as warning:  # A warning is an error in these tests.
                failures.append(warning)
                return
            seen.append(loaded)

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(1, 40):
        schema.save(profile(n), file)
    stop.set()
    reader.join()
    assert failures == []
    assert seen
    assert all(loaded is not None for loaded in seen)


def test_threads_that_write_at_once_lose_nothing(file: Path) -> None:
    errors: list[Any] = []

    def write(first: int) -> None:
        try:
            for n in range(first, first + 10):
                schema.save(profile(n), file)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(rows(file)) == [*range(10), *range(100, 110), *range(200, 210)]


def test_a_profile_that_may_not_be_read_is_one_warning(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema.save(profile(1), file)

    # The rights of a file do not bind whoever runs the tests as root.
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.warns(ProfileWarning, match="is not used: .*Permission denied") as caught:
        assert schema.load(file) is None
    assert len(caught) == 1


def test_a_link_that_leads_nowhere_is_a_warning_and_is_written_through(cache_dir: Path, file: Path) -> None:
    link = schema.profile_path()
    assert link is not None
    link.parent.mkdir(parents=True)
    link.symlink_to(file)
    with pytest.warns(ProfileWarning, match="there is no profile"):
        assert schema.load() is None
    schema.save(profile(1))
    assert link.is_symlink()
    assert rows(file) == [1]


def test_a_folder_that_cannot_be_written_loses_no_profile(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.save(profile(1), file)
    before = file.read_bytes()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(schema.tempfile, "mkstemp", refuse)
    with pytest.raises(OSError, match="Read-only file system"):
        schema.save(profile(2), file)
    assert file.read_bytes() == before
    assert schema.load(file) == profile(1)


KILLED = """
import os, sys
from pathlib import Path
from tensorops.dispatch import schema
from tests.dispatch.test_schema import profile
Path.replace = lambda *_: os.kill(os.getpid(), 9)
schema.save(profile(2), sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no SIGKILL")
def test_a_writer_killed_before_the_rename_loses_nothing_and_leaves_nothing(file: Path) -> None:
    schema.save(profile(1), file)
    before = file.read_bytes()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(file)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    assert file.read_bytes() == before
    assert len(list(file.parent.glob(".profile.json.*"))) == 1
    schema.save(profile(3), file)
    assert rows(file) == [1, 3]
    assert sorted(path.name for path in file.parent.iterdir()) == [
        "profile.json",
        "profile.json.index",
        "profile.json.lock",
    ]
