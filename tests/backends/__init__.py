"""Tests of `tensorops.backends`: the registry, and that every path computes the same product."""
