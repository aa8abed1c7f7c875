"""Average pairs of models in some of their layers, and evaluate what comes out."""

from pathlib import Path

from fedscape.connectivity.pairs import evaluate_pairs
from fedscape.jobs.job import job

with job(snakemake) as this:
    model = dict(this.settings["model"])
    pairs = this.settings["pairs"]
    # The rule's files stand in the order in which the pairs first name their runs.
    runs = list({str(one[end]): one[end] for one in pairs for end in ("from", "to")}.values())
    evaluate_pairs(
        pairs=[{**one, "from": runs.index(one["from"]), "to": runs.index(one["to"])} for one in pairs],
        runs=this.identities(runs),
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
        seed=runs[0]["seed"],
        batch_norm=this.settings["batch_norm"],
        device=this.device,
        resume=Path(snakemake.output.layers).with_name("resume"),
        fingerprint=this.fingerprint,
        out_layers=snakemake.output.layers,
        out_distances=snakemake.output.distances,
    )
