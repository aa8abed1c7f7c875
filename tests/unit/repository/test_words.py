"""The words: no phrase that English has a plain one for, and a page of terms that can be held in the head."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLAIN = {
    r"(?:made|makes?|making)(?: (?:it|them|this|nothing|something|all))? again": "rebuilt, rebuilds, reruns",
    r"(?:go|goes|going|went|gone) on": "resumes, continues",
    r"dear(?:er|est)?": "expensive",
    r"so many": "this many, or the number's own name",
    r"reckon\w*": "estimates, counts",
    r"(?:circle of|in a circle)": "cycle",
    r"or_exit": "exit_on_error",
    r"at the most": "at most",
}
"""Phrases, as regular expressions, and what is written in their place."""
WRITTEN = [
    *(ROOT / name for name in ("Snakefile", "Makefile")),
    *ROOT.glob("*.md"),
    *(
        file
        for room in (
            "src",
            "rules",
            "workflow",
            "docs",
            "config",
            "examples",
            "profiles",
            "results/README.md",
        )
        for file in ([ROOT / room] if (ROOT / room).is_file() else sorted((ROOT / room).rglob("*")))
        if file.suffix in {".py", ".smk", ".md", ".yaml", ".rst"} and "_build" not in file.parts
    ),
]
TERMS = ROOT / "docs" / "terms.md"


def running(text: str) -> str:
    """A file as one line, without the signs of comments, so that a phrase over two lines is one."""
    return re.sub(r"\s*\n[\s#]*", " ", text)


def phrases(text: str) -> list[str]:
    """What a text says that has a plain word, each with a few words around it."""
    return [
        f"{match[0]!r} ({plain})"
        for phrase, plain in PLAIN.items()
        for match in re.finditer(rf"\b(?:\w+ )?{phrase}\b(?: \w+)?", running(text), re.IGNORECASE)
    ]


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_what_is_written_is_plain(file):
    unidiomatic = phrases(file.read_text(encoding="utf-8"))
    assert not unidiomatic, "; ".join(unidiomatic)


@pytest.mark.parametrize(
    "text",
    [
        "A deleted file is made again.",
        "an edit makes nothing\n    again",
        "# training goes\n# on after a kill",
        "the dearest stage",
        "so many at the most",
        "It reckons with a circle of starts.",
        "def or_exit(function):",
    ],
)
def test_a_phrase_is_found_across_lines_and_comments(text):
    assert phrases(text)


def test_other_words_are_left_alone():
    assert not phrases("a goes-on, make it run again, endearing, so that many; clients on a circle around it")


def test_the_page_of_terms_is_short_and_in_order():
    terms = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", TERMS.read_text(encoding="utf-8"), re.MULTILINE)[2:]
    assert 0 < len(terms) <= 40
    assert terms == sorted(set(terms), key=str.lower)


def test_classes_that_terms_name_are_there():
    classes = {
        name
        for file in (ROOT / "src").rglob("*.py")
        for name in re.findall(r"^class (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`([A-Z]\w+)`", TERMS.read_text(encoding="utf-8")))
    assert named and named <= classes
