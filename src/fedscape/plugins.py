"""Plug-ins are modules found by name: `shards` in data/partitions is data/partitions/shards.py."""

from importlib import import_module
from types import ModuleType


def load(package: str, name: str) -> ModuleType:
    """Import the plug-in `name` of `fedscape.<package>`; a `-` in the name is a `_` in the file's.

    The name has been checked when the study was read, so a missing module is a bug, not bad input.
    """
    return import_module(f"fedscape.{package}.{name.replace('-', '_')}")
