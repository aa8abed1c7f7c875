"""Prepare a data set: raw files -> memory-mapped arrays."""

from pathlib import Path

from fedscape.data.prepare import prepare_dataset
from fedscape.jobs.job import job
from fedscape.plugins import Plugin
from fedscape.settings.plain import from_plain
from fedscape.settings.preprocessing import Preprocessing

with job(snakemake) as context:
    prepare_dataset(
        name=snakemake.wildcards.dataset,
        source=Plugin.of(context.settings["dataset"]),
        preprocessing=from_plain(Preprocessing, context.settings["preprocessing"]),
        data_root=Path(snakemake.params.data_root),
        folder=Path(snakemake.output[0]).parent,
    )
