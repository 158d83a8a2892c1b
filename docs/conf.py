"""Sphinx configuration: ``python -m sphinx -W docs build/html``."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A tree that was built in place and not installed can be documented too.
sys.path.insert(0, str(ROOT))

project = "tensorops"
author = "The tensorops authors"
project_copyright = "2026, The tensorops authors"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc"]
nitpicky = False
default_role = "literal"
exclude_patterns = ["_build"]

# numpydoc would list every inherited member in a table of its own.
numpydoc_show_class_members = False
autodoc_typehints = "none"

html_theme = "pydata_sphinx_theme"
html_title = "tensorops"
html_copy_source = False
html_show_sourcelink = False
