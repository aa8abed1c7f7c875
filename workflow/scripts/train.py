"""Train one run."""

from pathlib import Path

from fedscape.checkpoints.run_files import RunOutputs
from fedscape.federated.train import FederatedMethod, RunInputs, train_run
from fedscape.jobs.job import job
from fedscape.jobs.resume import Resume
from fedscape.plugins import Plugin
from fedscape.settings.plain import from_plain
from fedscape.settings.runs import KeptModels, RunSeeds
from fedscape.settings.training import TrainingSettings

with job(snakemake) as context:
    train_run(
        identity=context.identity,
        inputs=RunInputs(
            dataset=Path(snakemake.input.dataset).parent,
            partition=snakemake.input.partition,
            initial=snakemake.input.initial,
        ),
        model=Plugin.of(context.settings["model"]),
        method=FederatedMethod(
            algorithm=Plugin.of(context.settings["algorithm"]),
            server=Plugin.of(context.settings["server"]),
            training=from_plain(TrainingSettings, context.settings["training"]),
        ),
        seeds=context.typed(RunSeeds),
        kept=context.typed(KeptModels),
        outputs=RunOutputs(**dict(snakemake.output.items())),
        resume=Resume(context.resume_folder, context.fingerprint),
        device=context.device,
    )
