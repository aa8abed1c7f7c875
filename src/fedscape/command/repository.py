"""The folder that a user works in, a clone or a project of their own, and their settings there."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from fedscape.errors import FedscapeError
from fedscape.study.campaign import read_study
from fedscape.study.catalog import LIBRARY
from fedscape.study.files import merged, parsed_yaml, read_yaml
from fedscape.study.project import CONFIG, SCHEMAS, STUDIES, Project
from fedscape.study.study import Study

SNAKEFILE = Path("Snakefile")


def repository(start: Path) -> Path:
    """The clone or the project that `start` lies in. Raises FedscapeError if it lies in none."""
    folder = nearest(start, is_project)
    if folder is None:
        raise FedscapeError(
            f"{start}: not in a clone of fedscape, nor in a project (no config/ with studies here or above); "
            "`fedscape new NAME` begins one"
        )
    return folder


def nearest(start: Path, is_sought: Callable[[Path], bool]) -> Path | None:
    """The nearest folder of a kind, from `start` upwards.

    What lies among the results of a project may be a stranger's, whose code would run, and counts for none.
    """
    folders = (start, *start.parents)
    results = [folder / "results" for folder in folders if is_project(folder)]
    own = (folder for folder in folders if not any(map(folder.is_relative_to, results)))
    return next(filter(is_sought, own), None)


def enter_repository() -> Path:
    """Go to the user's folder, as Snakemake is called from there; returns where we were."""
    start = Path.cwd()
    os.chdir(repository(start))
    return start


def clone() -> Path:
    """The clone whose workflow runs in the current folder: the folder itself, or that of this library."""
    for folder in (Path(), LIBRARY.parents[1]):
        if (folder / SNAKEFILE).exists() and (folder / SCHEMAS / "study.schema.yaml").exists():
            return folder
    raise FedscapeError(f"{LIBRARY}: installed without its clone; install it with `pip install -e <clone>`")


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
    config = read_yaml(CONFIG) if CONFIG.exists() else {}
    for file in configfiles:
        config = merged(config, read_yaml(Path(file)))
    for change in changes:
        key, sign, value = change.partition("=")
        if not (key and sign):
            raise FedscapeError(f"--config: got '{change}', expected key=value")
        config[key] = parsed_yaml(value, f"--config {key}")
    config = Project(Path.cwd(), clone()).settings(config)
    return {**config, "study": study} if study else config


def study_here(study: str | None, changes: Sequence[str], configfiles: Sequence[str] = ()) -> Study:
    """The study of the user's folder that the settings name; the arguments are those of `read_settings`."""
    return read_study(Path.cwd(), read_settings(study, changes, configfiles), clone())


def is_project(folder: Path) -> bool:
    """Whether a folder has settings or studies."""
    return (folder / CONFIG).exists() or (folder / STUDIES).exists()
