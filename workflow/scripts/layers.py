"""Average pairs of models in some of their layers, and evaluate what comes out."""

from fedscape.checkpoints.run_files import group_runs
from fedscape.connectivity.endpoints import ModelPair
from fedscape.connectivity.pairs import evaluate_pairs
from fedscape.evaluation.problem import problem_spec
from fedscape.jobs.job import job
from fedscape.jobs.resume import Resume
from fedscape.settings.connectivity import LayersSettings

with job(snakemake) as context:
    evaluate_pairs(
        runs=group_runs(context, "connectivity"),
        pairs=[ModelPair.of(pair) for pair in context.settings["pairs"]],
        problem=problem_spec(context),
        settings=context.typed(LayersSettings),
        resume=Resume(context.resume_folder, context.fingerprint),
        out_layers=snakemake.output.layers,
        out_distances=snakemake.output.distances,
    )
