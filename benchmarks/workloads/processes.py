"""A process for each version of a training: it steps, or trains to the end, when it is told to.

Each has its own pool of threads and is stopped outside its turn, so that none disturbs another. A request is
a line of JSON, and so is its answer.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from profiling.measure.timer import garbage_collection_off
from profiling.measure.worker import (
    THREAD_VARIABLES,
    WARM_UP_SHARE,
    die_with_parent,
    physical_cores_first,
    pin_threads,
)

from . import digits
from .networks import WORKLOADS
from .versions import accuracy, begin

ROOT = Path(__file__).resolve().parents[2]


class Stepper:
    """The parent's handle of one version; a contender for `profiling.measure.timer.interleave`.

    Parameters
    ----------
    workload, version : str
        Names in `WORKLOADS` and `VERSIONS`.
    threads : int
        As many as it may use.
    """

    def __init__(self, workload: str, version: str, threads: int) -> None:
        self.name = version
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
        environment |= {"TENSOROPS_PROFILE": "none", "TENSOROPS_BACKEND": ""}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, workload, version, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=ROOT,
            text=True,
        )
        self._receive()
        self._process.send_signal(signal.SIGSTOP)

    def __enter__(self) -> Stepper:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def sample(self, loops: int) -> float:
        """Take so many steps and return the seconds of one."""
        return float(self._ask({"loops": loops})["seconds"])

    def accuracy(self, epochs: int, seed: int) -> float:
        """Train from the beginning and return the accuracy on the held-out digits."""
        return float(self._ask({"epochs": epochs, "seed": seed})["accuracy"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._process.send_signal(signal.SIGCONT)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._receive()
        self._process.send_signal(signal.SIGSTOP)
        return answer

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} ended with exit code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def timed(call: Callable[[], object], loops: int) -> float:
    """Return the seconds of a call, after a few more that wake everything up."""
    with garbage_collection_off():
        for _ in itertools.repeat(None, max(1, loops // WARM_UP_SHARE)):
            call()
        start = time.perf_counter()
        for _ in itertools.repeat(None, loops):
            call()
        return (time.perf_counter() - start) / loops


def main(words: Sequence[str]) -> None:
    """Serve requests until standard input is closed.

    Parameters
    ----------
    words : sequence of str
        Workload, version and number of threads.
    """
    die_with_parent()
    answers, sys.stdout = sys.stdout, sys.stderr
    workload, threads = WORKLOADS[words[0]], int(words[2])
    if words[1] == "torch":
        import torch

        torch.set_num_threads(threads)
    data = digits.load()
    training = begin(words[1], workload)
    images, labels = workload.form(data.images[: workload.batch]), data.labels[: workload.batch]
    training.step(images, labels)
    cores = physical_cores_first()[:threads]
    if len(cores) > 1:
        pin_threads(cores)
    answer: dict[str, Any] = {"ready": True}
    while True:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        line = sys.stdin.readline()
        if not line:
            return
        request = json.loads(line)
        if "loops" in request:
            answer = {"seconds": timed(lambda: training.step(images, labels), request["loops"])}
        else:
            fresh, seed = begin(words[1], workload, request["seed"]), request["seed"]
            answer = {"accuracy": accuracy(fresh, workload, data, request["epochs"], seed)}


if __name__ == "__main__":
    main(sys.argv[1:])
