"""Measure the largest eigenvalues of the Hessian at checkpoints of a group of runs."""

from pathlib import Path

from fedscape.curvature.hessian import evaluate_hessians
from fedscape.job import job

with job(snakemake) as this:
    model = dict(this.settings["model"])
    evaluate_hessians(
        runs=this.identities(this.settings["runs"]),
        trajectories=snakemake.input.trajectories,
        rounds=this.settings["rounds"],
        top=this.settings["top"],
        model=model.pop("kind"),
        model_settings=model,
        dataset_folder=Path(snakemake.input.dataset[0]).parent,
        partition=snakemake.input.partition,
        curvature=snakemake.wildcards.name,
        group=snakemake.wildcards.group,
        samples=this.settings["samples"],
        seed=this.settings["runs"][0]["seed"],
        device=this.device,
        out=snakemake.output[0],
    )
