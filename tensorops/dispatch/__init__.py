"""The choice of a path: the profile file, the policy, the state behind it, and its explanation."""
