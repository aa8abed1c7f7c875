"""Draw one figure of a study."""

from pathlib import Path

from fedscape.figures.draw import draw_figure
from fedscape.jobs.job import job

with job(snakemake) as this:
    kind = dict(this.settings["figure"])
    draw_figure(
        kind=kind.pop("kind"),
        settings=kind,
        title=this.settings["title"],
        frames={name: [Path(path) for path in paths] for name, paths in snakemake.input.items()},
        where=dict(this.settings["where"]),
        labels=this.settings["labels"],
        png=Path(snakemake.output.png),
        svg=Path(snakemake.output.svg),
    )
