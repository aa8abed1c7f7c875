"""What a job is rerun for: strings that name its settings and the digest of its code."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from fedscape.plugins import import_name
from fedscape.study.catalog import PACKAGES, source
from fedscape.study.digest import code_digest
from fedscape.study.encoding import encode
from fedscape.study.own_modules import own_file, own_files


def tracked(stage: str, settings: Mapping[str, object], scripts: Path) -> list[str]:
    """The one list of strings that a job is rerun for.

    stage: whose script it runs. settings: as its home has them. scripts: the folder of all scripts.
    """
    plugins = tuple(dict.fromkeys(plugins_in(settings)))
    models = (entry for role, entry in _entries(settings) if role == "model")
    own = next(filter(None, map(own_file, models)), None)
    templates = _templates(scripts.parent / stage)
    return [f"code={_digest(stage, plugins, own, scripts)}{templates}", *encode(settings)]


def plugins_in(settings: object) -> Iterator[tuple[str, str]]:
    """Role and kind of each plug-in that settings hold: a map with a `kind`, under the role's name.

    However deep they lie; but not within the settings of another plug-in, whose keys are its author's.
    """
    return ((role, entry["kind"]) for role, entry in _entries(settings))


def _entries(settings: object) -> Iterator[tuple[str, Mapping]]:
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            if key in PACKAGES and isinstance(value, Mapping) and "kind" in value:
                yield key, value
            else:
                yield from _entries(value)
    elif isinstance(settings, (list, tuple)):
        for value in settings:
            yield from _entries(value)


@cache
def _templates(folder: Path) -> str:
    """What stands for the files that a stage fills in: those in the folder of its name beside the scripts."""
    if not folder.is_dir():
        return ""
    hashes = [
        f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in sorted(folder.iterdir())
    ]
    return "-" + hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:16]


@cache
def _digest(stage: str, plugins: tuple[tuple[str, str], ...], own: Path | None, scripts: Path) -> str:
    """The digest of a stage's code. own: the user's file that its network is in."""
    files = [scripts / f"{stage}.py", *(source(role, kind) for role, kind in plugins)]
    return code_digest([*files, *own_files(own)], import_name(own)[0]) if own else code_digest(files)
