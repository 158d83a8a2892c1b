"""The matrix product beside NumPy and PyTorch: ``python benchmarks/matmul.py --quick``.

The cases and the speed to reach stand in ``profiling/cases``; this is the verb ``bench matmul``
for a checkout that is not installed.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from profiling.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["bench", "matmul", *sys.argv[1:]], prog="benchmarks/matmul.py"))
