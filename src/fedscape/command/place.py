"""Where a command works: the repository around the current folder, and the user's settings there."""

import os
from collections.abc import Sequence
from pathlib import Path

from fedscape.errors import FedscapeError
from fedscape.study.files import merged, parsed_yaml, read_yaml

CONFIG = Path("config", "config.yaml")
_MARKS = (Path("Snakefile"), CONFIG, Path("workflow", "schemas"))


def repository(start: Path) -> Path:
    """The repository that `start` lies in. Raises FedscapeError if it lies in none."""
    for folder in (start, *start.parents):
        if all((folder / mark).exists() for mark in _MARKS):
            return folder
    raise FedscapeError(f"{start}: not in a clone of fedscape (no Snakefile with config/ here or above)")


def enter_repository() -> Path:
    """Go to the root of the repository, as Snakemake is called from there; returns where we were."""
    start = Path.cwd()
    os.chdir(repository(start))
    return start


def settings(study: str | None, changes: Sequence[str], configfiles: Sequence[str] = ()) -> dict:
    """The user's settings as Snakemake has them: config/config.yaml, `--configfile`s, then `--config`.

    study: in place of the one in the settings. changes: `key=value`.
    """
    config = read_yaml(CONFIG)
    for file in configfiles:
        config = merged(config, read_yaml(Path(file)))
    for change in changes:
        key, sign, value = change.partition("=")
        if not (key and sign):
            raise FedscapeError(f"--config: got '{change}', expected key=value")
        config[key] = parsed_yaml(value, f"--config {key}")
    return {**config, "study": study} if study else config
