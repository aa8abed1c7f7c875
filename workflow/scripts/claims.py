"""Test the paper's claims on the numbers of a study."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.tables.claims import make_claims

with job(snakemake) as this:
    make_claims(
        claims=this.settings["claims"],
        measures=this.settings["measure"],
        study=this.identity["study"],
        scale=this.identity["scale"],
        runs=Path(snakemake.input.runs),
        rounds=[Path(path) for path in snakemake.input.rounds],
        barriers=[Path(path) for path in snakemake.input.barriers],
        layers=[Path(path) for path in snakemake.input.layers],
        distances=[Path(path) for path in snakemake.input.distances],
        markers=[Path(path) for path in snakemake.input.markers],
        surfaces=[Path(path) for path in snakemake.input.surfaces],
        curvatures=[Path(path) for path in snakemake.input.curvatures],
        out_csv=Path(snakemake.output.csv),
        out_contrasts=Path(snakemake.output.contrasts),
        out_values=Path(snakemake.output.values),
        out_page=Path(snakemake.output.page),
    )
