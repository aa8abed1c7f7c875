"""Write the page of a study."""

from pathlib import Path

from fedscape.figures.looks import Labels
from fedscape.jobs.job import job
from fedscape.pages.study_page import PageFigure, PageStudy, make_page

with job(snakemake) as context:
    make_page(
        study=PageStudy(
            name=context.identity["study"],
            scale=context.identity["scale"],
            title=context.settings["title"],
            paper=context.settings["paper"],
            labels=Labels.of(context.settings["labels"], context.settings["numbers"]),
            figures={
                name: PageFigure(title, caption) for name, title, caption in context.settings["figures"]
            },
            tables=dict(context.settings["tables"]),
            claim_figures=context.settings["claims"],
        ),
        sources={source: [Path(path) for path in paths] for source, paths in snakemake.input.items()},
        templates=Path(snakemake.scriptdir).parent / "page",
        html=Path(snakemake.output.html),
        library=Path(snakemake.output.library),
    )
