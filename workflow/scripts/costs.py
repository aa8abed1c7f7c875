"""Collect what the jobs of a study cost."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.tables.costs import make_costs

with job(snakemake) as context:
    paths = {name: [Path(path) for path in paths] for name, paths in snakemake.input.items()}
    make_costs(
        study=context.identity["study"],
        scale=context.identity["scale"],
        timings=paths.pop("timing"),
        outputs=paths,
        benchmarks=Path(snakemake.output[0]).parents[1] / "benchmarks",
        out=Path(snakemake.output[0]),
    )
