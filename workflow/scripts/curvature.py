"""Measure eigenvalues and traces of the Hessian, and clients' agreement, at models of a group of runs."""

from fedscape.checkpoints.run_files import group_runs
from fedscape.curvature.hessians import evaluate_hessians
from fedscape.evaluation.problem import problem_spec
from fedscape.jobs.job import job
from fedscape.jobs.resume import Resume
from fedscape.settings.curvature import CurvatureSettings

with job(snakemake) as context:
    evaluate_hessians(
        runs=group_runs(context, "curvature"),
        problem=problem_spec(context),
        settings=context.typed(CurvatureSettings),
        resume=Resume(context.resume_folder, context.fingerprint),
        out_curvature=snakemake.output.curvature,
        out_density=snakemake.output.density,
    )
