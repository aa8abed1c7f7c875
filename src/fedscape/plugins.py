"""Plug-ins are modules found by name: `shards` in data/partitions is data/partitions/shards.py.

Those of a user's own lie below the folder that Snakemake works in, in `plugins/partitions/` and so on. To
Python they are modules of the same packages, so that a plug-in works alike in either folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

# What a job's settings call a plug-in, and the package where its file lies.
PACKAGES = {
    "dataset": "data.datasets",
    "partition": "data.partitions",
    "model": "models.networks",
    "initial": "federated.initials",
    "algorithm": "federated.algorithms",
    "server": "federated.servers",
    "plane": "landscape.planes",
    "figure": "figures.kinds",
    "measure": "tables.measures",
}
OWN = Path("plugins")
"""The user's own plug-ins, a folder for each role, below the folder that Snakemake works in."""


@dataclass(frozen=True)
class Plugin:
    """A plug-in by its name, with the values of its own settings."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)  # checked by the kind's own class

    @classmethod
    def of(cls, keys: Mapping[str, Any]) -> "Plugin":
        """The plug-in from keys as studies have them: `kind`, and beside it the settings."""
        return cls(keys["kind"], {key: value for key, value in keys.items() if key != "kind"})

    @property
    def keys(self) -> dict[str, object]:
        """The keys as a study has them, from which `of` builds it."""
        return {"kind": self.kind, **self.settings}

    def load(self, package: str) -> tuple[ModuleType, Any]:
        """The module of `fedscape.<package>`, and an instance of its `Settings`."""
        module = load(package, self.kind)
        return module, module.Settings(**self.settings)


def load(package: str, name: str) -> ModuleType:
    """Import the plug-in `name` of `fedscape.<package>`; a `-` in the name is a `_` in the file's.

    The name has been checked when the study was read, so a missing module is a bug, not bad input.
    """
    _join_own()
    return import_module(f"fedscape.{package}.{name.replace('-', '_')}")


def import_name(file: Path) -> tuple[Path, str]:
    """The folder that a file of the user's is imported from, and its dotted name there.

    As pytest has it: the folder that the file lies in; the first one above it without an `__init__.py`, if
    the file is part of a package.
    """
    file = file.resolve()
    folder, parts = file.parent, [file.stem]
    while (folder / "__init__.py").is_file():
        folder, parts = folder.parent, [folder.name, *parts]
    return folder, ".".join(parts[:-1] if len(parts) > 1 and file.stem == "__init__" else parts)


def own_folder(role: str) -> Path:
    """Where the user's own plug-ins of a role lie."""
    return OWN / f"{role}s"


def _join_own() -> None:
    """Have each package hold the user's own plug-ins of its role, behind those of the library."""
    for role, package in PACKAGES.items():
        folder = own_folder(role)
        if folder.is_dir():
            parent = import_module(f"fedscape.{package}")
            if str(folder.resolve()) not in parent.__path__:
                parent.__path__.append(str(folder.resolve()))
