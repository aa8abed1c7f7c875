"""Write the page of a study."""

from pathlib import Path

from fedscape.jobs.job import job
from fedscape.pages.study_page import PageStudy, make_page

with job(snakemake) as context:
    make_page(
        study=PageStudy(
            name=context.identity["study"],
            scale=context.identity["scale"],
            title=context.settings["title"],
            paper=context.settings["paper"],
            labels=context.settings["labels"],
            figures=dict(context.settings["figures"]),
            tables=dict(context.settings["tables"]),
        ),
        sources={source: [Path(path) for path in paths] for source, paths in snakemake.input.items()},
        assets=Path(str(snakemake.input.assets[0])).parent,
        index=Path(snakemake.output.index),
        library=Path(snakemake.output.library),
    )
