"""The folder that a user works in, and the clone of fedscape whose workflow runs there: often the same.

A project of a user's own has `config/studies/`, and where it needs them `config/config.yaml` and `plugins/`.
Settings that it does not have are the clone's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedscape.errors import FedscapeError
from fedscape.study.files import merged, read_yaml

CONFIG = Path("config", "config.yaml")
STUDIES = Path("config", "studies")
SCHEMAS = Path("workflow", "schemas")


@dataclass(frozen=True)
class Project:
    """A user's folder and the clone."""

    folder: Path
    clone: Path

    @property
    def is_clone(self) -> bool:
        """Whether the user works in the clone itself."""
        return self.folder.samefile(self.clone)

    @property
    def studies(self) -> dict[str, Path]:
        """The folder's study files by name. Raises FedscapeError if there are none."""
        files = {path.stem: path for path in sorted((self.folder / STUDIES).glob("[!.]*.yaml"))}
        if not files:
            raise FedscapeError(f"{STUDIES}: no study here; `fedscape new NAME` writes one to begin with")
        return files

    def schema(self, name: str) -> Path:
        """The file of a schema."""
        return self.clone / SCHEMAS / f"{name}.schema.yaml"

    def shown(self, file: Path) -> Path:
        """A file as messages name it: from the user's folder, if it lies there."""
        return file.relative_to(self.folder) if file.is_relative_to(self.folder) else file

    def settings(self, own: Mapping) -> dict:
        """The user's settings, and the clone's where they say nothing.

        A folder with studies of its own begins with the first of these, where nothing names one.
        """
        if self.is_clone:
            return dict(own)
        studies, settings = self.studies, read_yaml(self.clone / CONFIG)
        if settings.get("study") not in studies:
            settings["study"] = next(iter(studies))
        return merged(settings, own)
