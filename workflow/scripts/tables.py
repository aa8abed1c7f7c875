"""Collect all runs of a study into tidy tables."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.tables.collect import make_tables

with job(snakemake) as context:
    make_tables(
        csvs={kind: [Path(path) for path in paths] for kind, paths in snakemake.input.items()},
        grids=dict(context.settings["grids"]),
        out={kind: Path(path) for kind, path in snakemake.output.items() if kind != "summary"},
        out_summary=Path(snakemake.output.summary),
    )
