"""Evaluate the models on the straight lines between pairs of final models."""

from pathlib import Path

from fedscape.connectivity.path import evaluate_paths
from fedscape.jobs.job import job

with job(snakemake) as this:
    model = dict(this.settings["model"])
    evaluate_paths(
        pairs=this.settings["pairs"],
        runs=this.identities(this.settings["runs"]),
        trajectories=snakemake.input.trajectories,
        points=this.settings["points"],
        model=model.pop("kind"),
        model_settings=model,
        dataset_folder=Path(snakemake.input.dataset[0]).parent,
        partition=snakemake.input.partition,
        connectivity=snakemake.wildcards.name,
        group=snakemake.wildcards.group,
        samples=this.settings["samples"],
        seed=this.settings["runs"][0]["seed"],
        batch_norm=this.settings["batch_norm"],
        device=this.device,
        resume=Path(snakemake.output.path).with_name("resume"),
        fingerprint=this.fingerprint,
        out_path=snakemake.output.path,
        out_barriers=snakemake.output.barriers,
    )
