"""Sphinx configuration: ``python -m sphinx -W docs build/html``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[1]
# A tree that was built in place and not installed can be documented too.
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import course_pages  # noqa: E402 -- found by the line above

project = "tensorops"
author = "The tensorops authors"
project_copyright = "2026, The tensorops authors"
version = release = importlib.import_module("tensorops").__version__

extensions = ["sphinx.ext.autodoc", "numpydoc"]
nitpicky = True
default_role = "literal"
exclude_patterns = ["_build"]

# numpydoc would list every inherited member in a table of its own.
numpydoc_show_class_members = False
autodoc_typehints = "none"

html_theme = "pydata_sphinx_theme"
html_title = "tensorops"
html_copy_source = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_theme_options = {"secondary_sidebar_items": ["page-toc"], "show_prev_next": True}
# Pages without others below them: the list of neighbours would be empty.
html_sidebars = {name: [] for name in ("index", "course", "genindex", "search")}

HAS_MARKDOWN = importlib.util.find_spec("myst_parser") is not None
if HAS_MARKDOWN:
    extensions.append("myst_parser")


def write_course(app, config) -> None:
    """Make the pages of the course, or one that says why there are none."""
    notebooks, folder = ROOT / config.course_notebooks, ROOT / "docs" / "course"
    if HAS_MARKDOWN:
        course_pages.write(notebooks, folder)
    else:
        logging.getLogger(__name__).info("docs: %s", course_pages.write_notice(notebooks, folder))


def setup(app) -> None:
    """Add where the notebooks come from: another folder may hold executed ones."""
    app.add_config_value("course_notebooks", "notebooks", "env", types=[str])
    app.connect("config-inited", write_course)
