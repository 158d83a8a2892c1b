"""The toolkit that measures `tensorops` and explains what it measured.

``python -m profiling.report matmul`` is where to begin; ``python -m profiling --help`` lists the verbs.
"""
