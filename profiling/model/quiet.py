"""What makes measurements on this machine noisy, and what to do about it.

Every check reads small files of the system; each takes the folder it reads from, so that the tests can
hand it those of other machines. What a system does not tell is not guessed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tensorops.runtime import cpu, host

ROOT = Path("/")
BUSY = 0.2
"""Load per core, from others, above which measurements are disturbed."""
STEAL = 0.005
"""Share of time that the host takes from a virtual machine, above which it is told."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that matters for measuring.

    Attributes
    ----------
    topic : str
        What was looked at.
    state : {"quiet", "noisy", "unknown"}
        How it stands.
    found : str
        What was found.
    advice : str
        What to do; empty where there is nothing to do.
    """

    topic: str
    state: Literal["quiet", "noisy", "unknown"]
    found: str
    advice: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-ready values."""
        return {"topic": self.topic, "state": self.state, "found": self.found, "advice": self.advice}


def findings(root: Path = ROOT) -> tuple[Finding, ...]:
    """Return what was found on this machine.

    Parameters
    ----------
    root : Path, optional
        Root of the file system that is looked at.

    Returns
    -------
    tuple of Finding
        In a fixed order; what does not exist on this system is left out.

    Examples
    --------
    >>> all(finding.state in ("quiet", "noisy", "unknown") for finding in findings())
    True
    """
    checks = (
        _load,
        _governor,
        _turbo,
        _virtual,
        _threads_of_a_core,
        _quota,
        _isolated,
        _swap,
        _pressure,
        _power,
    )
    return tuple(finding for check in checks for finding in check(root))


def memory(root: Path = ROOT) -> dict[str, int]:
    """Return the memory of this machine in bytes.

    Parameters
    ----------
    root : Path, optional
        Root of the file system that is looked at.

    Returns
    -------
    dict of str to int
        "total", "available", "swap" and "swap used"; empty where the system has no ``/proc/meminfo``.

    Examples
    --------
    >>> set(memory()) <= {"total", "available", "swap", "swap used"}
    True
    """
    values = {}
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal():
            values[name] = int(words[0]) * 1024
    if "MemTotal" not in values:
        return {}
    found = {"total": values["MemTotal"], "available": values.get("MemAvailable", 0)}
    if "SwapTotal" in values:
        found |= {"swap": values["SwapTotal"], "swap used": values["SwapTotal"] - values.get("SwapFree", 0)}
    return found


def _load(root: Path) -> Iterator[Finding]:
    words = _read(root / "proc/loadavg").split()
    try:
        load = float(words[0]) if words else os.getloadavg()[0]
    except (ValueError, OSError, AttributeError):
        return
    cores = os.cpu_count() or 1
    running = [word for word in words[3:4] if "/" in word]
    text = f"load {load:.2f} on {cores} processors" + (f", {running[0]} threads run now" if running else "")
    if load / cores > BUSY:
        yield Finding(
            "load", "noisy", text, "Wait until other work is done: it shares cores, caches and memory"
        )
    else:
        yield Finding("load", "quiet", text)


def _governor(root: Path) -> Iterator[Finding]:
    folder = root / "sys/devices/system/cpu"
    names = {_read(path) for path in folder.glob("cpu[0-9]*/cpufreq/scaling_governor")} - {""}
    if not names:
        yield Finding("frequency", "unknown", "the system does not tell its frequency governor")
    elif names == {"performance"}:
        yield Finding("frequency", "quiet", "governor performance")
    else:
        advice = "Set it for the time of measuring: cpupower frequency-set -g performance"
        yield Finding("frequency", "noisy", f"governor {', '.join(sorted(names))}", advice)


def _turbo(root: Path) -> Iterator[Finding]:
    folder = root / "sys/devices/system/cpu"
    for path, on in ((folder / "intel_pstate/no_turbo", "0"), (folder / "cpufreq/boost", "1")):
        value = _read(path)
        if value:
            if value == on:
                advice = f"The clock follows the temperature; to hold it: echo {1 - int(on)} > {path}"
                yield Finding("turbo", "noisy", "on", advice)
            else:
                yield Finding("turbo", "quiet", "off")
            return


