"""One table of the paper, ours beside its numbers."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.settings.tables import PaperTable
from fedscape.tables.table import make_table

with job(snakemake) as context:
    make_table(
        name=snakemake.wildcards.table,
        table=PaperTable.of(context.settings["table"]),
        csvs={source: [Path(path) for path in paths] for source, paths in snakemake.input.items()},
        study=context.identity["study"],
        scale=context.identity["scale"],
        out_csv=Path(snakemake.output.csv),
        out_page=Path(snakemake.output.page),
    )
