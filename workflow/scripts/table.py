"""One table of the paper, ours beside its numbers."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.settings.tables import PaperTable
from fedscape.tables.table import make_table

with job(snakemake) as this:
    make_table(
        name=snakemake.wildcards.table,
        table=PaperTable.of(this.settings["table"]),
        csvs={source: [Path(path) for path in paths] for source, paths in snakemake.input.items()},
        study=this.identity["study"],
        scale=this.identity["scale"],
        out_csv=Path(snakemake.output.csv),
        out_page=Path(snakemake.output.page),
    )
