"""Draw one figure of a study."""

from pathlib import Path

from fedscape.figures.draw import draw_figure
from fedscape.figures.looks import Labels
from fedscape.figures.medium import Style
from fedscape.jobs.job import job
from fedscape.plugins import Plugin

with job(snakemake) as context:
    figure = Plugin.of(context.settings["figure"])
    draw_figure(
        kind=figure.kind,
        settings=dict(figure.settings),
        title=context.settings["title"],
        frames={name: [Path(path) for path in paths] for name, paths in snakemake.input.items()},
        where=dict(context.settings["where"]),
        labels=Labels.of(context.settings["labels"], context.settings["numbers"]),
        style=Style(**context.settings["style"]),
        png=Path(snakemake.output.png),
        svg=Path(snakemake.output.svg),
    )
