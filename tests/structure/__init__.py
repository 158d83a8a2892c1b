"""Tests of the project's shape: who imports whom, stubs, documentation, build products."""
