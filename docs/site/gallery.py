"""The directive `gallery`: the figures of all studies in `docs/examples`, each with its title, small."""

from collections.abc import Callable, Iterable
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from fedscape.study.campaign import read_study
from fedscape.study.files import read_yaml

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
SCALE = "small"


class Gallery(SphinxDirective):
    """A heading for each example, and its figures as links to its page."""

    def run(self) -> list[nodes.Node]:
        """The nodes of the Markdown that `_markdown` writes."""
        container = nodes.Element()
        # One whose runs are still being packed has no page yet.
        drawn = [page.parent for page in sorted(EXAMPLES.glob(f"*-{SCALE}/README.md"))]
        text = "\n\n".join(map(_markdown, drawn))
        lines = StringList(text.splitlines(), source=self.get_source_info()[0])
        self.state.nested_parse(lines, self.content_offset, container, match_titles=True)
        return container.children


def _markdown(example: Path) -> str:
    """The part of one example, with paths as from a page in `docs`."""
    settings = read_yaml(ROOT / "config" / "config.yaml")
    study = read_study(ROOT, settings | {"study": example.name.removesuffix(f"-{SCALE}"), "scale": SCALE})
    figures = [
        f":::{{figure}} examples/{example.name}/figures/{file.name}\n"
        f":target: examples/{example.name}/README.html\n:alt: {file.stem}\n:loading: lazy\n\n"
        f"{study.figures[file.stem].title if file.stem in study.figures else file.stem}\n:::"
        for file in sorted((example / "figures").glob("*.png"), key=_as_the_study_has_them(study.figures))
    ]
    return "\n\n".join(
        [
            f"## {study.title}",
            f"[What holds, and all tables](examples/{example.name}/README.md)" + _page(example),
            "::::{container} gallery",
            *figures,
            "::::",
        ]
    )


def _page(example: Path) -> str:
    """A link to the study's own page, where `make examples` has written it."""
    is_there = (example / "index.html").is_file()
    return f", [the study's page with the explorer](examples/{example.name}/index.html)" if is_there else ""


def _as_the_study_has_them(figures: Iterable[str]) -> Callable[[Path], tuple[int, str]]:
    """A key that sorts files by the order in which a study names its figures."""
    order = {name: index for index, name in enumerate(figures)}
    return lambda file: (order.get(file.stem, len(order)), file.stem)


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls for an extension."""
    app.add_directive("gallery", Gallery)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
