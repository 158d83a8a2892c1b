"""Benchmarks of anybody's callables, and of operations by name."""

from .call import bench
from .plan import Interrupted
from .result import BenchResult, BenchSeries

__all__ = ["BenchResult", "BenchSeries", "Interrupted", "bench"]
