"""What a job is rerun for: strings that name its settings and the digest of its code."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fedscape.study.catalog import PACKAGES, source
from fedscape.study.digest import code_digest
from fedscape.study.encoding import encode
from fedscape.study.grid import as_list


def tracked(stage: str, settings: Mapping[str, object], scripts: Path) -> list[str]:
    """The one list of strings that a job is rerun for.

    stage: whose script it runs. settings: as its home has them. scripts: the folder of all scripts.
    """
    plugins = tuple(
        (role, plugin["kind"]) for role in PACKAGES if role in settings for plugin in as_list(settings[role])
    )
    return [f"code={_digest(stage, plugins, scripts)}", *encode(settings)]


@cache
def _digest(stage: str, plugins: tuple[tuple[str, str], ...], scripts: Path) -> str:
    return code_digest([scripts / f"{stage}.py", *(source(role, kind) for role, kind in plugins)])
