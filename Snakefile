"""fedscape: federated-learning runs under the microscope. `snakemake --list` names what it can make."""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.19")


include: "rules/common.smk"


resource_scopes:
    gpu="local",  # `--resources gpu=1` is about the GPUs of this machine, not of a cluster


wildcard_constraints:
    study=STUDIES,
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
        targets_of(CAMPAIGN.study),


for study in CAMPAIGN.targets if MAIN else ():

    rule:
        """One study by its name, at the scale of `--config scale=...`."""
        name:
            study
        input:
            targets_of(study),

    for seed in CAMPAIGN.get(study).seeds:

        rule:
            """The runs of one seed of a study and what is measured on them, without figures and tables."""
            name:
                f"{study}_seed{seed}"
            input:
                targets_of_seed(study, seed),


include: "rules/run.smk"
include: "rules/data.smk"
include: "rules/initial.smk"
include: "rules/train.smk"
include: "rules/landscape.smk"
include: "rules/connectivity.smk"
include: "rules/curvature.smk"
include: "rules/drift.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/checks.smk"
