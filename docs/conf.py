"""How Sphinx builds the documentation's site from the Markdown files where they lie (`make docs`).

The source folder is the whole repository, so that a link from page to page means the same here as on a forge.
Nothing is fetched, neither while it is built nor by a reader's browser.
"""

import sys
from pathlib import Path

import fedscape

sys.path.insert(0, str(Path(__file__).parent / "site"))

project = "fedscape"
project_copyright = "the authors of fedscape, MIT licence"
version = release = fedscape.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "gallery", "plain_docstrings", "repository_links"]
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "config/**.md",
    "results/README.md",
    "benchmarks/README.md",
    "docs/**.md",
    "examples/**.md",
]
# Folders that are not even looked into: their files are no pages, and some of them are large.
exclude_patterns = [".*", "docs/_build", "results/[!R]*", "data", "src", "tests", "**/node_modules"]

# Markdown: links to headings are made as forges make them.
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_block", "colon_fence"]

# Notebooks run anew, and an error in one is an error of the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
nb_ipywidgets_js = {}  # by default scripts from elsewhere

# Docstrings are plain text with `code` in it.
default_role = "code"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = "fedscape"
html_copy_source = False
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_extra_path = ["site/front"]  # index.html, which leads to docs/index.html
pygments_style = "friendly"
pygments_dark_style = "monokai"
