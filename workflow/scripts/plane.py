"""Lay a plane through the models of a group of runs, and mark them on it."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.landscape.make_plane import make_plane

with job(snakemake) as this:
    kind = dict(this.settings["plane"])
    model = dict(this.settings["model"])
    make_plane(
        kind=kind.pop("kind"),
        settings=kind,
        model=model.pop("kind"),
        model_settings=model,
        dataset_folder=Path(snakemake.input.dataset[0]).parent,
        partition=snakemake.input.partition,
        trajectories=snakemake.input.trajectories,
        clients=snakemake.input.clients,
        runs=this.identities(this.settings["runs"]),
        plane=snakemake.wildcards.name,
        group=snakemake.wildcards.group,
        samples=this.settings["samples"],
        seed=this.settings["runs"][0]["seed"],
        batch_norm=this.settings["batch_norm"],
        device=this.device,
        resume=Path(snakemake.output.plane).with_name("resume-plane"),  # beside that of the surface
        fingerprint=this.fingerprint,
        out_plane=snakemake.output.plane,
        out_markers=snakemake.output.markers,
    )
