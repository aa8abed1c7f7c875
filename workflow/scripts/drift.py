"""Measure update norms, distances and the agreement of clients for a group of runs."""

from fedscape.drift.updates import evaluate_drift
from fedscape.job import job

with job(snakemake) as this:
    evaluate_drift(
        runs=this.identities(this.settings["runs"]),
        trajectories=snakemake.input.trajectories,
        client_models=snakemake.input.clients,
        drift=snakemake.wildcards.name,
        group=snakemake.wildcards.group,
        out=snakemake.output[0],
    )
