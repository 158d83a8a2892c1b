"""The process beside the judge that runs a submission's ``kernel``.

It gives up its rights first, then imports the submission, then answers the judge. It is stopped
whenever the judge prepares or checks something, and nothing that it says is believed: an answer only
tells the judge to stop it and to look at the result.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib.machinery
import importlib.util
import json
import mmap
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import confine, protocol, seccomp, turns

LAST_LINES = 4000
MASK = 1024
"""Bytes of a set of processors: enough for any machine."""


def main(configuration: dict[str, Any]) -> None:
    """Confine this process, load the submission and serve calls until the judge is gone.

    Parameters
    ----------
    configuration : dict
        From the judge's ``box.py``: descriptors, paths and limits.
    """
    cores = configuration["cores"]
    if cores:
        os.sched_setaffinity(0, cores)
    processors = sum(1 << core for core in cores).to_bytes(MASK, "little") if len(cores) > 1 else b""
    if configuration["namespaces"]:
        confine.enter_namespaces()
    confine.leave_privileges()
    statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    if configuration["confined"]:
        confine.confine_files(configuration["read"], configuration["names"], [], [])
    sys.meta_path.append(_Packages(configuration["site"], configuration["packages"]))
    import numpy

    inputs = _mapped(configuration["inputs"], mmap.MAP_PRIVATE)
    outputs = _mapped(configuration["outputs"], mmap.MAP_SHARED)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable(sys.stderr)
    memory = confine.address_space(statm) + configuration["memory"]
    os.close(statm)
    # Stopping a thread that holds a lock of malloc is harmless; a collection at a random call is not.
    gc.disable()
    confine.limit(seconds=configuration["seconds"], file_bytes=0, files=64, memory=memory)
    if configuration["confined"]:
        # Before the filter: the handler says where the forbidden call was made, then lets it kill.
        faulthandler.register(signal.SIGSYS, sys.stderr, all_threads=False, chain=True)
        confine.confine_calls(seccomp.computing(choosing=bool(processors)))
    answers = configuration["answers"]
    try:
        kernel = _load(configuration["path"], configuration["name"])
    except BaseException as error:
        os.write(answers, protocol.message(protocol.FAILED, content=_described(error)))
        # The judge stops the process before it reads the answer, and an end would pass for a crash.
        with suppress(EOFError):
            protocol.receive(configuration["requests"])
        return
    os.write(answers, protocol.message(protocol.READY))
    service = _Service(numpy, kernel, inputs, outputs, configuration["inputs"])
    service.processors = processors
    service.serve(configuration["requests"], answers)


class _Packages:
    """Finds the packages that a submission may use, and none of the others that stand beside them."""

    def __init__(self, folder: str, names: list[str]) -> None:
        self.folder, self.names = folder, names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self.names:
            return None
        return importlib.machinery.PathFinder.find_spec(name, [self.folder])


class _Service:
    def __init__(
        self, numpy: Any, kernel: Callable[..., Any], inputs: mmap.mmap, outputs: mmap.mmap, handle: int
    ) -> None:
        self.numpy, self.kernel, self.inputs, self.outputs, self.handle = (
            numpy,
            kernel,
            inputs,
            outputs,
            handle,
        )
        self.arguments: tuple[Any, ...] = ()
        self.processors = b""
        self.layout: dict[str, Any] = {"inputs": [], "output": None}

    def serve(self, requests: int, answers: int) -> None:
        kinds = protocol.CALL, protocol.NOTHING, protocol.DONE
        while True:
            head, error = turns.run(requests, answers, self.kernel, self.arguments, self.processors, *kinds)
            try:
                kind, token, content = protocol.receive(requests, head)
            except EOFError:
                return
            answer = protocol.message(protocol.DONE, token)
            try:
                if error is not None:
                    raise error
                if kind == protocol.PREPARE:
                    self.prepare(json.loads(content))
                elif kind == protocol.INSPECT:
                    answer = protocol.message(protocol.DONE, token, json.dumps(self.changed()).encode())
                elif kind == protocol.LINES:
                    answer = protocol.message(protocol.DONE, token, self.lines(json.loads(content)))
            except BaseException as caught:
                answer = protocol.message(protocol.FAILED, token, _described(caught))
            os.write(answers, answer)

    def prepare(self, layout: dict[str, Any]) -> None:
        self.layout = layout
        arrays = [self.array(self.inputs, part) for part in layout["inputs"]]
        self.arguments = (*arrays, self.array(self.outputs, layout["output"]))

    def array(self, memory: mmap.mmap, part: list[Any]) -> Any:
        dtype, shape, offset = part
        count = 1
        for size in shape:
            count *= size
        return self.numpy.frombuffer(memory, dtype, count, offset).reshape(shape)

    def lines(self, calls: int) -> bytes:
        from . import lines

        path = self.kernel.__code__.co_filename
        return json.dumps(lines.hottest(self.kernel, path, self.arguments, calls)).encode()

    def changed(self) -> list[int]:
        """Return which operands differ from what the judge wrote: a help for honest mistakes only."""
        found = []
        for number, (dtype, shape, offset) in enumerate(self.layout["inputs"]):
            ours = self.array(self.inputs, [dtype, shape, offset]).tobytes()
            if os.pread(self.handle, len(ours), offset) != ours:
                found.append(number)
        return found


def _mapped(handle: int, flags: int) -> mmap.mmap:
    size = os.fstat(handle).st_size
    return mmap.mmap(handle, size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)


def _load(path: str, name: str) -> Callable[..., Any]:
    loader: Any
    if path.endswith(".py"):
        loader = importlib.machinery.SourceFileLoader(name, path)
    else:
        loader = importlib.machinery.ExtensionFileLoader(name, path)
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    kernel = getattr(module, "kernel", None)
    if not callable(kernel):
        raise TypeError("the file defines no function named kernel")
    found: Callable[..., Any] = kernel
    return found


def _described(error: BaseException) -> bytes:
    lines = traceback.format_exception(error)
    # The frames of the box say nothing to the author; compiled ones have a path of the source tree.
    ours = (os.path.dirname(__file__), "inside/turns.pyx")  # noqa: PTH120
    lines = [line for line in lines if not any(path in line for path in ours)]
    described = {
        "type": type(error).__name__,
        "kinds": [kind.__name__ for kind in type(error).__mro__],
        "message": str(error)[:500],
        "traceback": "".join(lines)[-LAST_LINES:],
    }
    return json.dumps(described).encode()
