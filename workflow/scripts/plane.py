"""Lay a plane through the models of a group of runs, and mark them on it."""

from fedscape.checkpoints.run_files import group_runs
from fedscape.evaluation.problem import problem_spec
from fedscape.jobs.job import job
from fedscape.jobs.resume import Resume
from fedscape.landscape.make_plane import make_plane
from fedscape.plugins import Plugin

with job(snakemake) as context:
    make_plane(
        kind=Plugin.of(context.settings["plane"]),
        problem=problem_spec(context),
        runs=group_runs(context, "plane"),
        batch_norm=context.settings["batch_norm"],
        resume=Resume(context.resume_folder, context.fingerprint),
        out_plane=snakemake.output.plane,
        out_markers=snakemake.output.markers,
    )
