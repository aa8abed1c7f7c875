"""Deal a data set's samples to clients."""

from pathlib import Path

from fedscape.data.partition import make_partition
from fedscape.jobs.job import job
from fedscape.plugins import Plugin
from fedscape.settings.samples import UsedSamples

with job(snakemake) as context:
    make_partition(
        dataset=Path(snakemake.input.dataset).parent,
        scheme=Plugin.of(context.settings["partition"]),
        clients=context.settings["clients"],
        partition_seed=context.settings["partition_seed"],
        samples=context.typed(UsedSamples),
        identity=context.identity,
        npz=snakemake.output.samples,
        csv=snakemake.output.counts,
    )
