"""Tune from a program: `autotune` spends a few seconds, `record` notes what a program calls.

Nothing is tuned unless one of the functions here, or the verb ``tune``, is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tensorops.backends import Call
from tensorops.dispatch import schema, selection
from tensorops.dispatch.records import Entry, Profile
from tensorops.operations import OPERATIONS
from tensorops.runtime import openmp

from .cases import DTYPES
from .collect.recording import RecordedCall, Recording, record
from .document import time_text
from .measure.line_samples import with_hotspots
from .measure.tune import Measurer, Tuned, tune, tune_cases
from .measure.tuning_gain import Change, changes, confirmed, mean_gain
from .measure.tuning_timer import PathTimer
from .measure.worker import WorkerError

__all__ = ["RecordedCall", "Recording", "TuneReport", "autotune", "record", "store", "tune_recorded"]


@dataclass(frozen=True, slots=True)
class TuneReport:
    """What a tune measured, stored and changed.

    Attributes
    ----------
    tuned : Tuned
        The measurements.
    changes : tuple of Change
        Measured calls that take another path now, with the times that the choice rests on.
    confirmed : tuple of Change
        Some of them measured once more.
    gain : float
        Geometric mean over all measured calls of the time before over the time now.
    path : Path or None
        The profile that was written; None if nothing was stored.
    calls : tuple of RecordedCall
        What was recorded, if the problems come from a recording.

    Examples
    --------
    >>> str(TuneReport(Tuned(), (), (), 1.0, None))
    '0 problems measured in 0.0 s; no choice changed; nothing was stored'
    """

    tuned: Tuned
    changes: tuple[Change, ...]
    confirmed: tuple[Change, ...]
    gain: float
    path: Path | None
    calls: tuple[RecordedCall, ...] = ()

    def savings(self) -> list[tuple[Change, int, float]]:
        """Return what each change saves in a program like the one recorded.

        Returns
        -------
        list of (Change, int, float)
            The change, how often it was called, and the seconds saved in all; times measured once more
            where there are such, negative where the change does not pay after all.

        Examples
        --------
        >>> TuneReport(Tuned(), (), (), 1.0, None).savings()
        []
        """
        better = {_call_of(change): change for change in self.confirmed}
        counts: dict[Call, int] = {}
        for entry in self.calls:
            call = measured_call(entry, self.tuned.entries)
            counts[call] = counts.get(call, 0) + entry.calls
        found = []
        for change in self.changes:
            call = _call_of(change)
            if call in counts:
                known = better.get(call, change)
                saved = counts[call] * (known.before_seconds - known.after_seconds)
                found.append((known, counts[call], saved))
        return sorted(found, key=lambda item: -item[2])

    def __str__(self) -> str:
        count = len(self.changes)
        moved = "no choice changed"
        if count:
            moved = f"{count} of {len(self.tuned.entries)} measured choices changed"
            if self.calls:
                saved = sum(seconds for _, _, seconds in self.savings())
                moved += f", which saves {time_text(max(saved, 0.0))} in a program like the one recorded"
        where = "nothing was stored" if self.path is None else f"stored in {self.path}"
        seconds = self.tuned.seconds
        text = f"{self.tuned.problems} problems measured in {seconds:.1f} s; {moved}; {where}"
        return "; ".join([text, *(f"{path}: {reason}" for path, reason in self.tuned.left_out.items())])


def measured_call(recorded: RecordedCall, entries: Sequence[Entry]) -> Call:
    """Return the measured call that speaks for a recorded one.

    Parameters
    ----------
    recorded : RecordedCall
        What a program calls.
    entries : sequence of Entry
        What was measured.

    Returns
    -------
    Call
        The same call, without the parameters that decide nothing; on one thread where only that was measured,
        because more make no difference.

    Examples
    --------
    >>> from profiling.cases import square_case
    >>> measured_call(RecordedCall(square_case(8, "float32"), 2, 100), []).threads
    2
    """
    call, alone = (recorded.case.call(count) for count in (recorded.threads, 1))
    known = {entry.key for entry in entries}
    return alone if _key(call) not in known and _key(alone) in known else call


def _call_of(change: Change) -> Call:
    return change.case.call(change.threads)


def _key(call: Call) -> tuple[object, ...]:
    return call.op, call.dtype, call.shapes, call.layout, call.params, call.in_place, call.threads


def autotune(
    seconds: float = 5.0,
    ops: Sequence[str] = ("matmul",),
    *,
    threads: Sequence[int] | None = None,
    dtypes: Sequence[str] = DTYPES,
    save: bool = True,
    on_problem: Callable[[str, float], object] = lambda name, share: None,
) -> TuneReport:
    """Measure for a few seconds which path is the fastest, and have the dispatcher use it.

    Parameters
    ----------
    seconds : float, optional
        How long to measure; starting the measuring processes takes one of them.
    ops : sequence of str, optional
        Names of operations.
    threads : sequence of int, optional
        Numbers of threads; by default 1 and as many as the kernels use now.
    dtypes : sequence of str, optional
        Of the operands.
    save : bool, optional
        Whether the results are stored for this and later processes. Without it nothing changes.
    on_problem : callable, optional
        Told each problem before it is measured, and the share of the time that is spent.

    Returns
    -------
    TuneReport
        Print it.

    Raises
    ------
    ValueError
        If an operation or a dtype is unknown, a number is out of range, or ``TENSOROPS_PROFILE`` is "none".
    OSError
        If the profile cannot be written.

    Examples
    --------
    >>> autotune(0.0, save=False).changes
    ()
    """
    unknown = [op for op in ops if op not in OPERATIONS]
    if unknown:
        raise ValueError(f"unknown operation {unknown[0]!r}; known: {', '.join(OPERATIONS)}")
    if not set(dtypes) <= set(DTYPES) or not dtypes:
        raise ValueError(f"dtypes={list(dtypes)}: expected some of {', '.join(DTYPES)}")
    if not seconds >= 0:
        raise ValueError(f"seconds={seconds}: expected 0 or more")
    counts = sorted({1, openmp.get_num_threads()}) if threads is None else sorted(set(threads))
    if not counts or counts[0] < 1:
        raise ValueError(f"threads={counts}: expected numbers of at least 1")
    if save and schema.profile_path() is None:
        raise ValueError("TENSOROPS_PROFILE=none: no profile is kept; unset it, or pass save=False")
    tuned = tune(ops, budget=seconds, threads=counts, dtypes=dtypes, on_problem=on_problem)
    return store(tuned, save=save)


def tune_recorded(
    recording: Recording | Sequence[RecordedCall],
    seconds: float = 20.0,
    *,
    save: bool = True,
    on_problem: Callable[[str, float], object] = lambda name, share: None,
) -> TuneReport:
    """Tune what a program calls.

    Parameters
    ----------
    recording : Recording or sequence of RecordedCall
        What it calls, from `record`.
    seconds : float, optional
        How long to measure at most; the calls with the most work come first.
    save : bool, optional
        Whether the results are stored. Without it nothing changes.
    on_problem : callable, optional
        Told each problem before it is measured, and the share of the problems that is done.

    Returns
    -------
    TuneReport
        Which paths changed, and what it saves.

    Raises
    ------
    ValueError
        If ``TENSOROPS_PROFILE`` is "none".
    OSError
        If the profile cannot be written.

    Examples
    --------
    >>> str(tune_recorded([], save=False))
    '0 problems measured in 0.0 s; no choice changed; nothing was stored'
    """
    calls = tuple(recording.calls() if isinstance(recording, Recording) else recording)
    if save and schema.profile_path() is None:
        raise ValueError("TENSOROPS_PROFILE=none: no profile is kept; unset it, or pass save=False")
    threads = sorted({1, *(entry.threads for entry in calls)})
    cases = [entry.case for entry in calls]
    tuned = tune_cases(cases, budget=seconds, threads=threads, on_problem=on_problem)
    return store(tuned, calls, save=save)


def store(
    tuned: Tuned,
    calls: Sequence[RecordedCall] = (),
    *,
    save: bool = True,
    measurer: Measurer | None = None,
) -> TuneReport:
    """Write what a tune measured to the profile, have it read again, and tell what changed.

    Parameters
    ----------
    tuned : Tuned
        The measurements.
    calls : sequence of RecordedCall, optional
        What a program calls; changes of other calls are not told then.
    save : bool, optional
        Whether to write; if not, what would change is told.
    measurer : Measurer, optional
        Measures changed calls once more; processes of its own by default.

    Returns
    -------
    TuneReport
        The changes.

    Raises
    ------
    ValueError
        If ``TENSOROPS_PROFILE`` is "none".
    OSError
        If the profile cannot be written.

    Examples
    --------
    >>> store(Tuned(), save=False).path is None
    True
    """
    before = selection.current_profile()
    entries = tuned.entries
    path = None
    after: Profile | None
    if save and entries:
        path = schema.save(Profile(schema.fingerprint(), tuple(with_hotspots(entries))))
        after = selection.reload_profile()
    else:
        after = (before or Profile(schema.fingerprint())).merged(entries)
    wanted = {measured_call(entry, entries) for entry in calls}
    found = [change for change in changes(entries, before, after) if not calls or _call_of(change) in wanted]
    again: list[Change] = []
    if found and not tuned.interrupted:
        threads = sorted({entry.threads for entry in entries})
        # Whatever ends a measuring process: what is measured and stored is told.
        with suppress(WorkerError), PathTimer(threads, seed=1) if measurer is None else measurer as timer:
            again = confirmed(found, timer.measure)
    return TuneReport(
        tuned, tuple(found), tuple(again), mean_gain(entries, before, after), path, tuple(calls)
    )
