"""What a job is rerun for: strings that name its settings and the digest of its code."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from fedscape.study.catalog import PACKAGES, source
from fedscape.study.digest import code_digest
from fedscape.study.encoding import encode


def tracked(stage: str, settings: Mapping[str, object], scripts: Path) -> list[str]:
    """The one list of strings that a job is rerun for.

    stage: whose script it runs. settings: as its home has them. scripts: the folder of all scripts.
    """
    plugins = tuple(dict.fromkeys(plugins_in(settings)))
    templates = _templates(scripts.parent / stage)
    return [f"code={_digest(stage, plugins, scripts)}{templates}", *encode(settings)]


def plugins_in(settings: object) -> Iterator[tuple[str, str]]:
    """Role and kind of each plug-in that settings hold: a map with a `kind`, under the role's name.

    However deep they lie; but not within the settings of another plug-in, whose keys are its author's.
    """
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            if key in PACKAGES and isinstance(value, Mapping) and "kind" in value:
                yield key, value["kind"]
            else:
                yield from plugins_in(value)
    elif isinstance(settings, (list, tuple)):
        for value in settings:
            yield from plugins_in(value)


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
def _digest(stage: str, plugins: tuple[tuple[str, str], ...], scripts: Path) -> str:
    return code_digest([scripts / f"{stage}.py", *(source(role, kind) for role, kind in plugins)])
