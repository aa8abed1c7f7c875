"""Measure eigenvalues and traces of the Hessian, and clients' agreement, at models of a group of runs."""

from pathlib import Path

from fedscape.curvature.curvature import evaluate_hessians
from fedscape.jobs.job import job

with job(snakemake) as this:
    model = dict(this.settings["model"])
    evaluate_hessians(
        runs=this.identities(this.settings["runs"]),
        trajectories=snakemake.input.trajectories,
        clients=snakemake.input.clients,
        partitions=snakemake.input.partitions,
        rounds=this.settings["rounds"],
        of=this.settings["of"],
        on=this.settings["data"],
        top=this.settings["top"],
        bottom=this.settings["bottom"],
        trace=this.settings["trace"],
        layers=this.settings["layers"],
        probes=this.settings["probes"],
        density=this.settings["density"],
        agreements=this.settings["hessian_agreement"],
        model=model.pop("kind"),
        model_settings=model,
        dataset_folder=Path(snakemake.input.dataset[0]).parent,
        partition=snakemake.input.partition,
        curvature=snakemake.wildcards.name,
        group=snakemake.wildcards.group,
        samples=this.settings["samples"],
        seed=this.settings["runs"][0]["seed"],
        device=this.device,
        resume=Path(snakemake.output.curvature).with_name("resume"),
        fingerprint=this.fingerprint,
        out_curvature=snakemake.output.curvature,
        out_density=snakemake.output.density,
    )
