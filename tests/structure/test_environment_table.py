"""The documentation's one table of ``TENSOROPS_*`` variables and the code name the same variables."""

from __future__ import annotations

import re

from tests.structure.compiled import PACKAGES, ROOT

# Code names a variable in a string; the same letters outside of quotes are a macro or a sentence.
QUOTED = re.compile(r"""(["'])(TENSOROPS_[A-Z][A-Z0-9_]*)\1""")
NAMED = re.compile(r"\bTENSOROPS_[A-Z][A-Z0-9_]*\b")
ROW = re.compile(r"^\s*\* - ``(TENSOROPS_[A-Z0-9_]+)``", re.MULTILINE)
TABLE = ROOT / "docs" / "environment.rst"


def in_the_code() -> set[str]:
    """Return every variable that the build or the packages read."""
    files = [ROOT / "setup.py"]
    for package in PACKAGES:
        files += [path for path in (ROOT / package).rglob("*") if path.suffix in {".py", ".pyx", ".pxi"}]
    return {name for path in files for _, name in QUOTED.findall(path.read_text(encoding="utf-8"))}


def test_the_table_is_complete_and_current() -> None:
    rows = ROW.findall(TABLE.read_text(encoding="utf-8"))
    assert sorted(rows) == sorted(in_the_code())


def test_other_pages_name_known_variables_only() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.rst"), ROOT / ".ci" / "run"]
    named = {name for path in pages for name in NAMED.findall(path.read_text(encoding="utf-8"))}
    assert named - in_the_code() == set()
