"""Tests of `tensorops.dispatch`: the profile file, the policy, the state behind it, `explain`."""
