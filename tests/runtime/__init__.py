"""Tests of `tensorops.runtime`: what the library reads of the processor and the system."""
