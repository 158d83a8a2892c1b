"""Tests of the public functions: NumPy's contract, and what is promised beyond it."""
