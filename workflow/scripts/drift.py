"""Measure the distances of global models from the start, the end and each other."""

from fedscape.checkpoints.run_files import group_runs
from fedscape.drift.drift import evaluate_drift
from fedscape.jobs.job import job

with job(snakemake) as context:
    evaluate_drift(runs=group_runs(context, "drift"), out=snakemake.output[0])
