"""Sphinx configuration: ``python -m sphinx -W docs build/html``."""

from __future__ import annotations

from importlib.metadata import version as installed_version

project = "tensorops"
author = "The tensorops authors"
project_copyright = "2026, The tensorops authors"
version = release = installed_version("tensorops")

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
