"""What the operating system says about this machine: caches, and the cores this process may use.

Every reader takes the folder it reads from, so that the tests can hand it files of other machines.
Nothing is cached here; `tensorops.runtime.cpu` does that.
"""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath

SYSTEM_CPUS = Path("/sys/devices/system/cpu")

# Where the system tells nothing: sizes that every processor of the last decade has.
DEFAULT_CACHES = {"L1d": 32 * 1024, "L2": 256 * 1024, "L3": 0, "line": 64}

_UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3}


def parse_size(text: str) -> int:
    """Return the bytes that a cache size of the Linux kernel stands for.

    Parameters
    ----------
    text : str
        A whole number with an optional unit of K, M or G (powers of 1024).

    Returns
    -------
    int
        The size in bytes.

    Raises
    ------
    ValueError
        If `text` is not such a size.

    Examples
    --------
    >>> parse_size("512K")
    524288
    """
    number, unit = text.strip(), 1
    if number[-1:].upper() in _UNITS:
        number, unit = number[:-1], _UNITS[number[-1].upper()]
    if not (number.isascii() and number.isdecimal()):
        raise ValueError(f"not a cache size: {text!r}; expected a number such as '512K'")
    return int(number) * unit


def count_cpus(text: str) -> int:
    """Return how many processors a kernel's CPU list names.

    Parameters
    ----------
    text : str
        A list such as ``"0-3,8"``.

    Returns
    -------
    int
        The number of processors in it.

    Raises
    ------
    ValueError
        If `text` is not a CPU list.

    Examples
    --------
    >>> count_cpus("0-3,8")
    5
    """
    total = 0
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        total += int(last or first) - int(first) + 1
    return total


def linux_caches(folder: Path = SYSTEM_CPUS) -> dict[str, int]:
    """Return the caches that Linux describes for its first processor.

    A cache that several cores share counts with the share of one core; the hardware threads of
    one core share theirs whole.

    Parameters
    ----------
    folder : Path, optional
        The folder with one ``cpuN`` per processor.

    Returns
    -------
    dict of str to int
        Bytes of "L1d", "L2" and "L3" and of one "line"; what the system does not tell is absent.

    Examples
    --------
    >>> linux_caches(Path("/no/such/folder"))
    {}
    """
    found: dict[str, int] = {}
    # One fixed processor, whatever the affinity mask: the profile's fingerprint holds these sizes.
    processors = (path for path in folder.glob("cpu[0-9]*") if path.name[3:].isdecimal())
    for processor in sorted(processors, key=lambda path: int(path.name[3:]))[:1]:
        siblings = _read(processor / "topology/thread_siblings_list")
        for index in sorted(processor.glob("cache/index*")):
            try:
                name = {"1": "L1d", "2": "L2", "3": "L3"}[_read(index / "level")]
                if _read(index / "type") not in ("Data", "Unified"):
                    continue
                size = parse_size(_read(index / "size"))
                sharing = count_cpus(_read(index / "shared_cpu_list") or "0")
                cores = max(1, sharing // count_cpus(siblings or "0"))
            except (KeyError, ValueError):
                continue
            if size:
                found[name] = size // cores
            line = _read(index / "coherency_line_size")
            if line.isdecimal() and int(line):
                found["line"] = int(line)
    return found


def sysconf_caches() -> dict[str, int]:
    """Return the caches that the C library knows.

    Returns
    -------
    dict of str to int
        As `linux_caches`; empty where the C library has no such names.

    Examples
    --------
    >>> set(sysconf_caches()) <= {"L1d", "L2", "L3", "line"}
    True
    """
    names = {
        "L1d": "SC_LEVEL1_DCACHE_SIZE",
        "L2": "SC_LEVEL2_CACHE_SIZE",
        "L3": "SC_LEVEL3_CACHE_SIZE",
        "line": "SC_LEVEL1_DCACHE_LINESIZE",
    }
    found = {}
    for name, constant in names.items():
        if constant in getattr(os, "sysconf_names", {}):
            try:
                size = os.sysconf(constant)
            except OSError:
                continue
            if size > 0:
                found[name] = size
    return found


def linux_model(cpuinfo: Path = Path("/proc/cpuinfo"), tree: Path = Path("/proc/device-tree/model")) -> str:
    """Return the processor's or the board's name where the processor itself does not tell it.

    Parameters
    ----------
    cpuinfo : Path, optional
        The kernel's description of the processors.
    tree : Path, optional
        The board's name, on systems with a device tree.

    Returns
    -------
    str
        Empty where neither file has a name.

    Examples
    --------
    >>> linux_model(Path("/no/such/file"), Path("/no/such/file"))
    ''
    """
    for line in _read(cpuinfo).splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "cpu model", "cpu", "Hardware") and value.strip():
            return value.strip()
    return _read(tree).rstrip("\0").strip()


