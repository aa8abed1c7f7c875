"""Make the weights that a run starts from."""

from pathlib import Path

from fedscape.federated.initial import make_initial
from fedscape.jobs.job import job

with job(snakemake) as this:
    start = dict(this.settings["initial"])
    model = dict(this.settings["model"])
    kind = start.pop("kind")
    make_initial(
        kind=kind,
        settings=start,
        dataset=Path(snakemake.input.dataset[0]).parent,
        model=model.pop("kind"),
        model_settings=model,
        seed=this.settings["seed"],
        device=this.device,
        fingerprint=this.fingerprint,
        out=snakemake.output[0],
        resume=Path(snakemake.output[0]).with_suffix(".resume"),
        proxy=Path(snakemake.input.proxy[0]).parent if snakemake.input.proxy else None,
        trajectory=snakemake.input.source[0] if kind == "after-round" else None,
    )
