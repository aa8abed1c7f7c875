"""Ten sentences of the README and of two pages that it leads to, and the one room of the library in which each lives,
so that the tree alone tells."""

import ast
import re

import pytest
from edited_study import ROOT

LIBRARY = ROOT / "src" / "fedscape"
ROOMS = {path.name for path in LIBRARY.iterdir() if (path / "__init__.py").exists()}
PAGES = ("README.md", "docs/methods.md", "docs/data.md")
SAID = " ".join(
    " ".join((ROOT / page).read_text(encoding="utf-8").replace("**", "").split()) for page in PAGES
)

# sentence -> its room, and the public names by which it does what the sentence says.
LIVES = {
    "A study file is the experiment.": ("study", {"build_study"}),
    "A killed job loses nothing.": ("jobs", {"ResumeFolder"}),
    "Images are resized while their data set is prepared.": ("data", {"prepare_dataset"}),
    "What a rule keeps for a client (SCAFFOLD, FedDyn, MOON) lies on disk, so a federated run of 10,000 clients "
    "needs no more memory than those that train.": ("federated", {"ClientStore"}),
    "Every marker on a loss landscape carries its true loss and its distance from the plane beside what is drawn.": (
        "landscape",
        {"make_plane", "evaluate_surface"},
    ),
    "`connectivity` looks for barriers.": ("connectivity", {"evaluate_paths", "evaluate_pairs"}),
    "`curvature` measures how sharp a minimum is: eigenvalues, trace and density of its Hessian.": (
        "curvature",
        {"evaluate_hessians"},
    ),
    "`tables/claims.md` holds each against ours and says which do not hold.": ("tables", {"make_claims"}),
    "A figure is drawn from CSVs alone.": ("figures", {"draw_figure"}),
    "`surface.vts` and `trajectories.vtp` are exports for ParaView.": ("export", {"export_plane"}),
}  # fmt: skip


def rooms_named(sentence: str) -> set[str]:
    """The rooms whose names, in the singular, begin a word of a sentence."""
    return {room for room in ROOMS if re.search(rf"\b{room.removesuffix('s')}", sentence, re.IGNORECASE)}


def rooms_with(name: str) -> list[str]:
    """The room of each public function or class of this name; `""` for the library's root."""
    found = []
    for file in sorted(LIBRARY.rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                found.append(file.relative_to(LIBRARY).parts[0] if file.parent != LIBRARY else "")
    return found


def test_ten_sentences_live_in_ten_rooms():
    assert len(LIVES) == len({room for room, _ in LIVES.values()}) == 10
    assert {room for room, _ in LIVES.values()} <= ROOMS


@pytest.mark.parametrize("sentence", LIVES)
def test_a_page_says_it_word_for_word(sentence):
    assert sentence in SAID


def test_the_readme_leads_to_these_pages():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"({page})" in readme for page in PAGES[1:])


@pytest.mark.parametrize("sentence", LIVES)
def test_the_tree_alone_tells_where_it_lives(sentence):
    """Of all rooms, the sentence names its own and no other."""
    assert rooms_named(sentence) == {LIVES[sentence][0]}


@pytest.mark.parametrize("sentence", LIVES)
def test_what_does_it_is_there_and_nowhere_else(sentence):
    room, names = LIVES[sentence]
    assert {name: rooms_with(name) for name in names} == {name: [room] for name in names}


def test_a_sentence_of_another_room_is_noticed():
    assert rooms_named("Tables of drift and of curvature.") == {"tables", "drift", "curvature"}
    assert rooms_named("All is said here.") == set()
    assert rooms_with("main") == [""]
