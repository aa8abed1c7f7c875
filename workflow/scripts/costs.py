"""Collect what the jobs of a study cost."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.tables.costs import make_costs

with job(snakemake) as this:
    paths = {name: [Path(path) for path in paths] for name, paths in snakemake.input.items()}
    make_costs(
        study=this.identity["study"],
        scale=this.identity["scale"],
        timings=paths.pop("timing"),
        made=paths,
        benchmarks=Path(snakemake.output[0]).parents[1] / "benchmarks",
        out=Path(snakemake.output[0]),
    )
