"""No two classes of the library share a name that would mean two things.

Plug-ins of a role have the same names for the same things (`Settings`, `Training`): that is their contract.
"""

import ast
from collections import defaultdict
from pathlib import Path

from fedscape.study.catalog import LIBRARY, PACKAGES

PLUGINS = [LIBRARY.joinpath(*package.split(".")) for package in PACKAGES.values()]


def library_files() -> list[Path]:
    """The files of the library that are no plug-ins."""
    return [file for file in sorted(LIBRARY.rglob("*.py")) if file.parent not in PLUGINS]


def test_no_two_classes_have_one_name():
    files = defaultdict(list)
    for file in library_files():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                files[node.name].append(str(file.relative_to(LIBRARY)))
    assert len(files) > 100
    assert {name: where for name, where in files.items() if len(where) > 1} == {}
