"""fedscape: federated-learning runs under the microscope. `snakemake --list` names what it can make."""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.19")


configfile: "config/config.yaml"


include: "rules/common.smk"


wildcard_constraints:
    study="|".join(dict.fromkeys(study for study, _ in CAMPAIGN.studies)),
    scale="smoke|quick|small|paper",
    dataset=NAME,
    model=NAME,
    partition=NAME,
    init=NAME,
    method=NAME,
    name=NAME,
    figure=NAME,
    group=r"[a-z0-9][a-z0-9._-]*",
    seed=r"\d+",


rule all:
    """The study that config/config.yaml names, at the scale that it names."""
    default_target: True
    input:
        paths.targets(CAMPAIGN.get(CAMPAIGN.study)),


for study in CAMPAIGN.names:

    rule:
        """One study by its name, at the scale of `--config scale=...`."""
        name:
            study
        input:
            paths.targets(CAMPAIGN.get(study)),


onstart:
    write_settings(workflow)


include: "rules/data.smk"
include: "rules/initial.smk"
include: "rules/train.smk"
include: "rules/landscape.smk"
include: "rules/connectivity.smk"
include: "rules/curvature.smk"
include: "rules/drift.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
