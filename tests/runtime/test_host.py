"""Caches and core limits, read from files laid out as the kernels of other machines lay them out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorops.runtime import host

KIB = 1024


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def processor(folder: Path, siblings: str, *caches: tuple[str, str, str, str]) -> None:
    """Describe one processor by (level, type, size, processors that share it) of its caches."""
    write(folder / "topology/thread_siblings_list", siblings)
    for number, (level, kind, size, shared) in enumerate(caches):
        index = folder / f"cache/index{number}"
        write(index / "level", level)
        write(index / "type", kind)
        write(index / "size", size)
        write(index / "shared_cpu_list", shared)
        write(index / "coherency_line_size", "64")


def test_a_shared_cache_counts_with_one_core_s_share(tmp_path: Path) -> None:
    # Eight cores of two hardware threads each; the threads of a core do not divide its caches.
    processor(
        tmp_path / "cpu0",
        "0,8",
        ("1", "Data", "48K", "0,8"),
        ("1", "Instruction", "64K", "0,8"),
        ("2", "Unified", "2048K", "0,8"),
        ("3", "Unified", "32M", "0-15"),
    )
    assert host.linux_caches(tmp_path) == {
        "L1d": 48 * KIB,
        "L2": 2048 * KIB,
        "L3": 4096 * KIB,
        "line": 64,
    }


def test_the_first_processor_counts_whatever_the_order_of_the_files(tmp_path: Path) -> None:
    processor(tmp_path / "cpu10", "10", ("1", "Data", "64K", "10"))
    processor(tmp_path / "cpu2", "2", ("1", "Data", "32K", "2"))
    (tmp_path / "cpufreq").mkdir()
    assert host.linux_caches(tmp_path)["L1d"] == 32 * KIB


@pytest.mark.parametrize("text", ["", "lots", "32Q", "-32K", "3²K", "K"])
def test_a_cache_of_unreadable_size_is_left_out(text: str, tmp_path: Path) -> None:
    processor(tmp_path / "cpu0", "0", ("1", "Data", text, "0"), ("2", "Unified", "1M", "0"))
    assert host.linux_caches(tmp_path) == {"L2": 1024 * KIB, "line": 64}


def test_missing_files_are_no_error(tmp_path: Path) -> None:
    write(tmp_path / "cpu0/cache/index0/level", "1")
    assert host.linux_caches(tmp_path) == {}
    assert host.linux_caches(tmp_path / "none") == {}


def test_a_missing_list_of_siblings_means_one_thread_per_core(tmp_path: Path) -> None:
    processor(tmp_path / "cpu0", "", ("3", "Unified", "8M", "0-3"))
    assert host.linux_caches(tmp_path)["L3"] == 2048 * KIB


@given(st.sets(st.integers(0, 300), min_size=1))
def test_cpu_lists_are_counted(processors: set[int]) -> None:
    assert host.count_cpus(",".join(map(str, sorted(processors)))) == len(processors)
    assert host.count_cpus(f"0-{max(processors)}") == max(processors) + 1


def test_sysconf_gives_sizes_only() -> None:
    assert all(size > 0 for size in host.sysconf_caches().values())


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\n", "Some CPU @ 2.0GHz"),
        ("cpu\t\t: POWER9, altivec supported", "POWER9, altivec supported"),
        ("processor\t: 0\nBogoMIPS\t: 108.00", "Board 4 Model B"),
    ],
)
def test_the_model_s_name_where_the_processor_does_not_tell_it(text: str, model: str, tmp_path: Path) -> None:
    write(tmp_path / "cpuinfo", text)
    (tmp_path / "model").write_bytes(b"Board 4 Model B\0")
    assert host.linux_model(tmp_path / "cpuinfo", tmp_path / "model") == model


V2_MOUNT = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return tmp_path / "proc"


def quota(proc: Path, tmp_path: Path, mounts: str, groups: str) -> int | None:
    write(proc / "mountinfo", mounts)
    write(proc / "cgroup", groups)
    return host.quota_cores(proc, tmp_path)


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("1 100000", 1),
        ("max 100000", None),
        ("0 100000", None),
        ("100000 0", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_version_2_quota(limit: str, cores: int | None, proc: Path, tmp_path: Path) -> None:
    write(tmp_path / "sys/fs/cgroup/user/job/cpu.max", limit)
    assert quota(proc, tmp_path, V2_MOUNT, "0::/user/job") == cores


def test_a_parent_s_quota_binds_too(proc: Path, tmp_path: Path) -> None:
    write(tmp_path / "sys/fs/cgroup/user/cpu.max", "300000 100000")
    write(tmp_path / "sys/fs/cgroup/user/job/cpu.max", "800000 100000")
    assert quota(proc, tmp_path, V2_MOUNT, "0::/user/job") == 3


@pytest.mark.parametrize(("limit", "cores"), [("400000", 4), ("-1", None)])
def test_version_1_quota(limit: str, cores: int | None, proc: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sys/fs/cgroup/cpu,cpuacct/docker/abc"
    write(folder / "cpu.cfs_quota_us", limit)
    write(folder / "cpu.cfs_period_us", "100000")
    groups = "9:memory:/elsewhere\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/docker/abc\n0::/"
    assert quota(proc, tmp_path, V1_MOUNT, groups) == cores


def test_a_container_that_sees_only_its_own_group(proc: Path, tmp_path: Path) -> None:
    # The host's name of the group is not below the mount, or is the root of the mount itself.
    write(tmp_path / "sys/fs/cgroup/cpu.max", "200000 100000")
    assert quota(proc, tmp_path, V2_MOUNT.replace(" / ", " /pod/a "), "0::/pod/a") == 2
    assert quota(proc, tmp_path, V2_MOUNT.replace(" / ", " /pod/a "), "0::/pod/b") == 2
    assert quota(proc, tmp_path, V2_MOUNT, "0::/../../pod/a") == 2


def test_both_versions_at_once(proc: Path, tmp_path: Path) -> None:
    write(tmp_path / "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000")
    write(tmp_path / "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000")
    write(tmp_path / "unified/cpu.max", "200000 100000")
    mounts = V1_MOUNT + "\n" + V2_MOUNT.replace("/sys/fs/cgroup", "/unified")
    assert quota(proc, tmp_path, mounts, "4:cpu,cpuacct:/\n0::/") == 2


@pytest.mark.parametrize("line", ["", "no colons", "1:cpu", "36 25 0:31 / /x rw - tmpfs tmpfs rw", "- - -"])
def test_unknown_lines_are_passed_over(line: str, proc: Path, tmp_path: Path) -> None:
    assert quota(proc, tmp_path, line, line) is None


def test_this_machine_has_a_core() -> None:
    assert host.affinity_cores() >= 1
    assert (host.quota_cores() or 1) >= 1
