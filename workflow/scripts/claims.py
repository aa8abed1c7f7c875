"""Test the paper's claims on the numbers of a study."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.settings.claims import Claim
from fedscape.tables.claims import make_claims

with job(snakemake) as this:
    make_claims(
        claims=[Claim.of(values) for values in this.settings["claims"]],
        csvs={source: [Path(path) for path in paths] for source, paths in snakemake.input.items()},
        study=this.identity["study"],
        scale=this.identity["scale"],
        out_csv=Path(snakemake.output.csv),
        out_contrasts=Path(snakemake.output.contrasts),
        out_values=Path(snakemake.output.values),
        out_page=Path(snakemake.output.page),
    )
