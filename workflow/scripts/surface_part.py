"""Evaluate some columns of the grid over a plane, for a surface that is split over several jobs."""

from dataclasses import replace
from pathlib import Path

from fedscape.evaluation.problem import problem_spec
from fedscape.jobs.job import job
from fedscape.jobs.resume import Resume
from fedscape.landscape.evaluator import PlaneFiles
from fedscape.landscape.surface import evaluate_part
from fedscape.settings.planes import WHICH_POINTS, SurfaceSettings

with job(snakemake) as context:
    # The points are the surface's own, so they carry the digest of its code.
    surface = replace(context, depends_on=(list(snakemake.params.surface), list(snakemake.input)))
    evaluate_part(
        files=PlaneFiles(snakemake.input.plane, snakemake.input.markers),
        problem=problem_spec(context),
        settings=context.typed(SurfaceSettings),
        part=int(snakemake.wildcards.part),
        parts=int(snakemake.wildcards.parts),
        kept=Path(snakemake.output[0]).parents[1] / "points.npz",
        resume=Resume(
            context.resume_folder,
            surface.fingerprint_without(settings=WHICH_POINTS, files=("markers.csv",)),
        ),
        out=snakemake.output[0],
    )
