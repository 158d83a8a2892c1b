"""What disturbs measuring is found on made-up machines."""

import pytest

from profiling.model import quiet


def write(root, **files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")


CPUS = "sys/devices/system/cpu"


def states(root):
    return {finding.topic: finding.state for finding in quiet.findings(root)}


def test_a_quiet_machine_is_called_quiet(tmp_path, monkeypatch):
    monkeypatch.setattr(quiet.os, "cpu_count", lambda: 8)
    write(
        tmp_path,
        **{
            "proc/loadavg": "0.10 0.20 0.30 1/300 4000\n",
            f"{CPUS}/cpu0/cpufreq/scaling_governor": "performance\n",
            f"{CPUS}/intel_pstate/no_turbo": "1\n",
            f"{CPUS}/smt/active": "0\n",
            f"{CPUS}/isolated": "3\n",
            "sys/class/power_supply/AC/type": "Mains\n",
            "sys/class/power_supply/AC/online": "1\n",
            "proc/pressure/cpu": "some avg10=0.50 avg60=0.10 avg300=0.00 total=1\n",
        },
    )
    found = states(tmp_path)
    assert set(found.values()) == {"quiet"}
    assert set(found) == {"load", "frequency", "turbo", "hardware threads", "isolated cores", "power"}


def test_each_disturbance_is_found_with_advice(tmp_path, monkeypatch):
    monkeypatch.setattr(quiet.os, "cpu_count", lambda: 2)
    write(
        tmp_path,
        **{
            "proc/loadavg": "3.10 0.20 0.30 5/300 4000\n",
            f"{CPUS}/cpu0/cpufreq/scaling_governor": "powersave\n",
            f"{CPUS}/cpu1/cpufreq/scaling_governor": "performance\n",
            f"{CPUS}/cpufreq/boost": "1\n",
            f"{CPUS}/smt/active": "1\n",
            "proc/cpuinfo": "flags\t: sse hypervisor\n",
            "proc/stat": "cpu  100 0 100 700 0 0 0 100 0 0\ncpu0 1 1\n",
            "proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 10 kB\nSwapTotal: 900 kB\nSwapFree: 100 kB\n",
            "proc/pressure/cpu": "some avg10=40.00 avg60=0.10 avg300=0.00 total=1\n",
            "sys/class/power_supply/AC/type": "Mains\n",
            "sys/class/power_supply/AC/online": "0\n",
        },
    )
    found = {finding.topic: finding for finding in quiet.findings(tmp_path)}
    noisy = {topic for topic, finding in found.items() if finding.state == "noisy"}
    assert noisy == {"load", "frequency", "turbo", "host", "hardware threads", "swap", "waiting", "power"}
    assert all(found[topic].advice for topic in noisy)
    assert "10.0 %" in found["host"].found
    assert "5/300" in found["load"].found
    assert "performance, powersave" in found["frequency"].found


def test_a_machine_that_tells_nothing_is_not_judged(tmp_path):
    found = states(tmp_path)
    assert found.pop("frequency") == "unknown"
    # The load comes from the system call where there is no file.
    assert set(found) <= {"load"}


@pytest.mark.parametrize("text", ["", "nonsense\n", "MemTotal: x kB\n"])
def test_memory_that_is_not_told_is_empty(tmp_path, text):
    write(tmp_path, **{"proc/meminfo": text})
    assert quiet.memory(tmp_path) == {}


def test_memory_is_in_bytes(tmp_path):
    write(tmp_path, **{"proc/meminfo": "MemTotal: 1024 kB\nMemAvailable: 512 kB\n"})
    assert quiet.memory(tmp_path) == {"total": 1 << 20, "available": 1 << 19}
