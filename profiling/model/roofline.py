"""The roofline: what arithmetic and what each level of memory allow, measured on this machine.

An operation that does `flops` operations on `bytes` of operands has the arithmetic intensity
flops / bytes. It cannot run faster than the processor computes, nor faster than its operands arrive: the
lower of peak and intensity x bandwidth is its roof.

References
----------
.. [1] S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual performance model for
   multicore architectures", Communications of the ACM 52(4), 2009.
.. [2] J. McCalpin, "STREAM: sustainable memory bandwidth in high performance computers".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import streams
from .geometry import CacheLevel

MEMORY = "memory"
LEAST_SAMPLES = 16
FASTEST = 3
"""Samples that should agree before no more are taken."""
AGREEMENT = 1.03
"""The slowest of them over the fastest."""
SAMPLE_SECONDS = 1e-3
LEAST_SECONDS = 0.1
BUDGET_SECONDS = 1.0
"""Of one kernel on one level; beyond it no samples are taken but the least."""
PEAK_SECONDS = 0.05
LARGEST_FOOTPRINT = 256 << 20
"""Some machines report caches of hundreds of MiB; more memory than this is never streamed over."""
ALIGNMENT = 2 << 20
"""Some processors guess the way of L1 from a hash of the address; across a boundary of many bits the
guesses of neighbouring pages clash, and L1 reads at half its speed."""
ROOM_OF_L1 = 2
"""The share of a level that a footprint takes is one over this: the rest is for everybody else."""

Estimate = Callable[[Sequence[float]], float]


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """What one level delivers to a number of threads.

    Attributes
    ----------
    level : str
        "L1", "L2", "L3" or "memory".
    threads : int
        Threads that stream at the same time, each over arrays of its own.
    footprint : int
        Bytes of all threads' arrays together.
    rates : mapping of str to float
        GB/s (1e9 bytes per second) by kernel: "read", "copy", "triad".
    """

    level: str
    threads: int
    footprint: int
    rates: Mapping[str, float]

    @property
    def best(self) -> float:
        """The highest rate: a roof is what nothing exceeds."""
        return max(self.rates.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready values."""
        return {
            "level": self.level,
            "threads": self.threads,
            "footprint": self.footprint,
            "gbytes_per_second": dict(self.rates),
        }


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operation stands under a roof.

    Attributes
    ----------
    intensity : float
        Floating-point operations per byte.
    level : str
        The level that its operands fit in.
    limit : str
        "compute", or the level whose bandwidth is the lower roof.
    roof : float
        GFLOP/s that the roof allows.
    gflops : float
        GFLOP/s measured.
    """

    intensity: float
    level: str
    limit: str
    roof: float
    gflops: float

    @property
    def share(self) -> float:
        """Measured rate over the roof."""
        return self.gflops / self.roof


@dataclass(frozen=True, slots=True)
class Roof:
    """The roofline of one dtype and one number of threads.

    Attributes
    ----------
    dtype : str
        ``"float32"`` or ``"float64"``.
    threads : int
        Threads.
    peak : float
        GFLOP/s on registers alone, of all threads together.
    bandwidths : tuple of Bandwidth
        From the level nearest to the core to the memory.
    capacities : mapping of str to int
        Bytes that fit into each cache, of all threads together.
    """

    dtype: str
    threads: int
    peak: float
    bandwidths: tuple[Bandwidth, ...]
    capacities: Mapping[str, int]

    def place(self, flops: int, moved: int, seconds: float) -> Place:
        """Return where an operation stands.

        Parameters
        ----------
        flops : int
            Floating-point operations of one call.
        moved : int
            Bytes of its operands and its result, each counted once.
        seconds : float
            Measured time of one call.

        Returns
        -------
        Place
            Under the bandwidth of the level that the operands fit in.

        Examples
        --------
        >>> l1, memory = (Bandwidth(*level, {"read": rate}) for *level, rate in (
        ...     ("L1", 1, 16384, 200.0), ("memory", 1, 1 << 28, 20.0)))
        >>> roof = Roof("float32", 1, 100.0, (l1, memory), {"L1": 32768})
        >>> roof.place(flops=1_000_000, moved=1_000_000, seconds=1e-4)
        Place(intensity=1.0, level='memory', limit='memory', roof=20.0, gflops=10.0)
        """
        fits = (found for found in self.bandwidths if moved <= self.capacities.get(found.level, 0))
        bandwidth = next(fits, self.bandwidths[-1])
        intensity = flops / moved
        slope = intensity * bandwidth.best
        limit = "compute" if self.peak <= slope else bandwidth.level
        return Place(intensity, bandwidth.level, limit, min(self.peak, slope), flops / seconds / 1e9)

    def to_dict(self) -> dict[str, Any]:
        """Return the roof as JSON-ready values."""
        return {
            "dtype": self.dtype,
            "threads": self.threads,
            "peak_gflops": self.peak,
            "bandwidths": [bandwidth.to_dict() for bandwidth in self.bandwidths],
            "capacities": dict(self.capacities),
        }


def fastest_mean(samples: Sequence[float]) -> float:
    """Return the mean of the fastest samples: a core that others use half of the time has the same roof.

    Parameters
    ----------
    samples : sequence of float
        Seconds of equal samples.

    Returns
    -------
    float
        Seconds.

    Examples
    --------
    >>> fastest_mean([5.0, 1.0, 2.0, 3.0])
    2.0
    """
    return float(np.mean(np.sort(samples)[:FASTEST]))


def footprints(levels: Sequence[CacheLevel], threads: int) -> dict[str, int]:
    """Return the bytes that each thread streams over to measure a level.

    Parameters
    ----------
    levels : sequence of CacheLevel
        As `profiling.model.geometry.machine_levels`.
    threads : int
        Threads that share what is shared.

    Returns
    -------
    dict of str to int
        By level, "memory" the last. A cache is measured well inside it and well beyond the one before; a
        level for which no such size exists is left out.

    Examples
    --------
    >>> found = footprints([CacheLevel("L1", 32768, 8, 64), CacheLevel("L2", 524288, 8, 64)], 1)
    >>> found["L1"], found["L2"], found["memory"] >> 20
    (16384, 262144, 64)
    """
    found: dict[str, int] = {}
    inner = 0
    for level in levels:
        share = level.size // min(threads, level.shared_by)
        # A quarter of what is shared with others, machines beside this one among them.
        room = share // (ROOM_OF_L1 if level.shared_by == 1 else 4)
        wanted = min(room, max(4 * inner, share // ROOM_OF_L1 if level.shared_by == 1 else 4 * inner))
        if wanted >= 2 * inner:
            found[level.name] = wanted
        inner = level.size
    largest = max((level.size * threads // min(threads, level.shared_by) for level in levels), default=0)
    found[MEMORY] = min(LARGEST_FOOTPRINT, max(64 << 20, 4 * largest)) // threads
    return found


def capacities(levels: Sequence[CacheLevel], threads: int) -> dict[str, int]:
    """Return the bytes that fit into each cache of some threads, each on a core of its own.

    Parameters
    ----------
    levels : sequence of CacheLevel
        Caches of one core.
    threads : int
        Threads.

    Returns
    -------
    dict of str to int
        A shared cache counts once for the threads that share it.

    Examples
    --------
    >>> capacities([CacheLevel("L1", 32768, 8, 64)], threads=2)
    {'L1': 65536}
    """
    return {level.name: level.size * -(-threads // level.shared_by) for level in levels}


def measure_bandwidths(
    levels: Sequence[CacheLevel],
    threads: int,
    estimate: Estimate,
    on_level: Callable[[str], None] = lambda text: None,
) -> tuple[Bandwidth, ...]:
    """Measure what each level delivers.

    Parameters
    ----------
    levels : sequence of CacheLevel
        Caches of this machine.
    threads : int
        Threads that stream at the same time.
    estimate : callable
        From seconds of equal samples, in the order taken, to one number of seconds.
    on_level : callable, optional
        Told what begins.

    Returns
    -------
    tuple of Bandwidth
        From the level nearest to the core to the memory.

    Raises
    ------
    RuntimeError
        If fewer threads take part, as in a build without OpenMP or in a forked child.
    """
    found = []
    for level, size in footprints(levels, threads).items():
        on_level(f"{level}, {threads} thread{'s' * (threads > 1)}")
        found.append(measure_bandwidth(level, size, threads, estimate))
    return tuple(found)


def measure_bandwidth(level: str, size: int, threads: int, estimate: Estimate) -> Bandwidth:
    """Measure what memory delivers at one footprint.

    Parameters
    ----------
    level : str
        What the footprint fits in, for the result.
    size : int
        Bytes that each thread streams over.
    threads : int
        Threads that stream at the same time.
    estimate : callable
        From seconds of equal samples, in the order taken, to one number of seconds.

    Returns
    -------
    Bandwidth
        By kernel.

    Raises
    ------
    RuntimeError
        If fewer threads take part, as in a build without OpenMP or in a forked child.
    """
    isa = streams.isas()[-1]
    space = np.empty(threads * streams.span(size) + 4096 + ALIGNMENT, np.uint8)
    memory = space[-space.ctypes.data % ALIGNMENT :]
    # Pages that nobody has written are one and the same page of zeros, which never leaves the caches.
    memory.fill(1)
    rates = {}
    for kernel in streams.KERNELS:
        passes = _passes(kernel, isa, memory, size)
        samples = _samples(partial(streams.run, kernel, isa, memory, size, threads, passes))
        rates[kernel] = threads * streams.moved(kernel, size) * passes / estimate(samples) / 1e9
    return Bandwidth(level, threads, threads * size, rates)


def _passes(kernel: str, isa: str, memory: NDArray[np.uint8], size: int) -> int:
    """Return how many passes of one thread make a sample long enough."""
    passes = 1
    while True:
        # The least of three: an interruption must not pass for slow memory.
        seconds = min(streams.run(kernel, isa, memory, size, 1, passes) for _ in range(3))
        if seconds >= SAMPLE_SECONDS / 2:
            return max(1, round(passes * SAMPLE_SECONDS / seconds))
        passes = max(passes + 1, min(10 * passes, int(passes * SAMPLE_SECONDS / seconds)))


def _samples(run: Callable[[], float]) -> list[float]:
    samples: list[float] = []
    while len(samples) < LEAST_SAMPLES or sum(samples) < LEAST_SECONDS or _is_disturbed(samples):
        samples += [run() for _ in range(4)]
    return samples


def _is_disturbed(samples: Sequence[float]) -> bool:
    """Tell whether more samples may be faster, and there is time for them."""
    fastest = sorted(samples)[:FASTEST]
    return fastest[-1] > AGREEMENT * fastest[0] and sum(samples) < BUDGET_SECONDS


def measure_peak(dtype: str, threads: int, seconds: float = PEAK_SECONDS) -> float:
    """Measure the arithmetic peak of several cores at work together.

    Parameters
    ----------
    dtype : str
        ``"float32"`` or ``"float64"``.
    threads : int
        Threads that compute on registers at the same time.
    seconds : float
        How long.

    Returns
    -------
    float
        GFLOP/s of all threads together, with the vectors of the selected instruction set.

    Examples
    --------
    >>> measure_peak("float32", 1, seconds=0.001) > 0
    True
    """
    from tensorops.kernels.gemm import family

    rates: list[float] = []
    start = threading.Barrier(threads)

    def compute() -> None:
        start.wait()
        rates.append(family.measure_peak(dtype, seconds))

    workers = [threading.Thread(target=compute) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(rates)
