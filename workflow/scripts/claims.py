"""Test the paper's claims on the numbers of a study."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.settings.claims import Claim
from fedscape.tables.claims import make_claims

with job(snakemake) as context:
    make_claims(
        claims=[Claim.of(values) for values in context.settings["claims"]],
        csvs={source: [Path(path) for path in paths] for source, paths in snakemake.input.items()},
        study=context.identity["study"],
        scale=context.identity["scale"],
        out_csv=Path(snakemake.output.csv),
        out_contrasts=Path(snakemake.output.contrasts),
        out_values=Path(snakemake.output.values),
        out_page=Path(snakemake.output.page),
    )
