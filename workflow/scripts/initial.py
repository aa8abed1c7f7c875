"""Make the weights that a run starts from."""

from pathlib import Path

from fedscape.federated.initial import make_initial
from fedscape.jobs.job import job
from fedscape.jobs.resume import Resume
from fedscape.plugins import Plugin

with job(snakemake) as context:
    start = Plugin.of(context.settings["initial"])
    make_initial(
        start=start,
        model=Plugin.of(context.settings["model"]),
        dataset=Path(snakemake.input.dataset).parent,
        seed=context.settings["seed"],
        resume=Resume(context.resume_folder, context.fingerprint),
        out=snakemake.output[0],
        device=context.device,
        proxy=Path(snakemake.input.proxy).parent if snakemake.input.proxy else None,
        trajectory=snakemake.input.source[0] if start.kind == "after-round" else None,
    )
