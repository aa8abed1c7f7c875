"""All study files at all their scales, and the user's settings: what one `snakemake` call knows."""

from pathlib import Path

from fedscape.errors import FedscapeError, printable
from fedscape.regular import is_regular
from fedscape.study.build import build_study, known_datasets
from fedscape.study.catalog import check_own_plugins
from fedscape.study.claims import check_claims
from fedscape.study.files import at_scale, check, read_schema, read_yaml
from fedscape.study.problems import Problems
from fedscape.study.project import Project
from fedscape.study.selection import check_names
from fedscape.study.stages.every import STAGES
from fedscape.study.study import Named, Study, UnknownName
from fedscape.study.tables import check_tables
from fedscape.study.types import unknown

SETTINGS_SOURCE = "config/config.yaml or --config"  # where the user's settings come from
LONGEST = 32  # letters of a study's name, as of the names in it
TAKEN = ("all", *STAGES, "data")  # names of rules, and of the folder that all studies share


_DEFAULTS = {"inits": {"random": {"kind": "random"}}, "methods": {}, "runs": [{}], "scales": {"quick": {}}}
"""Of sections that a study may leave out: random starts, all runs that its names make up, one scale."""


class Campaign:
    """The user's settings and the study files, of which each is checked when it is first asked for."""

    def __init__(self, folder: Path, config: dict, clone: Path | None = None):
        self._project = Project(folder, clone or folder)
        check(config, read_schema(self._project.schema("config")), SETTINGS_SOURCE)
        check_own_plugins()
        self.study, self.scale, self.data_root = config["study"], config["scale"], config["data_root"]
        self.datasets = known_datasets(config.get("datasets") or {})  # whether a study uses them or not
        self._files = Named(self._project.studies)
        self._contents: dict[str, dict] = {}
        self._studies: dict[tuple[str, str], Study] = {}

    @property
    def studies(self) -> list[str]:
        """All studies."""
        return list(self._files)

    @property
    def every(self) -> list[tuple[str, str]]:
        """Each study with each of its scales."""
        return [(name, scale) for name in self._files for scale in self._content(name)["scales"]]

    @property
    def targets(self) -> list[str]:
        """Studies that have the chosen scale: each is a target by its name."""
        return [name for name, scale in self.every if scale == self.scale]

    def get(self, name: str, scale: str | None = None) -> Study:
        """A study at a scale (the chosen one if None). Raises UnknownName for a scale that is not there."""
        scale = scale or self.scale
        if (name, scale) not in self._studies:
            content = self._content(name)
            if scale not in content["scales"]:
                raise UnknownName(scale)
            file = self._file(name)
            where, merged = f"{file} (scale {scale})", at_scale(content, scale, file)
            check(merged, _of_scale(self._study_schema), where)
            self._studies[name, scale] = build_study(name, scale, merged, self.datasets, where)
        return self._studies[name, scale]

    def check_chosen(self) -> None:
        """Refuse a study, or a scale of it, that is not there."""
        if self.study not in self._files:
            raise FedscapeError(f"{SETTINGS_SOURCE}: study: {unknown('study', self.study, self._files)}")
        scales = self._content(self.study)["scales"]
        if self.scale not in scales:
            raise FedscapeError(f"{SETTINGS_SOURCE}: scale: {unknown('scale', self.scale, scales)}")

    def check_all(self) -> None:
        """Check every study at every scale, so that a slip is found before its study is asked for."""
        problems = Problems()
        for name in self._files:
            problems.of(self._check, name)
        problems.tell()
        self.check_chosen()

    def _check(self, name: str) -> None:
        """Check a study at every scale, then what looks at all of them."""
        problems, file = Problems(), self._file(name)
        check_study_name(name, str(file))
        content = self._content(name)
        at_scales = [problems.of(self.get, name, scale) for scale in content["scales"]]
        problems.tell()
        problems.of(check_claims, content, at_scales, str(file))
        problems.of(check_tables, content, at_scales, str(file))
        for i, entry in enumerate(content.get("labels", [])):
            problems.of(check_names, entry["where"], at_scales, f"{file}: labels[{i}].where")
        problems.tell()

    def _content(self, name: str) -> dict:
        if name not in self._contents:
            content = read_yaml(self._files[name])
            check(content, self._study_schema, str(self._file(name)))
            self._contents[name] = {**_DEFAULTS, **content}
        return self._contents[name]

    @property
    def _study_schema(self) -> dict:
        return read_schema(self._project.schema("study"))

    def _file(self, name: str) -> Path:
        return self._project.shown(self._files[name])


def check_study_name(name: str, where: str) -> None:
    """Refuse a name that no study can have: a target rule is called so, and a folder of results."""
    if not (name.isascii() and name.isalnum() and name.islower()) or name in TAKEN or len(name) > LONGEST:
        words = f"one word of a-z and 0-9, at most {LONGEST} of them, and none of {', '.join(TAKEN)}"
        raise FedscapeError(f"{where}: a study's name is {words}")


def read_campaign(folder: Path, config: dict, clone: Path | None = None) -> Campaign:
    """Read and check the user's settings and all study files of a folder.

    clone: whose workflow runs there; None for the folder itself.
    Raises FedscapeError, a line each, for all that is wrong in them.
    """
    campaign = Campaign(folder, config, clone)
    campaign.check_all()
    return campaign


def read_study(folder: Path, config: dict, clone: Path | None = None) -> Study:
    """The study and scale that the user's settings name, without reading the others, which takes longer.

    Raises FedscapeError as `read_campaign` does, for this study's file.
    """
    campaign = Campaign(folder, config, clone)
    campaign.check_chosen()
    return campaign.get(campaign.study)


def _of_scale(study_schema: dict) -> dict:
    """The schema of a study that is merged with one of its scales."""
    return {**study_schema, "required": [key for key in study_schema["required"] if key != "scales"]}


def missing_file(study: Study, init: str) -> str | None:
    """The message about a start whose file is missing; None where none is missing."""
    file = study.inits[init].start.settings.get("file")
    if file is None or is_regular(file):
        return None
    key = f"config/studies/{study.name}.yaml: inits.{init}.file"
    return printable(f"{key}: {file} not found (looked for it in {Path.cwd()})")
