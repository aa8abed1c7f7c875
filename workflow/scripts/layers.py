"""Average pairs of models in some of their layers, and evaluate what comes out."""

from pathlib import Path

from fedscape.connectivity.pairs import evaluate_pairs
from fedscape.jobs.job import job

with job(snakemake) as this:
    model = dict(this.settings["model"])
    evaluate_pairs(
        pairs=this.settings["pairs"],
        runs=this.identities(this.settings["runs"]),
        trajectories=snakemake.input.trajectories,
        clients=snakemake.input.clients,
        between=this.settings["between"],
        regimes=this.settings["regimes"],
        groups=dict(this.settings["groups"]),
        order_seed=this.settings["order_seed"],
        directions=this.settings["directions"],
        alignments=this.settings["alignment"],
        model=model.pop("kind"),
        model_settings=model,
        dataset_folder=Path(snakemake.input.dataset[0]).parent,
        partition=snakemake.input.partition,
        connectivity=snakemake.wildcards.name,
        group=snakemake.wildcards.group,
        samples=this.settings["samples"],
        seed=this.settings["runs"][0]["seed"],
        batch_norm=this.settings["batch_norm"],
        device=this.device,
        resume=Path(snakemake.output.layers).with_name("resume"),
        fingerprint=this.fingerprint,
        out_layers=snakemake.output.layers,
        out_distances=snakemake.output.distances,
    )
