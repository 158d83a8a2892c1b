"""Twins of kernels built with line tracing, for line_profiler; never imported by the library."""
