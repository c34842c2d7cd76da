"""The docs site, which `make docs` builds of the repository's Markdown files where they lie."""

import importlib

import enct5

# Names that wait for their first use are not there for autodoc to list.
for _name in ("enct5", "enct5.training", "enct5.training.distillation", "enct5.export"):
    _module = importlib.import_module(_name)
    vars(_module).update({public: getattr(_module, public) for public in _module.__all__})

project = "enct5"
author = "the enct5 authors"
version = release = enct5.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
# The source folder is the repository's, so that links between its files are the same here as on a page of its host.
include_patterns = [
    "*.md",
    "docs/**.md",
    "examples/*.md",
    "benchmarks/results/*.md",
    "src/enct5/assets/*/README.md",
]
myst_heading_anchors = 3
highlight_language = "none"
suppress_warnings = ["toc.not_included"]  # benchmarks/results are tables without titles, which results.md links

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
default_role = "code"  # docstrings have single backticks, as Markdown has

html_theme = "furo"
html_title = f"enct5 {version}"
html_extra_path = ["site"]  # index.html, which leads to the root document
html_copy_source = False
html_show_copyright = False
