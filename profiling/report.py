"""Shim for ``python -m profiling.report TARGET``: the verb ``report``."""

from __future__ import annotations

import sys

from .__main__ import main

if __name__ == "__main__":
    sys.exit(main(["report", *sys.argv[1:]], prog="python -m profiling"))
