"""What means one thing in the repository and another on the site.

A README stands above the pages in its folders. A link to a folder is words alone. The pages of examples
(`docs/examples/*/index.html`) are copied as they are, and a link to one stays a link in place of a download.
"""

import shutil
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [f"docs/examples/{file.parent.name}/README" for file in ROOT.glob("docs/examples/*/README.md")]
BELOW = {
    "config/README": "reference/*",
    "docs/examples/README": "*/README",
    **dict.fromkeys(EXAMPLES, "tables/*"),
}
"""Page -> the pages below it in the site's navigation, relative to its folder."""


def _with_pages_below(app: Sphinx, page: str, source: list[str]) -> None:
    """A page's text with the list of those below it, which is not shown in the text."""
    if page in BELOW:
        source[0] += f"\n\n```{{toctree}}\n:hidden:\n:glob:\n\n{BELOW[page]}\n```\n"


def _resolved(app: Sphinx, document: nodes.document) -> None:
    """Links to folders as words, and links to HTML as links, since the site has the repository's folders."""
    here = (ROOT / app.env.docname).parent
    for node in list(document.findall(addnodes.pending_xref)):
        if node.get("reftype") == "myst" and (here / node["reftarget"]).is_dir():
            node.replace_self(node.children)
    for node in list(document.findall(addnodes.download_reference)):
        if node["reftarget"].endswith(".html"):
            node.replace_self(nodes.reference("", "", *node.children, refuri=node["reftarget"]))


def _copied(app: Sphinx, error: Exception | None) -> None:
    """The examples' pages, the library beside them, and the figures that they lead to."""
    kinds = ("*.html", "*.min.js", "figures/*.png")
    for file in [file for kind in kinds for file in ROOT.glob(f"docs/examples/*/{kind}")]:
        copy = Path(app.outdir) / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls for an extension."""
    app.connect("source-read", _with_pages_below)
    app.connect("doctree-read", _resolved)
    app.connect("build-finished", _copied)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
