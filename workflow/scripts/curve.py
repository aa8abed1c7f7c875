"""Train curves between pairs of models, and evaluate the models on them and on the straight lines."""

from fedscape.checkpoints.run_files import group_runs
from fedscape.connectivity.bent_paths import evaluate_curves
from fedscape.connectivity.endpoints import ModelPair
from fedscape.evaluation.problem import problem_spec
from fedscape.jobs.job import job
from fedscape.jobs.resume import Resume
from fedscape.settings.connectivity import CurveSettings

with job(snakemake) as context:
    evaluate_curves(
        runs=group_runs(context, "connectivity"),
        pairs=[ModelPair.of(pair) for pair in context.settings["pairs"]],
        problem=problem_spec(context),
        settings=context.typed(CurveSettings),
        resume=Resume(context.resume_folder, context.fingerprint),
        out_curve=snakemake.output.curve,
        out_barriers=snakemake.output.curve_barriers,
        out_bends=snakemake.output.bends,
        out_weights=snakemake.output.weights,
    )
