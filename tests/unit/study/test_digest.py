"""The digest follows code: imports, re-exports and plug-ins, not comments, layout or anybody's other module.

It is the code that Python runs: also what a package's `__init__` imports, and what a module does when it is imported.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedscape.study import digest, effects, imports, syntax
from fedscape.study.catalog import names, source
from fedscape.study.imports import reached

# What replaces a function of a package when it is imported, and what only defines one.
PATCH = "import math\n\n\ndef half(x):\n    return x / 2\n\n\nmath.sqrt = half\n"
DEFINITION = PATCH.replace("math.sqrt = half\n", "ROOT = half\n")


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
    script = tmp_path / "scripts" / "script.py"
    script.parent.mkdir()
    script.write_text("from fedscape.a import use\n\nuse()\n")
    monkeypatch.setattr(imports, "IMPORT_PATH", (library.parent, script.parent))

    def forget():
        for function in (one for part in (digest, imports, syntax) for one in vars(part).values()):
            getattr(function, "cache_clear", str)()

    def of(*plugins):
        forget()
        return digest.code_digest([script, *plugins])

    yield library, script, of
    forget()


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


@pytest.mark.parametrize("stage", ["train", "layers", "figure"])
def test_of_what_python_runs_all_counts_that_does_something(stage):
    """Python itself is asked what it runs for a script's imports."""
    script = Path(__file__).resolve().parents[3] / "workflow" / "scripts" / f"{stage}.py"
    body = ast.parse(script.read_text()).body
    code = [ast.unparse(node) for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
    ours = "[one.__file__ for name, one in sys.modules.items() if name.partition('.')[0] == 'fedscape']"
    printed = subprocess.run(
        [sys.executable, "-c", "\n".join([*code, "import sys", f"print(*{ours}, sep='\\n')"])],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    run = set(map(Path, printed.splitlines()))
    counted = imports.reached([script])
    assert len(run & counted) > 5
    assert not [file for file in run - counted if imports._does_something(file)]


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


@pytest.mark.parametrize(
    "more",
    ["print('imported')", "import fedscape.d", "from math import sqrt", "from fedscape.d import *\nx = 1"],
)
def test_an_init_that_does_more_than_re_export_counts_for_what_lies_below(tree, more):
    library, _, of = tree
    before = of()
    init = library / "package" / "__init__.py"
    init.write_text(f"{init.read_text()}\n{more}\n")
    changed = of()
    assert changed != before
    (library / "package" / "other.py").write_text("x = 2\n")
    assert of() != changed  # what it imports may be what it uses


@pytest.mark.parametrize("init", ["__init__.py", "package/__init__.py"])
@pytest.mark.parametrize(
    "statement", ["import fedscape.d", "from fedscape import d", "from fedscape.d import half"]
)
def test_what_a_package_imports_counts_if_it_does_something(tree, init, statement):
    library, _, of = tree
    (library / init).write_text(f"{(library / init).read_text()}{statement}\n")
    (library / "d.py").write_text(DEFINITION)
    harmless = of()
    (library / "d.py").write_text(PATCH)
    patched = of()
    assert patched != harmless
    (library / "d.py").write_text(PATCH.replace("x / 2", "x / 3"))
    assert of() != patched


def test_that_holds_any_number_of_imports_away_and_for_plugins(tree):
    library, _, of = tree
    (library / "package" / "other.py").write_text("from fedscape import d\n\nx = 1\n")
    (library / "plugins").mkdir()
    (library / "plugins" / "__init__.py").write_text("from fedscape.d import y\n")
    plugin = library / "plugins" / "mine.py"
    plugin.write_text("MINE = 1\n")
    for roots in ((), (plugin,)):
        (library / "d.py").write_text(DEFINITION)
        before = of(*roots)
        (library / "d.py").write_text(PATCH)
        assert of(*roots) != before
        (library / "package" / "other.py").write_text("x = 1\n")  # the plug-in's package alone is left


def test_a_patch_that_an_init_imports_runs_and_counts(tree):
    """The example from outside: a module that a package imports replaces a function, and trains other weights."""
    library, script, of = tree
    (library / "package" / "c.py").write_text("import math\n\nvalue = math.sqrt(16)\n")
    script.write_text("from fedscape.a import use\n\nprint(use())\n")
    environment = {**os.environ, "PYTHONPATH": str(library.parent), "PYTHONDONTWRITEBYTECODE": "1"}

    def printed():
        return subprocess.run(
            [sys.executable, script], env=environment, capture_output=True, check=True
        ).stdout

    digests, results = [of()], [printed()]
    (library / "speedups.py").write_text(PATCH)
    init = library / "package" / "__init__.py"
    init.write_text(f"import fedscape.speedups\n{init.read_text()}")
    digests.append(of())
    results.append(printed())
    (library / "speedups.py").write_text(PATCH.replace("x / 2", "x / 4"))
    digests.append(of())
    results.append(printed())
    assert results == [b"4.0\n", b"8.0\n", b"4.0\n"]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    "text",
    [
        "import fedscape.package.c\n\nprint(fedscape.package.x)\n",
        "from fedscape.package import *\n\nprint(x)\n",
    ],
)
@pytest.mark.parametrize("more", ["", "from fedscape.package.c import *\n"])
def test_a_package_that_is_used_as_a_whole_counts_as_a_whole(tree, text, more):
    library, script, of = tree
    init = library / "package" / "__init__.py"
    init.write_text(f"{init.read_text()}{more}")
    script.write_text(text)
    before = of()
    (library / "package" / "other.py").write_text("x = 2\n")
    assert of() != before


def test_a_module_beside_the_script_or_the_library_counts(tree):
    library, script, of = tree
    script.write_text("from beside import value\nfrom above import more\n")
    (script.parent / "beside.py").write_text("value = 1\n")
    (library.parent / "above.py").write_text("more = 1\n")
    digests = {of()}
    (script.parent / "beside.py").write_text("value = 2\n")
    digests.add(of())
    (library.parent / "above.py").write_text("more = 2\n")
    digests.add(of())
    (library.parent / "sitecustomize.py").write_text("import math\n")  # Python imports it by itself
    digests.add(of())
    assert len(digests) == 4


def test_a_name_that_is_also_a_submodules_leads_to_both(tree):
    library, script, of = tree
    (library / "package" / "__init__.py").write_text("from fedscape.package.b import other\n")
    script.write_text("from fedscape.package import other\n")
    digests = {of()}
    for name in ("b", "other"):
        (library / "package" / f"{name}.py").write_text("other = x = 3\n")
        digests.add(of())
    assert len(digests) == 3


def test_packages_that_re_export_from_each_other_end(tree):
    library, script, of = tree
    (library / "package" / "__init__.py").write_text("from fedscape import name\n")
    (library / "__init__.py").write_text("from fedscape.package import name\n")
    script.write_text("from fedscape import name\n")
    assert of()


@pytest.mark.parametrize("value", ["patched()", "[patched()]"])
def test_what_a_version_runs_counts(tree, value):
    library, _, of = tree
    digests = set()
    for text in ("'1'", value):
        (library / "package" / "c.py").write_text(f"value = 1\n__version__ = {text}\n")
        digests.add(of())
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("text", "does_nothing"),
    [
        ("import math\nfrom math import sqrt", True),
        ("X = 1\nY: int = X + 1\nA, (B, C) = 1, (2, 3)", True),
        ("import logging\nlog = logging.getLogger(__name__)", True),
        ("from functools import cache\n@cache\ndef f(x=1) -> int:\n    return print(x)", True),
        ("import dataclasses as d\n@d.dataclass(frozen=True)\nclass A(Exception):\n    x: int = d.field()", True),
        ("F = lambda x: print(x)", True),
        ("if __name__ == '__main__':\n    print()", True),
        ("import math\nmath.sqrt = abs", False),
        ("import math\nKEPT, math.sqrt = math.sqrt, abs", False),
        ("import math\nmath.__dict__['sqrt'] = abs", False),
        ("import math\nsetattr(math, 'sqrt', abs)", False),
        ("import math\nOLD = setattr(math, 'sqrt', abs)", False),
        ("import math\nOLD: setattr(math, 'sqrt', abs) = 1", False),
        ("from math import sqrt\nsqrt += 1", False),
        ("del X", False),
        ("for x in y:\n    pass", False),
        ("if x:\n    import y", False),
        ("try:\n    import y\nexcept ImportError:\n    pass", False),
        ("with x:\n    pass", False),
        ("def f(x=print()):\n    pass", False),
        ("def f() -> print():\n    pass", False),
        ("F = lambda x=print(): x", False),
        ("import somewhere\n@somewhere.registered\ndef f():\n    pass", False),
        ("def cache(f):\n    print()\n@cache\ndef f():\n    pass", False),
        ("from mine import cache\n@cache\ndef f():\n    pass", False),
        ("from fedscape.a import Base\nclass A(Base):\n    pass", False),
        ("class A(metaclass=type):\n    pass", False),
        ("import math\nclass A:\n    math.sqrt = abs", False),
    ],
)  # fmt: skip
def test_what_an_import_does(text, does_nothing):
    assert effects.does_nothing(ast.parse(text).body) is does_nothing


@pytest.mark.parametrize("role", ["dataset", "partition", "model", "initial", "algorithm", "server", "plane"])
def test_what_is_computed_depends_on_no_type_that_figures_and_tables_share(role):
    files = reached(source(role, name) for name in names(role))
    assert "fields.py" not in {file.name for file in files}
