"""Collect what the jobs of a study cost."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.tables.costs import make_costs

with job(snakemake) as this:
    make_costs(
        study=this.identity["study"],
        scale=this.identity["scale"],
        timings=[Path(path) for path in snakemake.input.timings],
        made=[Path(path) for path in snakemake.input.made],
        benchmarks=Path(snakemake.output[0]).parents[1] / "benchmarks",
        out=Path(snakemake.output[0]),
    )
