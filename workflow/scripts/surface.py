"""Evaluate the loss on a grid over a plane."""

from pathlib import Path

from fedscape.evaluation.problem import problem_spec
from fedscape.jobs.job import job
from fedscape.jobs.resume import Resume
from fedscape.landscape.evaluator import PlaneFiles
from fedscape.landscape.surface import evaluate_surface
from fedscape.settings.planes import WHICH_POINTS, SurfaceSettings

with job(snakemake) as context:
    entry = {"plane": context.names["name"], "group": context.names["group"]}
    files_of_which_points = ["markers.csv", *(Path(part).name for part in snakemake.input.parts)]
    evaluate_surface(
        files=PlaneFiles(snakemake.input.plane, snakemake.input.markers),
        problem=problem_spec(context),
        settings=context.typed(SurfaceSettings),
        identity=context.shared_identity(context.settings["runs"]) | entry,
        resume=Resume(
            context.resume_folder,
            context.fingerprint_without(settings=WHICH_POINTS, files=files_of_which_points),
        ),
        out=snakemake.output[0],
        parts=snakemake.input.parts,
    )
