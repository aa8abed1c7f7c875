"""Train one run."""

from pathlib import Path

from fedscape.federated.train import train_run
from fedscape.jobs.job import job
from fedscape.settings.plain import from_plain
from fedscape.settings.training import TrainingSettings

with job(snakemake) as this:
    model = dict(this.settings["model"])
    algorithm = dict(this.settings["algorithm"])
    server = dict(this.settings["server"])
    train_run(
        identity=this.identity,
        dataset=Path(snakemake.input.dataset[0]).parent,
        partition=snakemake.input.partition,
        initial=snakemake.input.initial,
        model=model.pop("kind"),
        model_settings=model,
        algorithm=algorithm.pop("kind"),
        algorithm_settings=algorithm,
        server=server.pop("kind"),
        server_settings=server,
        training=from_plain(TrainingSettings, this.settings["training"]),
        seed=this.settings["seed"],
        order_seed=this.settings["order_seed"],
        keep_rounds=this.settings["keep_rounds"],
        client_rounds=this.settings["client_rounds"],
        client_paths=this.settings["client_paths"],
        device=this.device,
        fingerprint=this.fingerprint,
        trajectory=snakemake.output.trajectory,
        clients=snakemake.output.clients,
        rounds=snakemake.output.rounds,
        final=snakemake.output.final,
        timing=snakemake.output.timing,
        run=snakemake.output.run,
        resume=Path(snakemake.output.run).with_name("resume"),
    )
