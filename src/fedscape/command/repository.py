"""The repository around the current folder, and the user's settings there."""

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


def check_writable(folder: Path, instead: str) -> None:
    """Refuse a folder, or the one that it will be made in, that cannot be written to.

    Snakemake would end with a traceback. instead: what else a user can do.
    """
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    if not os.access(existing, os.W_OK):
        raise FedscapeError(f"{existing}: cannot be written to; make it writable, or {instead}")


def check_settings_files(others: Sequence[str]) -> None:
    """Refuse what is no plain YAML in the user's settings, before Snakemake reads them.

    It names no line of such a file, takes the last of two equal keys, and runs what a template says (one of
    `--configfile` it has run already). others: what `--configfile` names.
    """
    for path in map(Path, dict.fromkeys([str(CONFIG), *others])):
        if path.suffix != ".json" and (path.exists() or not others) and "__use_yte__" in read_yaml(path):
            raise FedscapeError(
                f"{path}: key '__use_yte__': templates run code; settings are plain YAML here"
            )


def read_settings(study: str | None, changes: Sequence[str], configfiles: Sequence[str] = ()) -> dict:
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
