"""What a judging ends with: one word, where it happened, why, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

OK = "OK"
COMPILE_ERROR = "COMPILE_ERROR"
LOAD_ERROR = "LOAD_ERROR"
WRONG_ANSWER = "WRONG_ANSWER"
RUNTIME_ERROR = "RUNTIME_ERROR"
CRASH = "CRASH"
TIMEOUT = "TIMEOUT"
CPU_LIMIT = "CPU_LIMIT"
MEMORY_LIMIT = "MEMORY_LIMIT"
FORBIDDEN = "FORBIDDEN"
OUTPUT_LIMIT = "OUTPUT_LIMIT"
PROTOCOL = "PROTOCOL"
UNSTABLE = "UNSTABLE"
JUDGE_ERROR = "JUDGE_ERROR"

HINTS = {
    OK: "",
    COMPILE_ERROR: "Compile it yourself: cythonize -i kernel.pyx shows the same messages.",
    LOAD_ERROR: "The file must define kernel(...) at its top level and import only NumPy, the standard "
    "library and C headers.",
    WRONG_ANSWER: "Compare with the problem's oracle on the shape that is named, in float64.",
    RUNTIME_ERROR: "The traceback names the line; check shapes of one row or one column.",
    CRASH: "Look for an index out of bounds: compile with boundscheck=True and run the check again.",
    TIMEOUT: "A call must end within its limit; look for a loop that never ends or that sleeps.",
    CPU_LIMIT: "The judging as a whole has used too much processor time; the kernel is far too slow.",
    MEMORY_LIMIT: "Work in blocks, or write into out instead of into temporaries.",
    FORBIDDEN: "A kernel may compute, read its own file and start threads; no network, no other files, no "
    "processes, no signals.",
    OUTPUT_LIMIT: "Remove the print calls.",
    PROTOCOL: "Leave the file descriptors of the process alone.",
    UNSTABLE: "The times scatter too much to be ranked; submit again when the machine is quiet.",
    JUDGE_ERROR: "This is the judge's fault, not yours: it costs no quota and is tried again.",
}
"""Every verdict there is, with what its receiver can do."""

PHASES = ("accept", "compile", "load", "check", "time", "score")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a judging.

    Attributes
    ----------
    name : str
        A key of `HINTS`.
    phase : str
        One of `PHASES`.
    reason : str
        One line.
    case : str
        The case at which it happened; empty outside cases.
    error, tolerance : float or None
        Of a wrong answer: how far off it was, and how far it may be.
    stderr : str
        The end of what the submission or the compiler printed, at most 8 kB.
    """

    name: str
    phase: str
    reason: str = ""
    case: str = ""
    error: float | None = None
    tolerance: float | None = None
    stderr: str = ""

    def __post_init__(self) -> None:
        """Check the words."""
        if self.name not in HINTS or self.phase not in PHASES:
            raise ValueError(f"no verdict {self.name!r} in a phase {self.phase!r}")

    @property
    def hint(self) -> str:
        """What to do about it."""
        return HINTS[self.name]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "verdict": self.name,
            "phase": self.phase,
            "reason": self.reason,
            "case": self.case,
            "error": self.error,
            "tolerance": self.tolerance,
            "stderr": self.stderr,
            "hint": self.hint,
        }


class Fault(Exception):
    """A judging that ends here.

    Parameters
    ----------
    name : str
        A key of `HINTS`.
    reason : str
        One line.
    **more : Any
        Further fields of `Verdict`.
    """

    def __init__(self, name: str, reason: str, **more: Any) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason, self.more = name, reason, more

    def verdict(self, phase: str, stderr: str = "") -> Verdict:
        """Return the verdict of this fault in a phase."""
        found = Verdict(self.name, phase, one_line(self.reason), **self.more)
        return found if found.stderr else replace(found, stderr=stderr)


def one_line(text: str, most: int = 300) -> str:
    r"""Return a text on one line, without control characters.

    Examples
    --------
    >>> one_line("two\nlines")
    'two lines'
    """
    words = "".join(letter if letter.isprintable() else " " for letter in text).split()
    line = " ".join(words)
    return line if len(line) <= most else f"{line[: most - 3]}..."