def _virtual(root: Path) -> Iterator[Finding]:
    flags = _read(root / "proc/cpuinfo")
    if " hypervisor" not in flags:
        return
    first = _processor_times(root)
    if root == ROOT:
        time.sleep(0.1)
    second = _processor_times(root)
    passed = sum(second) - sum(first)
    # Since the start of the machine where no time has passed between the two.
    spent = [b - a for a, b in zip(first, second, strict=True)] if passed > 0 else list(first)
    total = sum(spent)
    share = spent[7] / total if len(spent) > 7 and total else 0.0
    text = f"a virtual machine; its host took {100 * share:.1f} % of the time"
    advice = "Measure several times, at different hours, and trust ratios taken side by side more than times"
    yield Finding("host", "noisy" if share > STEAL else "unknown", text, advice)


def _processor_times(root: Path) -> tuple[int, ...]:
    line = _read(root / "proc/stat").partition("\n")[0].split()
    return tuple(int(word) for word in line[1:] if word.isdecimal())


def _threads_of_a_core(root: Path) -> Iterator[Finding]:
    value = _read(root / "sys/devices/system/cpu/smt/active")
    if value == "1":
        advice = "Two threads of one core share its arithmetic: measure with at most one thread a core"
        yield Finding("hardware threads", "noisy", "several on each core", advice)
    elif value == "0":
        yield Finding("hardware threads", "quiet", "one on each core")


def _quota(root: Path) -> Iterator[Finding]:
    allowed = host.affinity_cores()
    quota = host.quota_cores() if root == ROOT else host.quota_cores(root / "proc/self", root)
    if quota is not None and quota < allowed:
        advice = "A process that uses more is stopped for parts of each 100 ms: use at most that many threads"
        yield Finding("quota", "noisy", f"{quota} of {allowed} cores by a control group", advice)


def _isolated(root: Path) -> Iterator[Finding]:
    cores = _read(root / "sys/devices/system/cpu/isolated")
    if cores:
        yield Finding(
            "isolated cores", "quiet", cores, f"Run on them: taskset -c {cores} python -m profiling ..."
        )
    elif (root / "sys/devices/system/cpu/isolated").is_file():
        yield Finding(
            "isolated cores",
            "unknown",
            "none; the scheduler may place anything beside a measurement",
            "To keep one free: the kernel's parameter isolcpus, then taskset",
        )


def _swap(root: Path) -> Iterator[Finding]:
    found = memory(root)
    if found.get("swap used", 0) > found.get("total", 0) // 20:
        yield Finding("swap", "noisy", "memory is swapped out", "Close what holds memory before measuring")


def _pressure(root: Path) -> Iterator[Finding]:
    """Read how long tasks waited for a processor within the last ten seconds."""
    first = _read(root / "proc/pressure/cpu").partition("\n")[0].split()
    values = [word.removeprefix("avg10=") for word in first if word.startswith("avg10=")]
    if values and float(values[0]) > 5:
        text = f"tasks waited for a processor in {float(values[0]):.0f} % of the last ten seconds"
        yield Finding("waiting", "noisy", text, "More threads want to run than there are cores: end some")


def _power(root: Path) -> Iterator[Finding]:
    for supply in sorted((root / "sys/class/power_supply").glob("*")):
        if _read(supply / "type") == "Mains":
            if _read(supply / "online") == "0":
                yield Finding(
                    "power", "noisy", "on battery", "Plug the machine in: on battery the clock is lower"
                )
            else:
                yield Finding("power", "quiet", "from the mains")
            return


def hidden_features() -> tuple[str, ...]:
    """Return the instruction sets of the build that this processor cannot run.

    Returns
    -------
    tuple of str
        Names of the build table.

    Examples
    --------
    >>> "portable" in hidden_features()
    False
    """
    from tensorops.kernels import table

    built = {row.isa for row in table.family_rows("products")}
    return tuple(name for name in table.ISA_NAMES if name in built and name not in cpu.supported_isas())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
