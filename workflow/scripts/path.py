"""Evaluate the models on the straight lines between pairs of final models."""

from fedscape.checkpoints.run_files import group_runs
from fedscape.connectivity.path import evaluate_paths
from fedscape.evaluation.problem import problem_spec
from fedscape.jobs.job import job
from fedscape.jobs.resume import Resume
from fedscape.settings.connectivity import PathSettings

with job(snakemake) as context:
    evaluate_paths(
        runs=group_runs(context, "connectivity"),
        pairs=context.settings["pairs"],
        problem=problem_spec(context),
        settings=context.typed(PathSettings),
        resume=Resume(context.resume_folder, context.fingerprint),
        out_path=snakemake.output.path,
        out_barriers=snakemake.output.barriers,
    )
