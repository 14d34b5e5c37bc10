"""Sphinx: `nox -s docs` builds, with warnings as errors."""

import sys
from importlib.metadata import version as version_of
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "rnnext"
author = "the rnnext developers"
copyright = author
release = version = version_of("rnnext")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "mathml",
    "summaries",
    "gallery",
]
exclude_patterns = ["_build", "_extensions", "_templates"]
templates_path = ["_templates"]

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # numpydoc says them
autodoc_mock_imports = [
    name
    for name in ("torch", "onnx", "sklearn", "matplotlib", "mpi4py", "dask")
    if find_spec(name) is None
]
autosummary_generate = True
numpydoc_show_class_members = False  # the template of a class lists its methods
numpydoc_xref_param_type = False

smartquotes_action = "qe"  # options keep their two hyphens

html_theme = "pydata_sphinx_theme"
html_title = "rnnext"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 7,
}
html_sidebars = {"gallery/index": [], "contributing/index": []}
html_context = {"default_mode": "auto"}
