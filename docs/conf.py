"""Configuration of the documentation site: `nox -s docs` builds it."""

import kmeans_c

project = "kmeans-c"
author = "The kmeans-c developers"
copyright = author  # noqa: A001 - Sphinx's name
release = kmeans_c.__version__
version = release

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# Prose that is written for readers of the repository, or that other pages include.
exclude_patterns = ["_build", "performance.md"]

autodoc_typehints = "none"  # numpydoc sections give the types
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = f"kmeans-c {release}"
