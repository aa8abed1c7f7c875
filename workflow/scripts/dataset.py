"""Prepare a data set: raw files -> memory-mapped arrays."""

from pathlib import Path

from fedscape.data.prepare import prepare_dataset
from fedscape.jobs.job import job

with job(snakemake) as this:
    settings = dict(this.settings["dataset"])
    prepare_dataset(
        name=snakemake.wildcards.dataset,
        kind=settings.pop("kind"),
        settings=settings,
        data_root=Path(snakemake.params.data_root),
        folder=Path(snakemake.output[0]).parent,
    )
