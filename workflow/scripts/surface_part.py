"""Evaluate some columns of the grid over a plane, for a surface that is split over several jobs."""

from dataclasses import replace
from pathlib import Path

from fedscape.jobs.job import job
from fedscape.landscape.surface import evaluate_part

with job(snakemake) as this:
    model = dict(this.settings["model"])
    part, parts = int(snakemake.wildcards.part), int(snakemake.wildcards.parts)
    # The points are the surface's own, so they carry the digest of its code.
    surface = replace(this, depends_on=(list(snakemake.params.surface), list(snakemake.input)))
    evaluate_part(
        part=part,
        parts=parts,
        plane_file=snakemake.input.plane,
        markers_file=snakemake.input.markers,
        grid=this.settings["grid"],
        margin=this.settings["margin"],
        coarse=this.settings["coarse"],
        client_losses=this.settings["client_losses"],
        precision=this.settings["precision"],
        model=model.pop("kind"),
        model_settings=model,
        dataset_folder=Path(snakemake.input.dataset[0]).parent,
        partition=snakemake.input.partition,
        samples=this.settings["samples"],
        seed=this.settings["runs"][0]["seed"],
        batch_norm=this.settings["batch_norm"],
        device=this.device,
        kept=Path(snakemake.output[0]).parents[1] / "points.npz",
        resume_folder=Path(snakemake.output[0]).with_name(f"resume-{part}-of-{parts}"),
        fingerprint=surface.fingerprint_without(
            settings=("grid", "margin", "coarse", "parts"), files=("markers.csv",)
        ),
        out=snakemake.output[0],
    )
