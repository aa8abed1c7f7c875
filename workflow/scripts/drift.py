"""Measure the distances of global models from the start, the end and each other."""

from fedscape.drift.drift import evaluate_drift
from fedscape.jobs.job import job

with job(snakemake) as this:
    evaluate_drift(
        runs=this.identities(this.settings["runs"]),
        trajectories=snakemake.input.trajectories,
        drift=snakemake.wildcards.name,
        group=snakemake.wildcards.group,
        out=snakemake.output[0],
    )
