"""One table of the paper, ours beside its numbers."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.tables.table import make_table

with job(snakemake) as this:
    make_table(
        name=snakemake.wildcards.table,
        table=this.settings["table"],
        measures=this.settings["measure"],
        study=this.identity["study"],
        scale=this.identity["scale"],
        runs=Path(snakemake.input.runs),
        rounds=[Path(path) for path in snakemake.input.rounds],
        timings=[Path(path) for path in snakemake.input.timings],
        barriers=[Path(path) for path in snakemake.input.barriers],
        layers=[Path(path) for path in snakemake.input.layers],
        distances=[Path(path) for path in snakemake.input.distances],
        markers=[Path(path) for path in snakemake.input.markers],
        surfaces=[Path(path) for path in snakemake.input.surfaces],
        curvatures=[Path(path) for path in snakemake.input.curvatures],
        out_csv=Path(snakemake.output.csv),
        out_page=Path(snakemake.output.page),
    )
