"""Collecting: what happens line by line: hits, times, allocations, memory."""
