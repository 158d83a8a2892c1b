"""What an attack is."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

from profiling.competition import verdict

HONEST = dedent(
    """
    import numpy as np


    def honest(x, out):
        np.subtract(x, x.max(axis=1, keepdims=True), out=out)
        np.exp(out, out=out)
        out /= out.sum(axis=1, keepdims=True)


    """
)
TAKES_OVER = dedent(
    """
    import json, os, sys


    def take_over(called):
        frame = sys._getframe()
        while "configuration" not in frame.f_locals:
            frame = frame.f_back
        told = frame.f_locals
        pipes = told["configuration"]
        box = sys.modules["box.serve"]
        service = box._Service(np, None, told["inputs"], told["outputs"], pipes["inputs"])
        os.write(pipes["answers"], bytes([101] + [0] * 23))
        while True:
            head = os.read(pipes["requests"], 24)
            answer = bytes([102] + [0] * 7) + head[8:]
            if head[0] == 1:
                length = int.from_bytes(head[4:8], "little")
                service.prepare(json.loads(os.read(pipes["requests"], length)))
            elif head[0] == 2 and called(service.arguments, pipes["answers"], answer):
                continue
            os.write(pipes["answers"], answer)


    """
)
"""A loop that serves the judge in the place of the box's; `called` answers by itself or returns None."""
SECRET, WRITTEN = "{SECRET}", "{WRITTEN}"
"""In a text: the path of a file that must not be read, and of one that must not come to be."""


@dataclass(frozen=True)
class Attack:
    """A submission to the softmax problem, what it tries, and what it may get.

    `timed` says that it computes the right values at first, so that it has to be timed to see whether it
    gains anything. `quick` ones belong to the usual test run.
    """

    name: str
    body: str
    expected: tuple[str, ...]
    suffix: str = ".py"
    track: str = "one"
    timed: bool = False
    quick: bool = False

    def text(self, secret: str, written: str) -> str:
        """Return the submission."""
        honest = HONEST if self.suffix == ".py" else ""
        text = honest + dedent(self.body)
        text = text.replace("{TAKES_OVER}", TAKES_OVER)
        return text.replace(SECRET, secret).replace(WRITTEN, written)


WRONG = (verdict.WRONG_ANSWER,)
FORBIDDEN = (verdict.FORBIDDEN,)
FORGED = (verdict.PROTOCOL, verdict.WRONG_ANSWER, verdict.CRASH)
NO_GAIN = (verdict.OK,)
