"""Collect all runs of a study into tidy tables."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.tables.collect import make_tables

with job(snakemake) as this:
    make_tables(
        rounds=[Path(path) for path in snakemake.input.rounds],
        barriers=[Path(path) for path in snakemake.input.barriers],
        layers=[Path(path) for path in snakemake.input.layers],
        distances=[Path(path) for path in snakemake.input.distances],
        curvatures=[Path(path) for path in snakemake.input.curvatures],
        drifts=[Path(path) for path in snakemake.input.drifts],
        grids=this.settings["grids"],
        runs_csv=Path(snakemake.output.runs),
        rounds_csv=Path(snakemake.output.rounds),
        barriers_csv=Path(snakemake.output.barriers),
        layers_csv=Path(snakemake.output.layers),
        distances_csv=Path(snakemake.output.distances),
        curvature_csv=Path(snakemake.output.curvature),
        drift_csv=Path(snakemake.output.drift),
        summary=Path(snakemake.output.summary),
    )
