"""All study files at all their scales, and the user's settings: what one `snakemake` call knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedscape.errors import FedscapeError
from fedscape.study.build import build_study, known_datasets
from fedscape.study.claims import check_claims
from fedscape.study.files import at_scale, check, read_schema, read_yaml
from fedscape.study.selection import check_names
from fedscape.study.stages import STAGES
from fedscape.study.study import Study
from fedscape.study.tables import check_tables
from fedscape.study.types import unknown

CONFIG = "config/config.yaml or --config"  # where the user's settings come from
RULES = ("all", "dataset", *STAGES)  # names that a target cannot have


@dataclass(frozen=True)
class Campaign:
    """Every study at every scale, checked; and which of them was asked for."""

    studies: dict[tuple[str, str], Study]
    scale: str
    study: str
    datasets: dict[str, Mapping[str, object]]  # all that can be prepared, whether a study uses them or not

    @property
    def names(self) -> list[str]:
        """Studies that have the chosen scale: each is a target by its name."""
        return [name for name, scale in self.studies if scale == self.scale]

    def get(self, name: str, scale: str | None = None) -> Study:
        """A study at a scale (the chosen one if None)."""
        return self.studies[name, scale or self.scale]


def read_campaign(root: Path, config: dict) -> Campaign:
    """Read and check the user's settings and all study files under `root`, the repository.

    Raises FedscapeError, one line, for the first thing that is wrong in any of them: a slip in a study
    that nobody asked for today is better found today.
    """
    schemas = root / "workflow" / "schemas"
    check(config, read_schema(schemas / "config.schema.yaml"), CONFIG)
    study_schema = read_schema(schemas / "study.schema.yaml")
    scale_schema = _of_scale(study_schema)
    datasets = _datasets(config)
    studies: dict[tuple[str, str], Study] = {}
    for path in sorted((root / "config" / "studies").glob("[!.]*.yaml")):
        file, name = path.relative_to(root), path.stem
        if not (name.isascii() and name.isalnum() and name.islower()) or name in RULES:
            raise FedscapeError(
                f"{file}: a study's name is one word of a-z and 0-9 that names no rule ({', '.join(RULES)})"
            )
        content = read_yaml(path)
        check(content, study_schema, str(file))
        for scale in content["scales"]:
            studies[name, scale] = _built(name, scale, content, scale_schema, datasets, file)
        scales = [studies[name, scale] for scale in content["scales"]]
        check_claims(content, scales, str(file))
        check_tables(content, scales, str(file))
        for i, entry in enumerate(content.get("labels", [])):
            check_names(entry["where"], scales, f"{file}: labels[{i}].where")
    chosen = config["study"], config["scale"]
    if chosen not in studies:
        key, value, allowed = "study", chosen[0], dict.fromkeys(name for name, _ in studies)
        if value in allowed:
            key, value, allowed = "scale", chosen[1], [scale for name, scale in studies if name == chosen[0]]
        raise FedscapeError(f"{CONFIG}: {key}: {unknown(key, value, allowed)}")
    for init in {run.init for run in studies[chosen].runs}:
        check_file(studies[chosen], init)
    return Campaign(studies, chosen[1], chosen[0], datasets)


def read_study(root: Path, config: dict) -> Study:
    """The study and scale that the user's settings name, without a look at the others, which takes longer.

    Raises FedscapeError as `read_campaign` does, for this study's file.
    """
    schemas = root / "workflow" / "schemas"
    check(config, read_schema(schemas / "config.schema.yaml"), CONFIG)
    name, scale = config["study"], config["scale"]
    files = {path.stem: path for path in sorted((root / "config" / "studies").glob("[!.]*.yaml"))}
    if name not in files:
        raise FedscapeError(f"{CONFIG}: study: {unknown('study', name, files)}")
    file = files[name].relative_to(root)
    content = read_yaml(files[name])
    study_schema = read_schema(schemas / "study.schema.yaml")
    check(content, study_schema, str(file))
    if scale not in content["scales"]:
        raise FedscapeError(f"{CONFIG}: scale: {unknown('scale', scale, content['scales'])}")
    return _built(name, scale, content, _of_scale(study_schema), _datasets(config), file)


def _built(name: str, scale: str, content: dict, schema: dict, datasets: dict, file: Path) -> Study:
    """A study at one of its scales. schema: of a study that is merged with a scale."""
    where, merged = f"{file} (scale {scale})", at_scale(content, scale, file)
    check(merged, schema, where)
    return build_study(name, scale, merged, datasets, where)


def _of_scale(study_schema: dict) -> dict:
    """The schema of a study that is merged with one of its scales."""
    return {**study_schema, "required": [key for key in study_schema["required"] if key != "scales"]}


def _datasets(config: dict) -> dict[str, dict]:
    return known_datasets(config.get("datasets") or {})


def check_file(study: Study, init: str) -> None:
    """Refuse a start from a file that is not there: Snakemake would quietly keep what an older one gave.

    Only where it is wanted: who lacks the weights of one study can make the others.
    """
    file = study.inits[init].start.get("file")
    if file is not None and not Path(file).is_file():
        raise FedscapeError(
            f"config/studies/{study.name}.yaml: inits.{init}.file: {file} not found "
            f"(looked for it in {Path.cwd()})"
        )
