"""Tests of the kernels, from the build table: what they compute, where they write, which of them ran."""