def affinity_cores() -> int:
    """Return the number of processors on which the scheduler may run this process.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> affinity_cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def quota_cores(proc: Path = Path("/proc/self"), root: Path = Path("/")) -> int | None:
    """Return the number of cores that the control groups of this process grant it.

    Both versions of the kernel's control groups are read, and every group above the process's own
    one, because a parent's limit binds too. A share of a core counts as a whole one.

    Parameters
    ----------
    proc : Path, optional
        Folder that holds the files ``cgroup`` and ``mountinfo`` of the process.
    root : Path, optional
        Folder in which the mount points of ``mountinfo`` are looked up.

    Returns
    -------
    int or None
        At least 1; None where there is no limit or no control group.

    Examples
    --------
    >>> quota_cores(Path("/no/such/folder")) is None
    True
    """
    mounts = _cgroup_mounts(_read(proc / "mountinfo"))
    limits = []
    for line in _read(proc / "cgroup").splitlines():
        fields = line.split(":", 2)
        if len(fields) != 3:
            continue
        _, controllers, group = fields
        kind = "cgroup2" if not controllers else "cgroup"
        if kind == "cgroup" and "cpu" not in controllers.split(","):
            continue
        for mount_kind, origin, point, options in mounts:
            if mount_kind == kind and (kind == "cgroup2" or "cpu" in options):
                limits += _limits(root / point.lstrip("/"), _below(group, origin))
    return max(1, math.ceil(min(limits))) if limits else None


def _cgroup_mounts(mountinfo: str) -> list[tuple[str, str, str, list[str]]]:
    """Return (file system, root inside it, mount point, super options) of every cgroup mount."""
    mounts = []
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        head, tail = left.split(), right.split()
        if separator and len(head) >= 5 and len(tail) >= 3 and tail[0] in ("cgroup", "cgroup2"):
            mounts.append((tail[0], head[3], head[4], tail[2].split(",")))
    return mounts


def _below(group: str, origin: str) -> PurePosixPath:
    """Return the path of `group` under a mount whose root is the group `origin`.

    A container often sees the host's group names but has only its own group mounted: such a group
    is the mount point itself.
    """
    try:
        relative = PurePosixPath(group).relative_to(origin)
    except ValueError:
        return PurePosixPath()
    return PurePosixPath() if ".." in relative.parts else relative


def _limits(mount: Path, group: PurePosixPath) -> list[float]:
    """Return the limits in cores of a group and of all its parents up to the mount point."""
    found = []
    for level in (group, *group.parents):
        folder = mount / level
        words = _read(folder / "cpu.max").split() or [
            _read(folder / "cpu.cfs_quota_us"),
            _read(folder / "cpu.cfs_period_us"),
        ]
        # "max" and "-1" stand for "no limit", an empty text for "no such file".
        if len(words) == 2 and all(word.isdecimal() and int(word) > 0 for word in words):
            found.append(int(words[0]) / int(words[1]))
    return found


def _read(path: Path) -> str:
    """Return a small file's text without the white space around it, or "" if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
