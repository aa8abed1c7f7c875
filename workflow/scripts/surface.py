"""Evaluate the loss on a grid over a plane."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.landscape.surface import evaluate_surface

with job(snakemake) as this:
    model = dict(this.settings["model"])
    evaluate_surface(
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
        identity=this.shared_identity(this.settings["runs"]),
        plane=snakemake.wildcards.name,
        group=snakemake.wildcards.group,
        samples=this.settings["samples"],
        seed=this.settings["runs"][0]["seed"],
        batch_norm=this.settings["batch_norm"],
        device=this.device,
        parts=snakemake.input.parts,
        resume_folder=Path(snakemake.output[0]).with_name("resume"),
        # What decides which points are wanted does not change what they are.
        fingerprint=this.fingerprint_without(
            settings=("grid", "margin", "coarse", "parts"),
            files=("markers.csv", *(Path(part).name for part in snakemake.input.parts)),
        ),
        out=snakemake.output[0],
    )
