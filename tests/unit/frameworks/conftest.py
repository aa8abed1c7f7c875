"""Networks in files of the same name, of which a process has one at a time."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def modules_of_a_test(tmp_path: Path) -> Iterator[None]:
    """Forget what a test has imported from its own folder."""
    yield
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    for name, file in files.items():
        if file and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]
