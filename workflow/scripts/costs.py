"""Collect what the runs of a study cost."""

from pathlib import Path

from fedscape.job import job
from fedscape.tables.costs import make_costs

with job(snakemake) as this:
    make_costs(timings=[Path(path) for path in snakemake.input], out=Path(snakemake.output[0]))
