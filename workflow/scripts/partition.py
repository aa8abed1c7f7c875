"""Deal a data set's samples to clients."""

from pathlib import Path

from fedscape.data.partition import make_partition
from fedscape.jobs.job import job

with job(snakemake) as this:
    scheme = dict(this.settings["partition"])
    make_partition(
        dataset_folder=Path(snakemake.input.dataset[0]).parent,
        scheme=scheme.pop("kind"),
        settings=scheme,
        clients=this.settings["clients"],
        seed=this.settings["seed"],
        partition_seed=this.settings["partition_seed"],
        images=this.settings["images"],
        test_images=this.settings["test_images"],
        validation=this.settings["validation"],
        identity=this.identity,
        npz=snakemake.output.samples,
        csv=snakemake.output.counts,
    )
