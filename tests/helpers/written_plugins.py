"""Plug-ins as pages of the documentation have them, in a copy of the library that stands for the whole."""

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from edited_study import ROOT

from fedscape.study import catalog

CODE = re.compile(r"`src/fedscape/(\S+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)


def plugins_of(page: str) -> dict[str, str]:
    """The files that a page tells its reader to write: path below the library -> content."""
    return dict(CODE.findall((ROOT / page).read_text(encoding="utf-8")))


@contextmanager
def written(files: dict[str, str], folder: Path, monkeypatch) -> Iterator[None]:
    """A block in which the library has these plug-ins, for whoever reads their source and whoever imports them."""
    library = folder / "library"
    shutil.copytree(catalog.LIBRARY, library, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(catalog, "LIBRARY", library)
    modules = []
    for path, text in files.items():
        (library / path).write_text(text, encoding="utf-8")
        package = import_module("fedscape." + ".".join(Path(path).parts[:-1]))
        monkeypatch.setattr(package, "__path__", [*package.__path__, str((library / path).parent)])
        modules.append(f"{package.__name__}.{Path(path).stem}")
    cached = (catalog.names, catalog.settings_class, catalog.constant)
    for function in cached:
        function.cache_clear()
    yield
    for module in modules:
        sys.modules.pop(module, None)
    for function in cached:
        function.cache_clear()
