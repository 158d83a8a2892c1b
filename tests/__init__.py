"""Tests that mirror the packages; a package itself, so that tests may share helpers."""
