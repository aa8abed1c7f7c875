"""The digest follows code: imports, re-exports and plug-ins, not comments, layout or anybody's other module."""

import pytest

from fedscape.study import digest


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small library: script -> a -> package.b (through a re-export) -> c; d stands apart."""
    library = tmp_path / "src" / "fedscape"
    (library / "package").mkdir(parents=True)
    files = {
        "__init__.py": '__version__ = "1"\n',
        "a.py": "from fedscape.package import name\n\n\ndef use():\n    return name\n",
        "package/__init__.py": '"""Package."""\nfrom fedscape.package.b import name\nfrom fedscape.package.other import x\n',
        "package/b.py": "from . import c\n\nname = c.value\n",
        "package/c.py": "value = 1\n",
        "package/other.py": "x = 1\n",
        "d.py": "y = 1\n",
    }
    for path, text in files.items():
        (library / path).write_text(text)
    script = tmp_path / "script.py"
    script.write_text("from fedscape.a import use\n\nuse()\n")
    monkeypatch.setattr(digest, "LIBRARY", library)
    monkeypatch.setattr(digest, "_ROOT", library.parent)

    def of(*plugins):
        for cached in (digest._tree, digest._hash, digest._imports):
            cached.cache_clear()
        return digest.code_digest([script, *plugins])

    yield library, script, of
    for cached in (digest._tree, digest._hash, digest._imports):
        cached.cache_clear()


@pytest.mark.parametrize("file", ["a.py", "package/b.py", "package/c.py"])
def test_an_edit_any_number_of_imports_away_counts(tree, file):
    library, _, of = tree
    before, original = of(), (library / file).read_text()
    (library / file).write_text(original + "\nmore = 2\n")
    assert of() != before
    (library / file).write_text(original)
    assert of() == before


@pytest.mark.parametrize("file", ["d.py", "package/other.py", "__init__.py"])
def test_other_modules_behind_the_same_package_do_not_count(tree, file):
    library, _, of = tree
    before = of()
    (library / file).write_text('__version__ = "2"\n' if file == "__init__.py" else "changed = True\n")
    assert of() == before


def test_comments_docstrings_and_layout_do_not_count(tree):
    library, script, of = tree
    before = of()
    (library / "package" / "c.py").write_text(
        '"""Now with a docstring."""\n\n# and a comment\nvalue = (\n    1\n)\n'
    )
    (library / "a.py").write_text(
        'from fedscape.package import name\n\ndef use():\n    """Use it."""\n    return name\n'
    )
    script.touch()
    assert of() == before


def test_the_order_of_imports_does_not_count_unless_one_name_is_bound_twice(tree):
    _, script, of = tree
    names = ("from fedscape.a import use\n", "import os\n", "from os import path, sep\n")
    script.write_text("".join(names))
    before = of()
    script.write_text("from os import sep\nfrom os import path\nfrom fedscape.a import use\nimport os\n")
    assert of() == before
    twice = ("from os import path\n", "from sys import path\n")
    script.write_text("".join(twice))
    before = of()
    script.write_text("".join(reversed(twice)))
    assert of() != before


def test_plugins_are_roots_of_their_own(tree):
    library, _, of = tree
    before = of(library / "d.py")
    assert before != of()
    (library / "d.py").write_text("y = 2\n")
    assert of(library / "d.py") != before


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from fedscape.d import y\n", False),
        ("import typing\n\nif typing.TYPE_CHECKING:\n    y = 0\nelse:\n    from fedscape.d import y\n", True),
    ],
)
def test_only_what_is_imported_at_run_time_counts(tree, text, counts):
    library, _, of = tree
    (library / "package" / "c.py").write_text(f"{text}value = 1\n")
    before = of()
    (library / "d.py").write_text("y = 3\n")
    assert (of() != before) is counts


def test_a_name_that_only_begins_like_a_dunder_counts(tree):
    library, _, of = tree
    (library / "package" / "c.py").write_text("__rate = 1\nvalue = 1\n")
    before = of()
    (library / "package" / "c.py").write_text("__rate = 2\nvalue = 1\n")
    assert of() != before


def test_code_in_a_package_init_counts_for_what_lies_below(tree):
    library, _, of = tree
    before = of()
    init = library / "package" / "__init__.py"
    init.write_text(init.read_text() + "\nprint('imported')\n")
    assert of() != before
